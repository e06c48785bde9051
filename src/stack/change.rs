//! What an update changes in the stack: services, images and what prune would take away, as plans and reports show it.

use serde::{Deserialize, Serialize};

/// What happens to one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// The service's name in the compose file.
    pub service: String,
    /// What is done with its container.
    pub action: Action,
    /// Why; empty only for `keep`.
    pub reasons: Vec<Reason>,
    /// Whether it stops just before the files change: it is to be another program, and what runs would read the new files at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_first: bool,
}

/// What is done with a service's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Left running.
    Keep,
    /// Restarted as it is, to see changed files.
    Restart,
    /// Replaced by a new one.
    Recreate,
    /// Made anew: the service had none.
    Create,
    /// Taken away: no compose file names the service any more.
    Remove,
}

/// Why a service changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The sort of reason.
    pub kind: ReasonKind,
    /// From what to what, or which paths, keys or services; for people.
    pub detail: String,
}

/// The sort of reason for which a service changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonKind {
    /// Another image.
    Image,
    /// Another configuration.
    Config,
    /// Changed files that it mounts.
    Files,
    /// A network whose definition changed.
    Network,
    /// Another service on which it depends.
    Dependency,
}

/// An image that the merged stack names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChange {
    /// The reference as the compose file has it.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// The digest or image id that the running containers have; none for a new service.
    pub from: Option<String>,
    /// The digest that the registry has; none where it was not asked (offline) or is unknown.
    pub to: Option<String>,
    /// Whether it has to be pulled.
    pub pull: bool,
}

/// Something that prune looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneItem {
    /// What it is.
    pub kind: PruneKind,
    /// The image's id or the volume's name.
    pub id: String,
    /// The image's references, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Its size in bytes, if the engine says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether it goes.
    pub action: PruneAction,
    /// Why it goes or stays.
    pub reason: String,
}

/// What prune looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneKind {
    /// An image.
    Image,
    /// A volume.
    Volume,
}

/// What prune does with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneAction {
    /// It goes.
    Remove,
    /// It stays.
    Keep,
}
