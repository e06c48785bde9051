//! What `cowhand.toml` may say. Text in, value out: reading the file is the site's job.

pub mod edit;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plugin::TrustPolicy;
use crate::plugin::spec::Spec;

/// The whole file. Without it, everything works as upstream documents it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `[preflight]`
    pub preflight: Preflight,
    /// `[merge]`
    pub merge: Merge,
    /// `[prune]`
    pub prune: Prune,
    /// `[start]`
    pub start: Start,
    /// `[backup]`
    pub backup: Backup,
    /// `[verify]`
    pub verify: Verify,
    /// `[trust]`
    pub trust: TrustPolicy,
    /// `[[plugin]]`, in the order in which they are asked.
    pub plugin: Vec<Spec>,
}

/// `[preflight]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Preflight {
    /// The service to ask whether Spamhaus blocks the machine's network; without it none is asked. Upstream's is
    /// [`crate::site::mailcow::host::ASN_CHECK`].
    pub asn_check: Option<String>,
}

/// `[merge]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Merge {
    /// Whose side wins where no plugin says otherwise.
    pub favor: Favor,
    /// What happens when the merge would drop what the site wrote.
    pub on_loss: OnLoss,
    /// Whether files that git neither knows nor ignores become part of the site's commit too.
    pub include_untracked: bool,
}

/// Whose side wins in a conflicting hunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// Upstream's.
    #[default]
    Theirs,
    /// The site's.
    Ours,
}

/// What happens when the merge would drop what the site wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// It is listed and kept in the run.
    #[default]
    Report,
    /// The run ends with [`Exit::Conflict`] before anything changed.
    Stop,
}

/// `[prune]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prune {
    /// Whether unowned dangling volumes go too. Never the project's.
    pub volumes: bool,
}

/// `[start]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Start {
    /// More folders of the site that services read at each use: what changes in them restarts nobody.
    pub read_live: Vec<String>,
}

/// `[backup]`: what is kept besides the site's own files.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backup {
    /// Whether the database is dumped before an update changes anything.
    pub database: bool,
}

/// `[verify]`: how long what may take before a started stack counts as not well.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Verify {
    /// How long a container has to stay up.
    pub settle: SignedDuration,
    /// How long a container may need until it stays up: some end until their database answers.
    pub running: SignedDuration,
    /// How long a health check may need beyond its own start period and retries.
    pub healthy: SignedDuration,
    /// How long a published port may need until it is served.
    pub ports: SignedDuration,
    /// What comes of a new stack that is not well.
    pub on_failure: OnUnwell,
}

/// What comes of a new stack that is not well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnwell {
    /// The old one comes back, unless a service that migrates data has started from a new image.
    #[default]
    Judge,
    /// The old one comes back in any case.
    RollBack,
    /// The new one stays, and the run ends with [`Exit::Unwell`].
    Keep,
}

impl Default for Verify {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        Self {
            settle: seconds(5),
            running: seconds(90),
            healthy: seconds(60),
            ports: seconds(120),
            on_failure: OnUnwell::default(),
        }
    }
}

impl Config {
    /// Reads the text of a `cowhand.toml`; `file` is its name, for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        toml::from_str::<Self>(text)
            .map_err(|error| explain(&error, text, file))
            .and_then(|config| config.checked(file))
    }

    fn checked(self, file: &str) -> Result<Self> {
        if let Some(wrong) =
            self.plugin.iter().find(|plugin| !crate::plugin::spec::is_name(&plugin.name))
        {
            return Err(
                usage(format!("{file}: {:?} cannot be a plugin's name", wrong.name)).hint(NAMES)
            );
        }
        let mut names = std::collections::BTreeSet::new();
        match self.plugin.iter().find(|plugin| !names.insert(&plugin.name)) {
            Some(twice) => Err(usage(format!("{file}: two plugins are named `{}`", twice.name))),
            None => Ok(self),
        }
    }
}

/// The file, the line, what is wrong, and the nearest key that exists.
fn explain(error: &toml::de::Error, text: &str, file: &str) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    let message = error.message();
    let told =
        usage(format!("{file}, line {line}: {}", message.lines().next().unwrap_or("not valid")));
    match nearest(message) {
        Some(key) => told.hint(format!("Did you mean `{key}`?")),
        None => told,
    }
}

/// serde says "unknown field `fovor`, expected one of `favor`, `on-loss`": the nearest of those expected.
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    crate::nearest::nearest(typed, quoted)
}

/// What the name of a plugin may be.
pub const NAMES: &str =
    "A name has letters, digits and -_.: and begins with none of . and -; at most 64 of them.";

fn usage(what: String) -> Error {
    Error::new(what).exit(Exit::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_has_a_plain_name() {
        let parse = |name: &str| {
            Config::parse(&format!("[[plugin]]\nname = {name:?}\nsource = \"x.wasm\"\n"), "x")
        };
        assert!(parse("stock:a_b-c.1").is_ok());
        for name in ["", "../x", ".x", "-x", "a b", "a\nb", &"x".repeat(65)] {
            assert_eq!(parse(name).unwrap_err().exit_code(), Some(Exit::Usage), "{name:?}");
        }
    }

    #[test]
    fn an_unknown_key_names_file_line_and_the_nearest_key() {
        let error = Config::parse("\n[merge]\nfovor = \"ours\"\n", "cowhand.toml").unwrap_err();
        assert!(
            error.headline().starts_with("cowhand.toml, line 3: unknown field `fovor`"),
            "{error}"
        );
        assert_eq!(error.hints(), ["Did you mean `favor`?"]);
        assert_eq!(error.exit_code(), Some(Exit::Usage));
    }

    #[test]
    fn the_design_page_s_example_is_understood() {
        let config =
            Config::parse(include_str!("../tests/data/design-example.toml"), "cowhand.toml")
                .unwrap();
        let plugin = &config.plugin[0];
        assert_eq!(plugin.name, "acme-certificates");
        assert_eq!(plugin.grant.memory, bytesize::ByteSize::mib(64));
        assert_eq!(plugin.grant.time, jiff::SignedDuration::from_secs(10));
        assert_eq!(plugin.config["domain"], "mail.example.org");
    }
}
