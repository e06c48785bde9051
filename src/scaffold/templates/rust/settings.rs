//! What the site says in `[plugin.config]`. An unknown key is an error: a typo that goes unnoticed is a policy that does not hold.

use crate::bindings::cowhand::hooks::config;

/// The keys and their defaults.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {{{fields}}}

impl Settings {
    /// Reads them. The same during a whole run.
    pub fn read() -> Result<Self, String> {
        serde_json::from_str(&config::get()).map_err(|error| format!("[plugin.config]: {error}"))
    }
}
