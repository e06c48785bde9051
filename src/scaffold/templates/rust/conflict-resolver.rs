//! The site's side wins for the paths in `ours`: files, and directories that end with `/`.

use crate::Plugin;
use crate::bindings::exports::cowhand::hooks::conflict_resolver::{Conflict, Guest, Resolution};
use crate::settings::Settings;

impl Guest for Plugin {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let ours = Settings::read()?.ours;
        Ok(if is_ours(&conflict.path, &ours) { Resolution::Ours } else { Resolution::Pass })
    }
}

/// Returns true if a path is in the list.
fn is_ours(path: &str, ours: &[String]) -> bool {
    ours.iter().any(|entry| path == entry || entry.ends_with('/') && path.starts_with(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_for_files_and_directories_match() {
        let ours = ["data/conf/sogo/".to_owned(), "a.conf".to_owned()];
        assert!(is_ours("data/conf/sogo/sogo.conf", &ours));
        assert!(is_ours("a.conf", &ours));
        assert!(!is_ours("a.conf/b", &ours));
    }
}
