//! Cases: an input for a plugin and its expected answer, in a directory that people or `--record`
//! write.
//!
//! `case.toml` has the configuration, the input under the hook's name, and `[expect]`. Other files
//! are next to it: the sides of a conflict (`base`, `ours`, `theirs`), the expected content
//! (`content`), the events for an observer (`events.jsonl`), and `site`, which is the site's
//! directory for grants.

#![expect(clippy::disallowed_methods, reason = "the caller named the directory of cases")]

mod expect;
mod input;
mod record;
mod run;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::{Grant, Hook};
use super::types::{PostPull, PreMerge, PrePrune};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
pub use expect::Expect;
use input::{ConflictInput, Nothing};
pub(super) use record::Recorder;
pub use run::{Outcome, Subject};

/// The file that makes a directory a case.
const FILE: &str = "case.toml";
/// The expected content.
const CONTENT: &str = "content";
/// The events for an observer.
const EVENTS: &str = "events.jsonl";

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its directory.
    pub folder: PathBuf,
    text: Text,
}

/// The content of `case.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    #[serde(skip_serializing_if = "Value::is_null")]
    config: Value,
    #[serde(skip_serializing)]
    grant: Grant,
    pre_merge: Option<PreMerge>,
    conflict_resolver: Option<ConflictInput>,
    post_pull: Option<PostPull>,
    pre_prune: Option<PrePrune>,
    observer: Option<Nothing>,
    expect: Expect,
}

impl Case {
    /// Reads the case in this directory.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(FILE);
        let text = std::fs::read_to_string(&file)
            .what_with(|| format!("could not read {}", file.display()))?;
        let text: Text = toml::from_str(&text).map_err(|error| wrong(&file, &text, &error))?;
        let case = Self { folder: folder.to_owned(), text };
        case.hook()?;
        Ok(case)
    }

    /// Returns the cases below this directory, sorted by name. The directory itself may be a case.
    pub fn below(folder: &Path) -> Result<Vec<Self>> {
        if folder.join(FILE).exists() {
            return Self::read(folder).map(|case| vec![case]);
        }
        let listed = std::fs::read_dir(folder).and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<std::io::Result<Vec<_>>>()
        });
        let mut folders =
            listed.what_with(|| format!("could not list the cases in {}", folder.display()))?;
        folders.retain(|path| path.is_dir());
        folders.sort();
        folders
            .iter()
            .map(|folder| Self::below(folder))
            .collect::<Result<Vec<_>>>()
            .map(|cases| cases.concat())
    }

    /// Returns the hook, which is the one with an input.
    pub fn hook(&self) -> Result<Hook> {
        let Text { pre_merge, conflict_resolver, post_pull, pre_prune, observer, .. } = &self.text;
        let there = [
            pre_merge.is_some(),
            conflict_resolver.is_some(),
            post_pull.is_some(),
            pre_prune.is_some(),
            observer.is_some(),
        ];
        let hooks: Vec<Hook> = Hook::ALL
            .into_iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(hook, _)| hook)
            .collect();
        if let [hook] = hooks[..] {
            return Ok(hook);
        }
        let names = Hook::ALL.map(|hook| format!("[{}]", hook.name())).join(", ");
        let what = format!("{} must have the input for one hook", self.folder.join(FILE).display());
        Err(Error::new(what).exit(Exit::Usage).hint(format!("Add one of the tables {names}.")))
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.folder.join(name);
        match std::fs::read(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).what_with(|| format!("could not read {}", path.display())),
        }
    }
}

fn wrong(file: &Path, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    Error::new(format!("{}, line {line}: {}", file.display(), error.message())).exit(Exit::Usage)
}
