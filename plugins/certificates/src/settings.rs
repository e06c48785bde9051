//! The plugin's settings.

use serde::Deserialize;

/// `[plugin.config]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The directory of an ACME client outside the site.
    pub source: Option<String>,
    /// The certificate's file name in `source`.
    pub certificate: String,
    /// The key's file name in `source`.
    pub key: String,
    /// The host names that the certificate has to cover.
    pub names: Vec<String>,
    /// The number of days before its expiry from which a certificate is reported.
    pub warn_days: i64,
    /// The effect of a problem.
    pub on_problem: OnProblem,
}

/// The effect of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnProblem {
    /// Log a warning.
    Warn,
    /// Stop the run.
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
