//! `plugin new`: the first version of a plugin, in its author's language: it builds, and passes its own tests.

#![expect(clippy::disallowed_methods, reason = "an author's new project is no site")]

mod project;

use std::fs;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::plugin::spec::Hook;

/// The languages that there are templates for. Every other one that makes components from WIT will do too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// cargo, for `wasm32-wasip2`.
    Rust,
    /// componentize-py.
    Python,
    /// componentize-js.
    #[value(alias = "js")]
    Javascript,
}

/// Writes the project into `folder`, which must not be there yet.
pub fn write(folder: &Path, language: Language, hooks: &[Hook]) -> Result<()> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    check(name)?;
    let doing = || format!("could not create {}", folder.display());
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above).what_with(doing)?;
    }
    fs::create_dir(folder).what_with(doing)?;
    for (path, text) in project::files(name, language, hooks) {
        let path = folder.join(path);
        let written =
            path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.what_with(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// What builds and tests a project, a command a line.
pub fn commands(language: Language) -> &'static str {
    project::commands(language)
}

/// A name that cargo, npm and `cowhand.toml` all take.
fn check(name: &str) -> Result<()> {
    let word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .chars()
                .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit())
    };
    if name.split('-').all(word) {
        return Ok(());
    }
    let hint = "Small letters and digits, words joined by `-`: `our-window`.";
    Err(Error::new(format!("`{name}` cannot be the name of a plugin")).exit(Exit::Usage).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_tool_takes() {
        for good in ["a", "our-window", "tell2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "a--b", "-a", "a b", "a-2", "../a"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_is_left_to_fill_in() {
        for language in [Language::Rust, Language::Python, Language::Javascript] {
            for hooks in [&Hook::ALL[..], &[Hook::Observer]] {
                for (path, text) in project::files("mine", language, hooks) {
                    assert!(!text.contains("{{"), "{language:?}: {path}: {text}");
                }
            }
        }
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine");
        fs::create_dir(&mine).unwrap();
        assert!(write(&mine, Language::Rust, &[Hook::Observer]).is_err());
        assert_eq!(fs::read_dir(&mine).unwrap().count(), 0);
    }
}
