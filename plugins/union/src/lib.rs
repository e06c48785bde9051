//! Merges lists entry by entry: the result has every entry that either side added, none that either
//! side deleted, and no duplicates.

mod list;

use list::Kind;
use resolver::{Conflict, Guest, Patterns, Replacement, Resolution, Sides, config, log};
use serde::Deserialize;

resolver::bindings::export!(Union with_types_in resolver::bindings);

struct Union;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Files in which each line is an entry.
    lists: Patterns,
    /// Files in which the first word of each line is the entry's name.
    tables: Patterns,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lists: Patterns::known(&["data/conf/rspamd/custom/*.map"]),
            tables: Patterns::known(&["data/conf/postfix/*.cidr"]),
        }
    }
}

impl Guest for Union {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let Some(kind) = kind(&guest::settings(&config::get())?, &conflict) else {
            return Ok(Resolution::Pass);
        };
        let Some(sides) = Sides::of(&conflict)? else { return Ok(Resolution::Pass) };
        match list::merge(kind, &sides) {
            Ok(text) => {
                Ok(Resolution::Content(Replacement { content: text.into_bytes(), mode: None }))
            }
            Err(why) => {
                log::write(
                    log::Level::Info,
                    &format!("{} is left to the next resolver: {why}", conflict.path),
                );
                Ok(Resolution::Pass)
            }
        }
    }
}

fn kind(settings: &Settings, conflict: &Conflict<'_>) -> Option<Kind> {
    if settings.tables.names(conflict) {
        Some(Kind::Table)
    } else {
        settings.lists.names(conflict).then_some(Kind::List)
    }
}

#[cfg(test)]
mod tests {
    use resolver::{Favor, Kind as Conflicting};

    use super::*;

    fn kind_of(json: &str, path: &str) -> Option<Kind> {
        let conflict = Conflict {
            path: path.to_owned(),
            kind: Conflicting::Content,
            collision: None,
            prefers: Favor::Theirs,
            base: None,
            ours: None,
            theirs: None,
        };
        kind(&guest::settings(json).unwrap(), &conflict)
    }

    #[test]
    fn without_settings_it_merges_upstream_s_lists() {
        assert_eq!(kind_of("{}", "data/conf/postfix/postscreen_access.cidr"), Some(Kind::Table));
        assert_eq!(kind_of("{}", "data/conf/rspamd/custom/bad_words.map"), Some(Kind::List));
        assert_eq!(kind_of("{}", "data/conf/postfix/main.cf"), None);
    }

    #[test]
    fn a_site_can_name_others() {
        let json = r#"{"lists": ["data/own/*"]}"#;
        assert_eq!(kind_of(json, "data/own/list"), Some(Kind::List));
        assert_eq!(kind_of(json, "data/conf/rspamd/custom/bad_words.map"), None);
        assert!(
            guest::settings::<Settings>(r#"{"list": []}"#)
                .err()
                .unwrap()
                .contains("did you mean `lists`?")
        );
    }
}
