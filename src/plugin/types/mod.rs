//! What the pipeline hands to the hooks and what it gets back, in plain Rust. The WIT text says what the fields mean to an author.

use std::collections::BTreeMap;

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use super::handed::HandedFile;
use crate::path::SitePath;

mod conflict;
mod prune;

pub(super) use conflict::ResolverAnswer;
pub use conflict::{
    Answer, Blobs, Collision, Conflict, ConflictKind, Decided, Favor, FileMode, Hunk, Side,
    TextMerge, Version,
};
pub use prune::{Candidate, CandidateKind, Cause, Kept, PrePrune};

/// One end of the update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct End {
    /// Its commit's id, in hexadecimal.
    pub commit: String,
    /// Its branch: `master`, `origin/master`.
    pub branch: String,
}

/// A commit of upstream's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its parents' ids.
    pub parents: Vec<String>,
    /// When it was committed: seconds since 1970, UTC.
    pub time: i64,
    /// The first line of its message.
    pub subject: String,
    /// The tags on it.
    pub tags: Vec<String>,
}

/// A path that one side changed since the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChangedPath {
    /// Where; after a renaming, the new name.
    pub path: SitePath,
    /// What happened.
    #[serde(rename = "kind")]
    pub change: Change,
}

/// What happened to a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is new.
    Added,
    /// Its content changed, and perhaps its mode.
    Modified,
    /// Only its mode or type changed.
    Mode,
    /// It is gone.
    Deleted,
    /// It had this name before.
    Renamed(SitePath),
}

/// What pre-merge plugins are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PreMerge {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The id of the commit that both sides have.
    pub base: String,
    /// The site's side.
    pub ours: End,
    /// Upstream's side.
    pub theirs: End,
    /// The commits that upstream has and the site has not, newest first.
    pub commits: Vec<Commit>,
    /// What the site changed since the base, uncommitted changes included.
    pub our_changes: Vec<ChangedPath>,
    /// What upstream changed since the base.
    pub their_changes: Vec<ChangedPath>,
}

/// What came of asking the pre-merge plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreMergeVerdict {
    /// Go on.
    Proceed {
        /// Only as far as this commit, one of [`PreMerge::commits`]: the oldest where several plugins named one.
        to: Option<Narrowed>,
        /// Files to install; where two plugins gave the same path, the later one's.
        files: Vec<HandedFile>,
    },
    /// Not now.
    NotNow {
        /// Who said so.
        plugin: String,
        /// Why.
        reason: String,
        /// When to try again, if known.
        until: Option<jiff::Timestamp>,
    },
    /// Not at all.
    Stop {
        /// Who said so.
        plugin: String,
        /// Why.
        reason: String,
    },
}

/// An older commit to stop at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The commit's id.
    pub commit: String,
    /// Who said so.
    pub plugin: String,
    /// Why.
    pub reason: String,
}

/// What post-pull plugins are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PostPull {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The images of the merged stack, those that did not change included.
    pub images: Vec<Image>,
}

/// An image of the merged stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// The reference as the compose file has it.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// What the running containers have: `sha256:…`; none for a new service.
    pub old_digest: Option<String>,
    /// What the new ones will have; none where the registry gave none.
    pub new_digest: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
}

/// What came of asking the post-pull plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostPullVerdict {
    /// Go on.
    Proceed {
        /// Files to install; where two plugins gave the same path, the later one's.
        files: Vec<HandedFile>,
    },
    /// Stop.
    Stop {
        /// Who said so.
        plugin: String,
        /// Why.
        reason: String,
    },
}

/// What one pre-merge plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PreMergeAnswer {
    Proceed { to: Option<(String, String)>, files: Vec<HandedFile> },
    NotNow { reason: String, until: Option<jiff::Timestamp> },
    Stop { reason: String },
}

/// What one post-pull plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PostPullAnswer {
    Proceed { files: Vec<HandedFile> },
    Stop { reason: String },
}
