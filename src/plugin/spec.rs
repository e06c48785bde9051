//! What a site says about a plugin in `cowhand.toml`: where it comes from, what it may do, and what happens when it fails.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::policy::OnFailure;

/// One `[[plugin]]` table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spec {
    /// The name used in messages and reports; unique in the file.
    pub name: String,
    /// A file (relative to the site), `stock:NAME`, an `https://` address, or a reference in a registry.
    pub source: String,
    /// What happens when it fails; the hook's own default where nothing is said.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Whether it is asked and recorded, and nothing comes of its answers.
    #[serde(default)]
    pub monitor: bool,
    /// What it may do: nothing beyond the defaults where nothing is said.
    #[serde(default)]
    pub grant: Grant,
    /// Handed to the plugin as it stands, as JSON.
    #[serde(default = "no_config")]
    pub config: serde_json::Value,
}

impl Spec {
    /// A plugin of which nothing is said but where it comes from.
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

/// Whether this can be a plugin's name: it stands in messages, commands and file names.
pub fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['.', '-'])
}

fn no_config() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// The points of the pipeline at which plugins are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// After the fetch, before the merge.
    PreMerge,
    /// For each conflict.
    ConflictResolver,
    /// After the images are there.
    PostPull,
    /// Before superseded images and volumes go.
    PrePrune,
    /// For each event.
    Observer,
}

impl Hook {
    /// Every hook, in the pipeline's order.
    pub const ALL: [Self; 5] =
        [Self::PreMerge, Self::ConflictResolver, Self::PostPull, Self::PrePrune, Self::Observer];

    /// The name of its WIT interface, as it stands in `cowhand.toml` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::PreMerge => "pre-merge",
            Self::ConflictResolver => "conflict-resolver",
            Self::PostPull => "post-pull",
            Self::PrePrune => "pre-prune",
            Self::Observer => "observer",
        }
    }

    /// The hook of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

/// What a site allows one plugin. Everything that is not named is denied.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Grant {
    /// Folders outside the site that it may read; it sees them under the same path.
    pub read: Vec<PathBuf>,
    /// Folders of the site into which it may hand over files for installation.
    pub install: Vec<PathBuf>,
    /// Hosts it may reach: `NAME`, `NAME:PORT`; `http://NAME` allows plain http too.
    pub http: Vec<String>,
    /// Environment variables it may see.
    pub env: Vec<String>,
    /// How much memory it may have.
    pub memory: bytesize::ByteSize,
    /// How long one call may take.
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
