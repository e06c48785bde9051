//! Recording a real run's plugin calls and answers as cases, with secrets redacted.

#![expect(clippy::disallowed_methods, reason = "the caller named the directory of cases")]

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::super::about::About;
use super::super::receipt::Failure;
use super::super::types::{
    Blobs, Conflict, PostPull, PostPullAnswer, PreMerge, PreMergeAnswer, PrePrune, ResolverAnswer,
    Side,
};
use super::input::{ConflictInput, Nothing, file_name};
use super::{CONTENT, EVENTS, Expect, FILE, Text};
use crate::error::{Context, Result};
use crate::redact::{REDACTED, Redactor};

/// Writes cases below a directory, with one directory per plugin.
#[derive(Debug)]
pub(in crate::plugin) struct Recorder {
    folder: PathBuf,
    /// The number of cases.
    written: Mutex<u32>,
}

impl Recorder {
    /// Creates the directory, readable only by its owner: recordings are the site's own.
    pub(in crate::plugin) fn new(folder: &Path) -> Result<Self> {
        crate::files::private_folder(folder)?;
        Ok(Self { folder: folder.to_owned(), written: Mutex::new(0) })
    }

    pub(in crate::plugin) fn pre_merge(
        &self,
        about: &About,
        input: &PreMerge,
        answer: &Result<PreMergeAnswer, Failure>,
    ) {
        let expect = answer.as_ref().map_or_else(Expect::failed, Expect::pre_merge);
        self.write(
            about,
            "pre-merge",
            Text { pre_merge: Some(input.clone()), expect, ..Text::default() },
            Vec::new(),
        );
    }

    pub(in crate::plugin) fn resolver(
        &self,
        about: &About,
        (conflict, blobs): (&Conflict, &dyn Blobs),
        answer: &Result<ResolverAnswer, Failure>,
    ) {
        let (expect, content) = answer
            .as_ref()
            .map_or_else(|failure| (Expect::failed(failure), None), Expect::resolver);
        let sides = [
            (Side::Base, &conflict.base),
            (Side::Ours, &conflict.ours),
            (Side::Theirs, &conflict.theirs),
        ];
        let there = sides
            .into_iter()
            .filter(|(_, version)| version.as_ref().is_some_and(|found| found.mode.has_content()));
        let read = there.filter_map(|(side, _)| Some((file_name(side), blobs.read(side).ok()?)));
        let files = read.chain(content.map(|content| (CONTENT, content.to_vec()))).collect();
        let text = Text {
            conflict_resolver: Some(ConflictInput::of(conflict)),
            expect,
            ..Text::default()
        };
        self.write(about, "conflict-resolver", text, files);
    }

    pub(in crate::plugin) fn post_pull(
        &self,
        about: &About,
        input: &PostPull,
        answer: &Result<PostPullAnswer, Failure>,
    ) {
        let expect = answer.as_ref().map_or_else(Expect::failed, Expect::post_pull);
        self.write(
            about,
            "post-pull",
            Text { post_pull: Some(input.clone()), expect, ..Text::default() },
            Vec::new(),
        );
    }

    pub(in crate::plugin) fn pre_prune(
        &self,
        about: &About,
        input: &PrePrune,
        answer: &Result<Vec<(String, String)>, Failure>,
    ) {
        let expect = answer.as_ref().map_or_else(Expect::failed, |keeps| Expect::pre_prune(keeps));
        self.write(
            about,
            "pre-prune",
            Text { pre_prune: Some(input.clone()), expect, ..Text::default() },
            Vec::new(),
        );
    }

    /// Records one case for all events of a run, without the observer's failures.
    pub(in crate::plugin) fn observer(&self, about: &About, json: &str) {
        let folder = self.folder.join(name_of(about)).join("observer");
        let text =
            Text { observer: Some(Nothing {}), expect: Expect::named("told"), ..Text::default() };
        let kept = (|| {
            if !folder.join(FILE).exists() {
                Self::save(&folder, about, text, Vec::new())?;
            }
            let line = about.events.redactor().text(json) + "\n";
            let events =
                std::fs::OpenOptions::new().append(true).create(true).open(folder.join(EVENTS));
            let appended =
                events.and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()));
            appended.what_with(|| format!("could not write {EVENTS}"))
        })();
        Self::complain(about, kept);
    }

    fn write(&self, about: &About, hook: &str, text: Text, files: Vec<(&str, Vec<u8>)>) {
        let number = {
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            *written += 1;
            *written
        };
        let folder = self.folder.join(name_of(about)).join(format!("{number:03}-{hook}"));
        let kept = Self::save(&folder, about, text, files);
        Self::complain(about, kept);
    }

    fn save(
        folder: &Path,
        about: &About,
        mut text: Text,
        files: Vec<(&str, Vec<u8>)>,
    ) -> Result<()> {
        let redactor = about.events.redactor();
        text.config = serde_json::from_str(&about.config).unwrap_or_default();
        hide(&mut text.config, &redactor);
        crate::files::private_folder(folder)?;
        let toml = toml::to_string_pretty(&text).what("could not write a case")?;
        let toml = format!(
            "# Recorded with secrets redacted. Review it before you share it.\n\n{}",
            redactor.text(&toml)
        );
        crate::files::write(&folder.join(FILE), toml.as_bytes(), 0o600)?;
        files.into_iter().try_for_each(|(name, content)| {
            crate::files::write(&folder.join(name), &redactor.bytes(&content), 0o600)
        })
    }

    /// A case that cannot be written must not stop an update.
    fn complain(about: &About, kept: Result<()>) {
        if let Err(error) = kept {
            about.events.warn(
                format!("could not record the call of `{}`: {}", about.name, error.summary()),
                None,
            );
        }
    }
}

/// Returns a directory name for the plugin.
fn name_of(about: &About) -> String {
    about.name.replace(
        |character: char| !character.is_ascii_alphanumeric() && !"-_.".contains(character),
        "-",
    )
}

/// Hides possible secrets in a plugin's configuration, which only its author knows: suspicious
/// keys, and every part of a URL except the host.
fn hide(config: &mut Value, redactor: &Redactor) {
    redactor.value(config);
    match config {
        Value::Object(table) => table.iter_mut().for_each(|(key, value)| {
            // A key that suggests a secret covers everything below it.
            if tells_secrets(key) && !value.is_null() {
                *value = Value::from(REDACTED);
            } else {
                hide(value, redactor);
            }
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, redactor)),
        Value::String(text) => {
            if let Some((scheme, rest)) = text.split_once("://") {
                let host = rest
                    .split(['/', '?', '#'])
                    .next()
                    .unwrap_or_default()
                    .rsplit('@')
                    .next()
                    .unwrap_or_default();
                *text = format!("{scheme}://{host}/{REDACTED}");
            }
        }
        _ => {}
    }
}

fn tells_secrets(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "secret", "pass", "key", "auth", "credential", "webhook"]
        .iter()
        .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_configuration_is_hidden() {
        let mut config = serde_json::json!({
            "url": "https://jo:pw@hooks.example.org/T0/B0?x=y",
            "api-token": "abc",
            "nested": [{"password": "abc", "days": ["sat"]}],
            "tokens": ["abc", ["def"]],
            "post": {"auth": {"bearer": {"value": "abc"}, "days": ["sat"]}, "retries": 3},
            "no-password": null,
            "db": "hunter22",
        });
        hide(&mut config, &Redactor::new(["hunter22".to_owned()]));
        let hidden = serde_json::json!({
            "url": "https://hooks.example.org/[redacted]",
            "api-token": "[redacted]",
            "nested": [{"password": "[redacted]", "days": ["sat"]}],
            "tokens": "[redacted]",
            "post": {"auth": "[redacted]", "retries": 3},
            "no-password": null,
            "db": "[redacted]",
        });
        assert_eq!(config, hidden);
    }
}
