//! Merges key-value files key by key, so that values survive if the other side moves, renames or
//! reorders keys.

mod file;
mod merge;
mod row;
mod syntax;

use std::collections::BTreeMap;

use resolver::{Conflict, Favor, Guest, Pattern, Replacement, Resolution, Sides, config, log};
use serde::Deserialize;
use syntax::Syntax;

resolver::bindings::export!(KeyValue with_types_in resolver::bindings);

struct KeyValue;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// The files and their syntax.
    files: BTreeMap<Pattern, Syntax>,
    /// Keys that upstream renames, from old to new name.
    renamed: BTreeMap<String, String>,
    /// The side whose value wins if both changed it.
    favor: Side,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Side {
    Ours,
    Theirs,
}

const FILES: [(&str, Syntax); 7] = [
    ("data/conf/postfix/main.cf", Syntax::Postfix),
    ("data/conf/dovecot/**/*.conf", Syntax::Dovecot),
    ("data/conf/redis/*.conf", Syntax::Redis),
    ("data/conf/clamav/*.conf", Syntax::Redis),
    ("data/conf/mysql/*.cnf", Syntax::Ini),
    ("data/conf/phpfpm/**/*.conf", Syntax::Ini),
    ("data/conf/phpfpm/**/*.ini", Syntax::Ini),
];

impl Default for Settings {
    fn default() -> Self {
        let files =
            FILES.into_iter().filter_map(|(text, syntax)| Some((Pattern::known(text)?, syntax)));
        Self { files: files.collect(), renamed: BTreeMap::new(), favor: Side::Ours }
    }
}

impl Guest for KeyValue {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let settings: Settings = guest::settings(&config::get())?;
        let Some(syntax) = settings.syntax(&conflict) else { return Ok(Resolution::Pass) };
        let Some(sides) = Sides::of(&conflict)? else { return Ok(Resolution::Pass) };
        let rules = merge::Rules {
            syntax,
            renamed: &settings.renamed,
            favor: settings.favor.into(),
            text_merge: resolver::text_merge,
        };
        match merge::merge(&rules, &sides) {
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

impl Settings {
    fn syntax(&self, conflict: &Conflict<'_>) -> Option<Syntax> {
        self.files.iter().find(|(pattern, _)| pattern.names(conflict)).map(|(_, syntax)| *syntax)
    }
}

impl From<Side> for Favor {
    fn from(side: Side) -> Self {
        match side {
            Side::Ours => Self::Ours,
            Side::Theirs => Self::Theirs,
        }
    }
}

#[cfg(test)]
mod tests {
    use resolver::Kind;

    use super::*;

    fn syntax_of(json: &str, path: &str) -> Option<Syntax> {
        let settings: Settings = guest::settings(json).unwrap();
        settings.syntax(&Conflict {
            path: path.to_owned(),
            kind: Kind::Content,
            collision: None,
            prefers: Favor::Theirs,
            base: None,
            ours: None,
            theirs: None,
        })
    }

    #[test]
    fn without_settings_it_merges_upstream_s_files() {
        assert_eq!(syntax_of("{}", "data/conf/postfix/main.cf"), Some(Syntax::Postfix));
        assert_eq!(syntax_of("{}", "data/conf/dovecot/dovecot.conf"), Some(Syntax::Dovecot));
        assert_eq!(syntax_of("{}", "data/conf/dovecot/conf.d/fts.conf"), Some(Syntax::Dovecot));
        assert_eq!(syntax_of("{}", "data/conf/phpfpm/php-conf.d/other.ini"), Some(Syntax::Ini));
        assert_eq!(syntax_of("{}", "data/conf/postfix/master.cf"), None);
    }

    #[test]
    fn a_site_can_name_others() {
        let json = r#"{"files": {"own/*.conf": "shell"}}"#;
        assert_eq!(syntax_of(json, "own/a.conf"), Some(Syntax::Shell));
        assert_eq!(syntax_of(json, "data/conf/postfix/main.cf"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let error = |json: &str| guest::settings::<Settings>(json).err().unwrap();
        assert!(error(r#"{"rename": {}}"#).contains("did you mean `renamed`?"));
        assert!(error(r#"{"files": {"a": "postfx"}}"#).contains("did you mean `postfix`?"));
        assert!(error(r#"{"files": {"a/": "ini"}}"#).contains("`DIR/**`"));
    }
}
