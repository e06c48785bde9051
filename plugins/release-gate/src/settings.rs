//! The plugin's settings.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

use crate::window::Window;

/// `[plugin.config]`
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The maintenance windows. If empty, updates may run at any time.
    pub window: Vec<Window>,
    /// The minimum age of a commit, in seconds.
    #[serde(deserialize_with = "seconds")]
    pub min_age: i64,
    /// The tag that no update goes beyond.
    pub hold_at: Option<String>,
    /// The tag that updates go to, whatever its age.
    pub pin_to: Option<String>,
}

/// Reads the settings.
pub fn read(json: &str) -> Result<Settings, String> {
    let settings: Settings = guest::settings(json)?;
    match (&settings.hold_at, &settings.pin_to) {
        (Some(_), Some(_)) => {
            Err("[plugin.config]: `hold-at` and `pin-to` cannot be combined".to_owned())
        }
        _ => Ok(settings),
    }
}

/// Parses an age such as `3d`, `12h` or `2weeks` into seconds.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    let invalid = |why: &dyn std::fmt::Display| {
        D::Error::custom(format!("`{text}` is not an age such as `3d` or `12h`: {why}"))
    };
    let age = humantime::parse_duration(&text).map_err(|error| invalid(&error))?;
    i64::try_from(age.as_secs()).map_err(|error| invalid(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_s_example_is_understood() {
        let json = r#"{"window": [{"days": ["sat", "sun"], "from": "01:00", "to": "05:00"}],
            "min-age": "3d"}"#;
        let settings = read(json).unwrap();
        assert_eq!((settings.window.len(), settings.min_age), (1, 3 * 24 * 60 * 60));
    }

    #[test]
    fn mistakes_are_named() {
        let mistakes = [
            (r#"{"min-agee": "3d"}"#, "did you mean `min-age`?"),
            (r#"{"min-age": "3 moons"}"#, "`3 moons` is not an age"),
            (
                r#"{"window": [{"days": ["sa"], "from": "01:00", "to": "05:00"}]}"#,
                "did you mean `sat`?",
            ),
            (r#"{"window": [{"from": "25:00", "to": "05:00"}]}"#, "`25:00` is not a time"),
            (r#"{"window": [{"from": "05:00", "to": "05:00"}]}"#, "never open"),
            (r#"{"hold-at": "2026-07", "pin-to": "2026-07"}"#, "cannot be combined"),
        ];
        for (json, expected) in mistakes {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
