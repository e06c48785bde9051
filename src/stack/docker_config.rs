//! Docker's configuration, as the `docker` command reads it: the engine and the plugin directories.

#![expect(clippy::disallowed_methods, reason = "Docker's settings of the caller")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Context, Result};

/// Returns an environment variable; `None` if it is unset or empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the directory of the configuration; `None` if no variable names it.
pub(super) fn folder(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")))
}

/// The content of `config.json`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DockerConfig {
    /// The context that `docker context use` chose; empty if none.
    #[serde(rename = "currentContext")]
    pub(super) context: String,
    /// Any JSON value: an invalid one must not prevent a connection to the engine.
    #[serde(rename = "cliPluginsExtraDirs")]
    plugins: serde_json::Value,
}

impl DockerConfig {
    /// The file's name.
    pub(super) const FILE: &str = "config.json";

    /// Returns the additional plugin directories, which are searched first.
    pub(super) fn plugins(&self) -> Vec<PathBuf> {
        let folders = self.plugins.as_array().into_iter().flatten();
        folders.filter_map(|folder| Some(PathBuf::from(folder.as_str()?))).collect()
    }

    /// Reads it from the directory. A missing file is an empty configuration.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .what_with(|| format!("{} is not valid", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).what_with(|| format!("could not read {}", path.display())),
        }
    }
}
