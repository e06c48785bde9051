//! A cache of resolved configurations: compose takes a second to resolve one.

#![expect(
    clippy::disallowed_methods,
    reason = "compose reads these files by their paths too, and only a match of all is used"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::compose::ComposeFiles;
use super::resolved::Resolved;

/// The keys with which a compose file refers to files that [`Key`] does not cover.
const MORE_FILES: [&str; 4] = ["include", "extends", "env_file", "label_file"];

/// The input that a resolution depends on, except the environment, which does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    project_directory: PathBuf,
    project_name: Option<String>,
    texts: Vec<Vec<u8>>,
}

impl Key {
    /// Returns the key; `None` if the configuration may depend on more than these files.
    pub(super) fn of(files: &ComposeFiles) -> Option<Self> {
        let env_file =
            files.env_file.clone().unwrap_or_else(|| files.project_directory.join(".env"));
        let paths = files.files.iter().chain([&env_file]);
        let texts = paths.map(|path| fs::read(path).ok()).collect::<Option<Vec<_>>>()?;
        let refers = |text: &Vec<u8>| {
            let text = String::from_utf8_lossy(text);
            MORE_FILES.iter().any(|word| text.contains(word))
        };
        let (project_directory, project_name) =
            (files.project_directory.clone(), files.project_name.clone());
        let whole = !files.files.is_empty() && !texts.iter().any(refers);
        whole.then_some(Self { project_directory, project_name, texts })
    }
}

/// The configurations resolved so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered(Arc<Mutex<Vec<(Key, Resolved)>>>);

impl Remembered {
    pub(super) fn find(&self, key: &Key) -> Option<Resolved> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| known == key).map(|(_, resolved)| resolved.clone())
    }

    pub(super) fn add(&self, key: Key, resolved: &Resolved) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((key, resolved.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_known_wherever_it_stands_and_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let files = |name: &str, text: &str| ComposeFiles {
            project_directory: folder.path().into(),
            files: vec![write(name, text)],
            ..ComposeFiles::default()
        };
        assert_eq!(Key::of(&files("a.yml", "services: {}")), None, "there is no .env");
        write(".env", "A=1\n");
        let (remembered, resolved) =
            (Remembered::default(), Resolved { project: "p".to_owned(), ..Resolved::default() });
        remembered.add(Key::of(&files("a.yml", "services: {}")).unwrap(), &resolved);
        let find = |files: &ComposeFiles| Key::of(files).and_then(|key| remembered.find(&key));
        assert_eq!(find(&files("b.yml", "services: {}")), Some(resolved));
        assert_eq!(find(&files("b.yml", "services: {x: {}}")), None);
        write(".env", "A=2\n");
        assert_eq!(find(&files("b.yml", "services: {}")), None);
        for text in [
            "include: [d.yml]",
            "include : [d.yml]",
            r#"{"services": {"x": {"env_file" : "d.env"}}}"#,
        ] {
            assert_eq!(Key::of(&files("c.yml", text)), None, "{text}");
        }
    }
}
