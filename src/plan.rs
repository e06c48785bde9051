//! The plan: everything a run would do. `plan` prints it, `update` shows it and the apply phase
//! carries it out.

use serde::{Deserialize, Serialize};

use crate::git::conflict::{Decision, Loss};
use crate::path::SitePath;
use crate::site::settings;
use crate::stack::change::{ImageChange, PruneItem, ServiceChange};

/// Everything a run would do. Parts that no stage has computed yet (`--until`) are absent or empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The requested switch to another branch of upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchPlan>,
    /// The major releases on the way, whose notes the operator should read.
    #[serde(default)]
    pub major: Vec<MajorRelease>,
    /// Manual steps: the data and settings that no update migrates.
    #[serde(default)]
    pub by_hand: Vec<ByHand>,
    /// The merge, once computed.
    pub merge: Option<MergePlan>,
    /// The change of each service of the old and the new stack.
    pub services: Vec<ServiceChange>,
    /// The networks whose definition changed. If there are any, the stack goes `down` first.
    pub down: Vec<String>,
    /// The images of the merged stack.
    pub images: Vec<ImageChange>,
    /// Files that plugins gave for installation.
    pub files: Vec<PlannedFile>,
    /// The changes to `mailcow.conf` by upstream's functions. Secrets are not shown.
    #[serde(default)]
    pub settings: Vec<settings::Change>,
    /// The actions of update.sh that Cowhand leaves out.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// The candidates of the prune stage: removed and kept ones.
    pub prune: Vec<PruneItem>,
}

/// A switch from one branch to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchPlan {
    /// The branch that the site is on.
    pub from: String,
    /// The branch that it switches to.
    pub to: String,
}

/// A release whose notes the operator should read before the update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MajorRelease {
    /// The release's tag.
    pub release: String,
    /// The URL of its notes.
    pub notes: String,
}

/// A manual step: something that no update migrates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// What is not migrated, and why.
    pub what: String,
    /// What the operator can do.
    pub remedy: String,
}

/// The merge of a plan. Object ids are git's, in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MergePlan {
    /// The merge base.
    pub base: String,
    /// The site's side, with its uncommitted changes.
    pub ours: String,
    /// Upstream's side.
    pub theirs: String,
    /// The tree that apply would check out.
    pub tree: String,
    /// The conflicts and their resolutions.
    pub conflicts: Vec<Decision>,
    /// The local changes that the result does not contain.
    pub losses: Vec<Loss>,
}

/// A file that a plugin gave for installation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Its path.
    pub path: SitePath,
    /// The plugin's name.
    pub plugin: String,
}

/// The candidates of `cowhand prune`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Each candidate.
    pub items: Vec<PruneItem>,
}
