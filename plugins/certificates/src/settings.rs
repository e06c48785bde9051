//! The settings.

use serde::Deserialize;

/// `[plugin.config]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The folder of an ACME client outside the site.
    pub source: Option<String>,
    /// The certificate's name there.
    pub certificate: String,
    /// Its key's name there.
    pub key: String,
    /// The names that the site's certificate has to cover.
    pub names: Vec<String>,
    /// How many days before its end a certificate is named.
    pub warn_days: i64,
    /// What a problem does.
    pub on_problem: OnProblem,
}

/// What a problem does.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnProblem {
    /// It is named.
    Warn,
    /// The run ends.
    Stop,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: None,
            certificate: "fullchain.pem".to_owned(),
            key: "privkey.pem".to_owned(),
            names: Vec::new(),
            warn_days: 14,
            on_problem: OnProblem::Warn,
        }
    }
}
