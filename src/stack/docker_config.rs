//! Docker's configuration, as the `docker` command reads it: which engine is meant, and where its plugins lie.

#![expect(clippy::disallowed_methods, reason = "Docker's settings of the caller")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Context, Result};

/// A variable of the environment; an empty one counts as unset.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folder that has it, if these variables tell.
pub(super) fn folder(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")))
}

/// What the folder's `config.json` says.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DockerConfig {
    /// The context that `docker context use` chose; empty where none is.
    #[serde(rename = "currentContext")]
    pub(super) context: String,
    /// Whatever stands there, an engine can be talked to.
    #[serde(rename = "cliPluginsExtraDirs")]
    plugins: serde_json::Value,
}

impl DockerConfig {
    /// The file's name.
    pub(super) const FILE: &str = "config.json";

    /// More folders of plugins, to be looked through first.
    pub(super) fn plugins(&self) -> Vec<PathBuf> {
        let folders = self.plugins.as_array().into_iter().flatten();
        folders.filter_map(|folder| Some(PathBuf::from(folder.as_str()?))).collect()
    }

    /// Reads it from the folder. Where it is not, nothing is configured.
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
