//! The hooks' inputs and answers, in plain Rust. The WIT explains the fields to authors.

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
    /// The commit's id, in hexadecimal.
    pub commit: String,
    /// The branch: `master`, `origin/master`.
    pub branch: String,
}

/// A commit of upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Its parents' ids.
    pub parents: Vec<String>,
    /// The commit's time, in seconds since 1970, UTC.
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
    /// The path; after a rename, the new one.
    pub path: SitePath,
    /// The kind of change.
    #[serde(rename = "kind")]
    pub change: Change,
}

/// The kind of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Added.
    Added,
    /// The content changed, and perhaps the mode.
    Modified,
    /// Only the mode or the type changed.
    Mode,
    /// Removed.
    Deleted,
    /// Renamed from this path.
    Renamed(SitePath),
}

/// The input of pre-merge plugins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PreMerge {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The id of the merge base.
    pub base: String,
    /// The site's side.
    pub ours: End,
    /// Upstream's side.
    pub theirs: End,
    /// The commits that the site lacks, newest first.
    pub commits: Vec<Commit>,
    /// The site's changes since the base, with uncommitted ones.
    pub our_changes: Vec<ChangedPath>,
    /// Upstream's changes since the base.
    pub their_changes: Vec<ChangedPath>,
}

/// The combined answer of the pre-merge plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreMergeVerdict {
    /// Continue.
    Proceed {
        /// Update only to this commit, one of [`PreMerge::commits`]: the oldest if several plugins
        /// named one.
        to: Option<Narrowed>,
        /// Files to install. If plugins gave the same path, the last one counts.
        files: Vec<HandedFile>,
    },
    /// Not now.
    NotNow {
        /// The plugin.
        plugin: String,
        /// The reason.
        reason: String,
        /// The earliest time for another try, if known.
        until: Option<jiff::Timestamp>,
    },
    /// Stop.
    Stop {
        /// The plugin.
        plugin: String,
        /// The reason.
        reason: String,
    },
}

/// An older commit as the update's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The commit's id.
    pub commit: String,
    /// The plugin.
    pub plugin: String,
    /// The reason.
    pub reason: String,
}

/// The input of post-pull plugins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PostPull {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The images of the merged stack, with unchanged ones.
    pub images: Vec<Image>,
}

/// An image of the merged stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Image {
    /// The reference in the compose file.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// The image id of the running containers: `sha256:…`. `None` for a new service.
    pub old_digest: Option<String>,
    /// The image id of the new containers. `None` if the registry gave none.
    pub new_digest: Option<String>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The time of its creation.
    pub created: Option<jiff::Timestamp>,
}

/// The combined answer of the post-pull plugins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostPullVerdict {
    /// Continue.
    Proceed {
        /// Files to install. If plugins gave the same path, the last one counts.
        files: Vec<HandedFile>,
    },
    /// Stop.
    Stop {
        /// The plugin.
        plugin: String,
        /// The reason.
        reason: String,
    },
}

/// The answer of one pre-merge plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PreMergeAnswer {
    Proceed { to: Option<(String, String)>, files: Vec<HandedFile> },
    NotNow { reason: String, until: Option<jiff::Timestamp> },
    Stop { reason: String },
}

/// The answer of one post-pull plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PostPullAnswer {
    Proceed { files: Vec<HandedFile> },
    Stop { reason: String },
}
