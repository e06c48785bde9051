//! Code that the stock plugins share: configuration with precise errors, and requests that can be
//! read without running the plugin.

use serde::de::DeserializeOwned;

/// Parses a plugin's configuration, the JSON text that `config.get` returns. The error names the
/// wrong key and suggests the nearest valid one.
pub fn settings<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        // The operator wrote TOML, so a position in the JSON means nothing to them.
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        match nearest(what) {
            Some(key) => format!("[plugin.config]: {what}; did you mean `{key}`?"),
            None => format!("[plugin.config]: {what}"),
        }
    })
}

/// Returns the expected name nearest to the one typed, from serde's message
/// "unknown field `sorce`, expected one of `source`, `names`".
fn nearest(message: &str) -> Option<&str> {
    const NEAR_ENOUGH: f64 = 0.6;
    let mut quoted = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let typed = quoted.next()?;
    let scored = quoted.map(|key| (strsim::jaro_winkler(typed, key), key));
    scored
        .filter(|(score, _)| *score >= NEAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, key)| key)
}

/// Embeds a JSON file as the custom section that lists a plugin's requests and their reasons.
#[macro_export]
macro_rules! requests {
    ($file:literal) => {
        #[cfg(target_family = "wasm")]
        #[used]
        #[unsafe(link_section = "cowhand:requests")]
        static REQUESTS: [u8; include_bytes!($file).len()] = *include_bytes!($file);
    };
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Settings {
        #[serde(default)]
        warn_days: u32,
        #[serde(default)]
        names: Vec<String>,
    }

    #[test]
    fn the_error_for_an_unknown_key_suggests_the_nearest() {
        let error = settings::<Settings>(r#"{"warn-dayz": 3}"#).unwrap_err();
        let expected = "[plugin.config]: unknown field `warn-dayz`, expected `warn-days` or \
                        `names`; did you mean `warn-days`?";
        assert_eq!(error, expected);
    }

    #[test]
    fn an_invalid_value_is_reported_without_a_position_in_the_json() {
        let error = settings::<Settings>(r#"{"warn-days": "3"}"#).unwrap_err();
        assert_eq!(error, r#"[plugin.config]: invalid type: string "3", expected u32"#);
    }

    #[test]
    fn known_keys_are_read() {
        let read: Settings = settings(r#"{"warn-days": 3, "names": ["a"]}"#).unwrap();
        assert_eq!((read.warn_days, read.names), (3, vec!["a".to_owned()]));
    }
}
