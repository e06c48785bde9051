//! The configuration in `cowhand.toml`, parsed from text. The site reads the file.

pub mod edit;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plugin::TrustPolicy;
use crate::plugin::spec::Spec;

/// The whole file. The defaults work as upstream documents.
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
    /// `[[plugin]]`, in the order of the calls.
    pub plugin: Vec<Spec>,
}

/// `[preflight]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Preflight {
    /// The URL of the service that knows whether Spamhaus blocks the machine's network. `None` asks
    /// no service. Upstream's is [`crate::site::mailcow::host::ASN_CHECK`].
    pub asn_check: Option<String>,
}

/// `[merge]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Merge {
    /// The side that wins unless a plugin decides otherwise.
    pub favor: Favor,
    /// The policy for local changes that the merge would lose.
    pub on_loss: OnLoss,
    /// True if files that git neither tracks nor ignores become part of the site's commit.
    pub include_untracked: bool,
}

/// The side that wins in a conflicting hunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// Upstream's.
    #[default]
    Theirs,
    /// The site's.
    Ours,
}

/// The policy for local changes that the merge would lose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// List them and keep copies in the run.
    #[default]
    Report,
    /// End the run with [`Exit::Conflict`] before anything changes.
    Stop,
}

/// `[prune]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Prune {
    /// True if dangling volumes that no project owns are removed too. The project's never are.
    pub volumes: bool,
}

/// `[start]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Start {
    /// More directories that services read at each use: changes in them restart no service.
    pub read_live: Vec<String>,
}

/// `[backup]`: data kept besides the site's files.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Backup {
    /// True if the database is dumped before an update changes anything.
    pub database: bool,
}

/// `[verify]`: the timeouts before a started stack counts as unhealthy.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Verify {
    /// The time for which a container must stay up.
    pub settle: SignedDuration,
    /// The time limit for containers that restart at first, such as those that wait for a database.
    pub running: SignedDuration,
    /// The time limit for a health check, beyond its own start period and retries.
    pub healthy: SignedDuration,
    /// The time limit for a published port to be served.
    pub ports: SignedDuration,
    /// The policy for an unhealthy new stack.
    pub on_failure: OnUnwell,
}

/// The policy for an unhealthy new stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnwell {
    /// Roll back, unless a service that migrates data has started from a new image.
    #[default]
    Judge,
    /// Always roll back.
    RollBack,
    /// Keep the new stack and end with [`Exit::Unwell`].
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
    /// Parses the text of a `cowhand.toml`. `file` is its name, for messages.
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
                usage(format!("{file}: {:?} is not a valid plugin name", wrong.name)).hint(NAMES)
            );
        }
        let mut names = std::collections::BTreeSet::new();
        match self.plugin.iter().find(|plugin| !names.insert(&plugin.name)) {
            Some(twice) => Err(usage(format!("{file}: two plugins are named `{}`", twice.name))),
            None => Ok(self),
        }
    }
}

/// Returns the error with the file, the line and the closest valid key.
fn explain(error: &toml::de::Error, text: &str, file: &str) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    let message = error.message();
    let error =
        usage(format!("{file}, line {line}: {}", message.lines().next().unwrap_or("not valid")));
    match nearest(message) {
        Some(key) => error.hint(format!("Did you mean `{key}`?")),
        None => error,
    }
}

/// Returns the closest expected key of serde's message, which reads "unknown field `fovor`,
/// expected one of `favor`, `on-loss`".
fn nearest(message: &str) -> Option<&str> {
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    crate::nearest::nearest(typed, quoted)
}

/// The rule for plugin names.
pub const NAMES: &str =
    "A plugin name has at most 64 letters, digits and -_.: and does not begin with . or -.";

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
