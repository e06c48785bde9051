//! Migrates `mailcow.conf` to a release: upstream's own functions run on a copy, and the result is
//! compared, reported and guarded.

mod functions;
mod jail;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mailcow::{self, Conf};
use crate::error::{Error, Result};
pub use functions::Functions;
use jail::Jail;

/// Upstream's functions append some lines; this is ample.
pub const LIMIT: Duration = Duration::from_mins(1);

/// An option that a migration adds, removes or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The option.
    pub name: String,
    /// The kind of change.
    pub change: Kind,
    /// Its value before. Secrets are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// Its value after. Secrets are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Added.
    Added,
    /// The release does not know it any more.
    Removed,
    /// Its value changed.
    Changed,
}

/// The input of a migration.
pub struct Wish<'a> {
    /// The site's `mailcow.conf`.
    pub conf: &'a [u8],
    /// The release's functions. `None` if they cannot be found.
    pub functions: Option<&'a Functions>,
    /// The kind of compose here: `native` or `standalone`.
    pub compose: &'a str,
    /// The compose project's name as it is.
    pub project: &'a str,
    /// The project's volumes as they are.
    pub volumes: &'a [String],
    /// True if the site's network has IPv6 now, which is the value for a new option.
    pub ipv6: bool,
    /// The time limit of the functions.
    pub limit: Duration,
}

/// The result of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The new `mailcow.conf`.
    pub conf: Vec<u8>,
    /// The differences, option by option.
    pub changes: Vec<Change>,
    /// The other actions of the functions, prevented or reverted.
    pub left_out: Vec<String>,
}

/// Migrates a copy in the new directory `scratch`. `file` reads a file of the site as it will be,
/// for those that the functions name.
pub async fn migrate(
    wish: &Wish<'_>,
    scratch: &Path,
    file: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
) -> Result<Migrated> {
    let mut left_out = Vec::new();
    let mut conf = without_typo(wish, &mut left_out);
    if let Some(functions) = wish.functions {
        let jail = Jail { wish, functions, scratch };
        let outcome = jail.run(&conf, file).await?;
        whole(&conf, &outcome.conf)?;
        left_out.extend(outcome.left_out);
        conf = keep_own_options(&conf, outcome.conf, functions, &mut left_out);
    }
    let conf = with_compose(&conf, wish.compose);
    Ok(Migrated { changes: changes(wish.conf, &conf), conf, left_out })
}

/// Sites of 2018 have the project's name under a misspelt option. It is corrected where that names
/// the project that runs; otherwise the stack would come up as another project, with empty volumes.
fn without_typo(wish: &Wish<'_>, left_out: &mut Vec<String>) -> Vec<u8> {
    let mut conf = wish.conf.to_vec();
    for (wrong, right) in mailcow::migrations::renamed_options() {
        let options = Conf::parse(&String::from_utf8_lossy(&conf));
        match options.get(wrong) {
            Some(project) if project == wish.project && options.get(right).is_none() => {
                conf = exchanged(&conf, wrong.as_bytes(), right.as_bytes());
            }
            Some(project) => left_out.push(format!(
                "rename {wrong} to {right} in mailcow.conf: the running project is {}, not {project}",
                wish.project
            )),
            None => {}
        }
    }
    conf
}

/// Returns the text with `from` replaced by `to` everywhere. Comments may be in any encoding.
fn exchanged(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len()).position(|part| part == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// An option that the release does not list as obsolete stays, even if a pattern of upstream's
/// happened to match its line.
pub(crate) fn keep_own_options(
    before: &[u8],
    after: Vec<u8>,
    functions: &Functions,
    left_out: &mut Vec<String>,
) -> Vec<u8> {
    let removed =
        changes(before, &after).into_iter().filter(|change| change.change == Kind::Removed);
    let own: Vec<String> =
        removed.map(|change| change.name).filter(|name| !functions.make_obsolete(name)).collect();
    let mut after = after;
    for name in own {
        let text = String::from_utf8_lossy(before);
        let line =
            text.lines().rfind(|line| Conf::parse(line).get(&name).is_some()).unwrap_or_default();
        if !after.is_empty() && !after.ends_with(b"\n") {
            after.push(b'\n');
        }
        after.extend_from_slice(format!("{line}\n").as_bytes());
        left_out.push(format!(
            "remove {name} from mailcow.conf: the release does not list it as obsolete"
        ));
    }
    after
}

/// Writes the kind of compose back, as update.sh does, if the option exists.
pub(crate) fn with_compose(conf: &[u8], compose: &str) -> Vec<u8> {
    let option = format!("{}=", mailcow::COMPOSE_KIND);
    let mut written = Vec::with_capacity(conf.len());
    for line in conf.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(option.as_bytes()) {
            let end = if line.ends_with(b"\n") { "\n" } else { "" };
            written.extend_from_slice(format!("{option}{compose}{end}").as_bytes());
        } else {
            written.extend_from_slice(line);
        }
    }
    written
}

/// A migration that loses the server's name has lost more; whatever it says of itself, it failed.
fn whole(before: &[u8], after: &[u8]) -> Result<()> {
    let name = |text: &[u8]| {
        Conf::parse(&String::from_utf8_lossy(text)).get(mailcow::HOSTNAME).map(str::to_owned)
    };
    if name(before) == name(after) {
        Ok(())
    } else {
        Err(Error::new(format!("migrating mailcow.conf would lose {}", mailcow::HOSTNAME)))
    }
}

/// Returns the differences between two `mailcow.conf`, option by option.
pub fn changes(before: &[u8], after: &[u8]) -> Vec<Change> {
    let parse = |text: &[u8]| -> BTreeMap<String, String> {
        Conf::parse(&String::from_utf8_lossy(text)).into()
    };
    let (before, after) = (parse(before), parse(after));
    let change = |name: &&String| match (before.get(*name), after.get(*name)) {
        (None, Some(_)) => Some(Kind::Added),
        (Some(_), None) => Some(Kind::Removed),
        (old, new) if old != new => Some(Kind::Changed),
        _ => None,
    };
    let shown = |values: &BTreeMap<String, String>, name: &String| {
        values.get(name).filter(|_| !mailcow::is_secret(name)).cloned()
    };
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let told = names.into_iter().filter_map(|name| {
        let change = change(&name)?;
        Some(Change {
            name: name.clone(),
            change,
            was: shown(&before, name),
            is: shown(&after, name),
        })
    });
    told.collect()
}

#[cfg(test)]
mod tests;
