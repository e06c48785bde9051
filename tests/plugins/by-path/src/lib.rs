//! Decides conflicts by path: `ours` and `theirs` are lists of files, and of directories that end
//! with `/`.

use cowhand::hooks::config;
use exports::cowhand::hooks::conflict_resolver::{Conflict, Guest, Resolution};

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "conflict-resolver-plugin" });

struct ByPath;

export!(ByPath);

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    ours: Vec<String>,
    theirs: Vec<String>,
}

impl Guest for ByPath {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let settings = serde_json::from_str(&config::get()).map_err(|error| error.to_string())?;
        Ok(decide(&settings, &conflict.path))
    }
}

fn decide(settings: &Settings, path: &str) -> Resolution {
    let named = |list: &[String]| {
        list.iter().any(|entry| path == entry || entry.ends_with('/') && path.starts_with(entry))
    };
    if named(&settings.ours) {
        Resolution::Ours
    } else if named(&settings.theirs) {
        Resolution::Theirs
    } else {
        Resolution::Pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_for_files_and_directories_match() {
        let settings = Settings {
            ours: vec!["data/conf/sogo/".into(), "a.conf".into()],
            theirs: vec!["b.conf".into()],
        };
        assert!(matches!(decide(&settings, "data/conf/sogo/sogo.conf"), Resolution::Ours));
        assert!(matches!(decide(&settings, "a.conf"), Resolution::Ours));
        assert!(matches!(decide(&settings, "b.conf"), Resolution::Theirs));
        assert!(matches!(decide(&settings, "a.conf/b"), Resolution::Pass));
    }
}
