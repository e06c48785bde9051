//! What the stock plugins share: a configuration with precise errors, and requests that can be read without running the plugin.

use serde::de::DeserializeOwned;

/// Reads a plugin's configuration, the JSON text that `config.get` gives. The error names the key, and the nearest one that exists.
pub fn settings<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        let message = error.to_string();
        // The place in the JSON says nothing to who wrote TOML.
        let what = message.rsplit_once(" at line ").map_or(message.as_str(), |(what, _)| what);
        match nearest(what) {
            Some(key) => format!("[plugin.config]: {what}; did you mean `{key}`?"),
            None => format!("[plugin.config]: {what}"),
        }
    })
}

/// serde says "unknown field `sorce`, expected one of `source`, `names`": the nearest of those expected.
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

/// Puts the text of a JSON file into the custom section that tells what a plugin requests, and why.
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
    fn an_unknown_key_names_the_nearest() {
        let error = settings::<Settings>(r#"{"warn-dayz": 3}"#).unwrap_err();
        let told = "[plugin.config]: unknown field `warn-dayz`, expected `warn-days` or `names`; did you mean `warn-days`?";
        assert_eq!(error, told);
    }

    #[test]
    fn a_wrong_value_is_told_without_a_place_in_the_json() {
        let error = settings::<Settings>(r#"{"warn-days": "3"}"#).unwrap_err();
        assert_eq!(error, r#"[plugin.config]: invalid type: string "3", expected u32"#);
    }

    #[test]
    fn what_is_known_is_read() {
        let read: Settings = settings(r#"{"warn-days": 3, "names": ["a"]}"#).unwrap();
        assert_eq!((read.warn_days, read.names), (3, vec!["a".to_owned()]));
    }
}
