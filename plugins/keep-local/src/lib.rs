//! Keeps the site's side of the files named in its settings: whole, or hunk by hunk.

use resolver::{Collision, Conflict, Favor, Guest, Kind, Patterns, Resolution, config};
use serde::Deserialize;

resolver::bindings::export!(KeepLocal with_types_in resolver::bindings);

struct KeepLocal;

/// `[plugin.config]`
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Files that stay whole as the site has them.
    whole: Patterns,
    /// Files that are merged, with the site's lines where both sides changed the same ones.
    hunks: Patterns,
}

impl Guest for KeepLocal {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        Ok(decide(&guest::settings(&config::get())?, &conflict))
    }
}

fn decide(settings: &Settings, conflict: &Conflict<'_>) -> Resolution {
    if settings.whole.names(conflict) {
        return Resolution::Ours;
    }
    if !settings.hunks.names(conflict) {
        return Resolution::Pass;
    }
    match (&conflict.kind, &conflict.collision) {
        (Kind::Other(_), _) | (_, Some(Collision::Other(_))) => Resolution::Pass,
        (Kind::Content | Kind::AddAdd, _) => Resolution::Favor(Favor::Ours),
        // The conflict has no hunks, so no part of the file can be upstream's.
        _ => Resolution::Ours,
    }
}

#[cfg(test)]
mod tests {
    use resolver::{Mode, Version};

    use super::*;

    const SETTINGS: &str = r#"{"whole": ["data/conf/nginx/**"], "hunks": ["data/conf/sogo/*"]}"#;

    fn conflict(path: &str, kind: Kind) -> Conflict<'static> {
        let path = path.to_owned();
        let version = Some(Version { path: path.clone(), mode: Mode::File, content: None });
        Conflict {
            path,
            kind,
            collision: None,
            prefers: Favor::Theirs,
            base: version,
            ours: None,
            theirs: None,
        }
    }

    fn decided(path: &str, kind: Kind) -> Resolution {
        decide(&guest::settings(SETTINGS).unwrap(), &conflict(path, kind))
    }

    #[test]
    fn a_file_is_kept_whole_whatever_upstream_did_to_it() {
        for kind in
            [Kind::Content, Kind::ModifyDelete, Kind::AddAdd, Kind::Binary, Kind::DeleteModify]
        {
            assert!(matches!(decided("data/conf/nginx/site.conf", kind), Resolution::Ours));
        }
    }

    #[test]
    fn hunks_are_kept_if_there_are_any_or_else_the_file() {
        assert!(matches!(
            decided("data/conf/sogo/plist_ldap", Kind::Content),
            Resolution::Favor(Favor::Ours)
        ));
        for kind in [Kind::ModifyDelete, Kind::DeleteModify, Kind::Binary, Kind::Mode] {
            assert!(matches!(decided("data/conf/sogo/plist_ldap", kind), Resolution::Ours));
        }
    }

    #[test]
    fn files_not_named_and_unknown_kinds_are_passed_on() {
        assert!(matches!(decided("data/conf/sogo/deeper/file", Kind::Content), Resolution::Pass));
        assert!(matches!(
            decided("data/conf/sogo/file", Kind::Other("new".to_owned())),
            Resolution::Pass
        ));
    }

    #[test]
    fn a_mistake_in_the_settings_is_named() {
        let error = |json: &str| guest::settings::<Settings>(json).err().unwrap();
        assert!(error(r#"{"hunk": []}"#).contains("did you mean `hunks`?"));
        assert!(error(r#"{"whole": ["data/conf/"]}"#).contains("`DIR/**`"));
    }
}
