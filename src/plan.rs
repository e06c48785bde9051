//! The plan: everything a run would do, as `plan` prints it, `update` shows it and the apply phase carries it out.

use serde::{Deserialize, Serialize};

use crate::git::conflict::{Decision, Loss};
use crate::path::SitePath;
use crate::site::settings;
use crate::stack::change::{ImageChange, PruneItem, ServiceChange};

/// Everything a run would do. Parts that no stage has computed yet (`--until`) are absent or empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// The switch to another branch of upstream, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchPlan>,
    /// The releases on the way whose notes upstream wants read.
    #[serde(default)]
    pub major: Vec<MajorRelease>,
    /// What the update cannot migrate.
    #[serde(default)]
    pub by_hand: Vec<ByHand>,
    /// The merge, once computed.
    pub merge: Option<MergePlan>,
    /// What happens to each service of the old and the new stack.
    pub services: Vec<ServiceChange>,
    /// Networks whose definition changed: the stack goes `down` first. Empty: it does not.
    pub down: Vec<String>,
    /// The images of the merged stack.
    pub images: Vec<ImageChange>,
    /// Files that plugins gave for installation.
    pub files: Vec<PlannedFile>,
    /// What upstream's own functions change in `mailcow.conf`. Secrets are not shown.
    #[serde(default)]
    pub settings: Vec<settings::Change>,
    /// What update.sh would do besides, and Cowhand leaves alone.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// What goes in the end, and what stays although it could go.
    pub prune: Vec<PruneItem>,
}

/// A switch from one branch to another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BranchPlan {
    /// The branch that the site is on.
    pub from: String,
    /// The branch that it is to be on.
    pub to: String,
}

/// A release after which things are different enough for its notes to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MajorRelease {
    /// The release's tag.
    pub release: String,
    /// Its notes.
    pub notes: String,
}

/// Something that no update migrates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// What, and why.
    pub what: String,
    /// What the admin does about it.
    pub remedy: String,
}

/// The merge of a plan. Object ids are git's, in hexadecimal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MergePlan {
    /// The commit that both sides have.
    pub base: String,
    /// The site's side, its uncommitted changes included.
    pub ours: String,
    /// Upstream's side.
    pub theirs: String,
    /// The tree that apply would check out.
    pub tree: String,
    /// The conflicts and who decided them.
    pub conflicts: Vec<Decision>,
    /// What the site had written and the result does not contain.
    pub losses: Vec<Loss>,
}

/// A file that a plugin gave for installation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedFile {
    /// Where it goes.
    pub path: SitePath,
    /// Who gave it.
    pub plugin: String,
}

/// What `cowhand prune` would remove.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Each candidate.
    pub items: Vec<PruneItem>,
}
