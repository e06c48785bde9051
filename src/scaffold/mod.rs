//! `plugin new`: writes the first version of a plugin in its author's language. The project builds
//! and passes its own tests.

#![expect(clippy::disallowed_methods, reason = "an author's new project is not a site")]

mod project;

use std::fs;
use std::path::Path;

use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::plugin::spec::Hook;

/// The languages with templates. Other languages that build components from WIT work too.
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

/// Writes the project to `folder`, which must not exist yet.
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

/// Returns the commands that build and test a project, one per line.
pub fn commands(language: Language) -> &'static str {
    project::commands(language)
}

/// Checks that cargo, npm and `cowhand.toml` all accept a name.
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
    let hint = "Use words of lowercase letters and digits joined by `-`, each beginning with a \
                letter: `our-window`.";
    Err(Error::new(format!("`{name}` is not a valid plugin name")).exit(Exit::Usage).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_every_tool_accepts_are_valid() {
        for good in ["a", "our-window", "tell2"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "a--b", "-a", "a b", "a-2", "../a"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        for language in [Language::Rust, Language::Python, Language::Javascript] {
            for hooks in [&Hook::ALL[..], &[Hook::Observer]] {
                for (path, text) in project::files("mine", language, hooks) {
                    assert!(!text.contains("{{"), "{language:?}: {path}: {text}");
                }
            }
        }
    }

    #[test]
    fn an_existing_directory_is_left_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine");
        fs::create_dir(&mine).unwrap();
        assert!(write(&mine, Language::Rust, &[Hook::Observer]).is_err());
        assert_eq!(fs::read_dir(&mine).unwrap().count(), 0);
    }
}
