//! The path patterns that a site writes.

use std::fmt;

use glob::MatchOptions;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::Conflict;

/// `*`, `?` and `[…]` do not match `/`; `**` does. A leading dot is matched like any character.
const RULES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// One pattern: `data/conf/sogo/**`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(glob::Pattern);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let wrong = |why: &dyn fmt::Display| {
            D::Error::custom(format!("`{text}` is not a valid path pattern: {why}"))
        };
        if text.starts_with('/') || text.ends_with('/') {
            return Err(wrong(
                &"patterns are relative to the site's directory; \
                  `DIR/**` matches everything below a directory",
            ));
        }
        glob::Pattern::new(&text).map(Self).map_err(|error| wrong(&error))
    }
}

impl Pattern {
    /// Creates a pattern from a literal. `None` if it is invalid.
    pub fn known(text: &str) -> Option<Self> {
        glob::Pattern::new(text).ok().map(Self)
    }

    /// Returns true if it matches any name of the file in conflict.
    pub fn names(&self, conflict: &Conflict<'_>) -> bool {
        let sides = [&conflict.base, &conflict.ours, &conflict.theirs].into_iter().flatten();
        std::iter::once(&conflict.path)
            .chain(sides.map(|version| &version.path))
            .any(|path| self.0.matches_with(path, RULES))
    }
}

/// Several patterns.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Patterns(Vec<Pattern>);

impl Patterns {
    /// Returns true if one of them matches the file in conflict.
    pub fn names(&self, conflict: &Conflict<'_>) -> bool {
        self.0.iter().any(|pattern| pattern.names(conflict))
    }

    /// Creates patterns from literals, leaving out invalid ones.
    pub fn known(patterns: &[&str]) -> Self {
        Self(patterns.iter().filter_map(|text| Pattern::known(text)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Mode, Version};

    fn conflict(path: &str, ours: &str) -> Conflict<'static> {
        let ours = Version { path: ours.to_owned(), mode: Mode::File, content: None };
        Conflict {
            path: path.to_owned(),
            kind: Kind::Content,
            collision: None,
            prefers: crate::Favor::Theirs,
            base: None,
            ours: Some(ours),
            theirs: None,
        }
    }

    fn names(pattern: &str, path: &str) -> bool {
        Patterns::known(&[pattern]).names(&conflict(path, path))
    }

    #[test]
    fn one_star_matches_within_a_directory_and_two_match_across() {
        assert!(
            names("data/conf/*.conf", "data/conf/a.conf")
                && names("data/conf/*", "data/conf/.hidden")
        );
        assert!(!names("data/conf/*.conf", "data/conf/sub/a.conf"));
        assert!(
            names("data/conf/**/*.conf", "data/conf/sub/sub/a.conf")
                && names("data/**", "data/conf/a")
        );
        assert!(!names("data/conf", "data/conf/a") && !names("conf/**", "data/conf/a"));
    }

    #[test]
    fn the_name_on_the_site_s_side_counts_too() {
        assert!(Patterns::known(&["old/*"]).names(&conflict("new/name", "old/name")));
    }

    #[test]
    fn invalid_patterns_are_refused() {
        let read = |json: &str| {
            let text = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(json);
            Pattern::deserialize(text)
        };
        assert!(read("data/[").unwrap_err().to_string().contains("is not a valid path pattern"));
        assert!(read("data/conf/").unwrap_err().to_string().contains("`DIR/**`"));
        assert!(read("data/conf/**").is_ok());
    }
}
