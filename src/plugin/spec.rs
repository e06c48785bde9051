//! A plugin's entry in `cowhand.toml`: its source, its grants, and its policies for failures.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::policy::OnFailure;

/// One `[[plugin]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// The name used in messages and reports; unique in the file.
    pub name: String,
    /// A file (relative to the site), `stock:NAME`, an `https://` URL, or a reference in a
    /// registry.
    pub source: String,
    /// The policy for failures. The default depends on the hook.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// True if it is called and recorded, but its answers have no effect.
    #[serde(default)]
    pub monitor: bool,
    /// Its grants. By default it has only memory and time.
    #[serde(default)]
    pub grant: Grant,
    /// The plugin's configuration, passed to it as JSON.
    #[serde(default = "no_config")]
    pub config: serde_json::Value,
}

impl Spec {
    /// Returns an entry with only a source.
    pub fn bare(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            on_failure: OnFailure::default(),
            monitor: false,
            grant: Grant::default(),
            config: no_config(),
        }
    }
}

/// Returns true if a name is valid: it appears in messages, commands and file names.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
}

fn no_config() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// The points of the pipeline at which plugins are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// After the fetch, before the merge.
    PreMerge,
    /// For each conflict.
    ConflictResolver,
    /// After the images are pulled.
    PostPull,
    /// Before superseded images and volumes are removed.
    PrePrune,
    /// For each event.
    Observer,
}

impl Hook {
    /// Every hook, in the pipeline's order.
    pub const ALL: [Self; 5] =
        [Self::PreMerge, Self::ConflictResolver, Self::PostPull, Self::PrePrune, Self::Observer];

    /// Returns the name of its WIT interface, as in `cowhand.toml` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreMerge => "pre-merge",
            Self::ConflictResolver => "conflict-resolver",
            Self::PostPull => "post-pull",
            Self::PrePrune => "pre-prune",
            Self::Observer => "observer",
        }
    }

    /// Returns the hook with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

/// The grants of one plugin. Everything else is denied.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// Directories outside the site that it may read, visible under the same path.
    pub read: Vec<PathBuf>,
    /// Directories of the site for which it may hand over files.
    pub install: Vec<PathBuf>,
    /// Hosts that it may reach: `NAME`, `NAME:PORT`; `http://NAME` also allows plain http.
    pub http: Vec<String>,
    /// Environment variables that it can read.
    pub env: Vec<String>,
    /// Its memory limit.
    pub memory: bytesize::ByteSize,
    /// The time limit of one call.
    pub time: jiff::SignedDuration,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            read: Vec::new(),
            install: Vec::new(),
            http: Vec::new(),
            env: Vec::new(),
            memory: bytesize::ByteSize::mib(64),
            time: jiff::SignedDuration::from_secs(10),
        }
    }
}
