//! Changes of the stack as plans and reports show them: services, images and prune items.

use serde::{Deserialize, Serialize};

/// The change of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// The service's name in the compose file.
    pub service: String,
    /// The action on its container.
    pub action: Action,
    /// The reasons; empty only for `keep`.
    pub reasons: Vec<Reason>,
    /// True if it stops just before the files change: its program changes, and the old one would
    /// read the new files at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_first: bool,
}

/// The action on a service's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Left running.
    Keep,
    /// Restarted as it is, to see changed files.
    Restart,
    /// Replaced by a new one.
    Recreate,
    /// Created: the service had none.
    Create,
    /// Removed: no compose file names the service any more.
    Remove,
}

/// A reason why a service changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The kind of reason.
    pub kind: ReasonKind,
    /// The old and new values, or the paths, keys or services; for people.
    pub detail: String,
}

/// The kind of reason why a service changes.
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
    /// The digest or image id of the running containers; `None` for a new service.
    pub from: Option<String>,
    /// The registry's digest; `None` if it was not asked (offline) or is unknown.
    pub to: Option<String>,
    /// True if it must be pulled.
    pub pull: bool,
}

/// A candidate for prune.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneItem {
    /// Its kind.
    pub kind: PruneKind,
    /// The image's id or the volume's name.
    pub id: String,
    /// The image's references, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Its size in bytes; `None` if the engine reports none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The decision.
    pub action: PruneAction,
    /// The reason for the decision.
    pub reason: String,
}

/// The kind of a candidate for prune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneKind {
    /// An image.
    Image,
    /// A volume.
    Volume,
}

/// The decision on a candidate for prune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneAction {
    /// Remove it.
    Remove,
    /// Keep it.
    Keep,
}
