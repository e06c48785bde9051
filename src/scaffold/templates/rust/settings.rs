//! The site's `[plugin.config]`. An unknown key is an error, because a typo that goes unnoticed is
//! a policy that is not applied.

use crate::bindings::cowhand::hooks::config;

/// The keys and their defaults.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {{{fields}}}

impl Settings {
    /// Reads the settings. They stay the same during a run.
    pub fn read() -> Result<Self, String> {
        serde_json::from_str(&config::get()).map_err(|error| format!("[plugin.config]: {error}"))
    }
}
