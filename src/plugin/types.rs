//! What the pipeline hands to the hooks and what it gets back, in plain Rust. The WIT text says what the fields mean to an author.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::handed::HandedFile;
use crate::error::Result;
use crate::path::SitePath;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its id, in hexadecimal.
    pub id: String,
    /// When it was committed: seconds since 1970, UTC.
    pub time: i64,
    /// The committer's offset from UTC, in minutes.
    pub offset: i32,
    /// The first line of its message.
    pub subject: String,
    /// The tags on it.
    pub tags: Vec<String>,
}

/// A path that one side changed since the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    /// Where.
    pub path: SitePath,
    /// What happened.
    pub change: Change,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content, mode or type differ.
    Modified,
}

/// What pre-merge plugins are told.
#[derive(Clone, Debug)]
pub struct PreMerge {
    /// The time, with the site's offset.
    pub now: jiff::ZonedDateTime,
    /// The site's commit.
    pub ours: Commit,
    /// Upstream's commit.
    pub theirs: Commit,
    /// The commits that upstream has and the site has not, newest first.
    pub commits: Vec<Commit>,
    /// What the site changed since the base.
    pub ours_changed: Vec<ChangedPath>,
    /// What upstream changed since the base.
    pub theirs_changed: Vec<ChangedPath>,
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

/// How the two sides of a path disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both changed the same lines.
    Content,
    /// Both changed a file that is not text.
    Binary,
    /// Both added it.
    AddAdd,
    /// The site changed it, upstream deleted it.
    ModifyDelete,
    /// The site deleted it, upstream changed it.
    DeleteModify,
    /// One side renamed it, the other deleted it.
    RenameDelete,
    /// Both renamed it.
    RenameRename,
    /// A folder on one side, a file on the other.
    DirectoryFile,
    /// Both changed its mode.
    Mode,
    /// A file on one side, a link on the other.
    Type,
    /// A submodule.
    Submodule,
}

/// A file of the site's, in no commit, that is in the way of one that upstream adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collision {
    /// Git does not know it.
    Untracked,
    /// `.gitignore` covers it.
    Ignored,
}

/// One conflict.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The path.
    pub path: SitePath,
    /// How the sides disagree.
    pub kind: ConflictKind,
    /// Whether the site's side is in no commit.
    pub collision: Option<Collision>,
    /// What both sides started from.
    pub base: Option<Entry>,
    /// The site's.
    pub ours: Option<Entry>,
    /// Upstream's.
    pub theirs: Option<Entry>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where this side has it.
    pub path: SitePath,
    /// Git's mode: `0o100644`, `0o100755`, `0o120000`, `0o160000`.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
}

/// One of the three texts of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What both sides started from.
    Base,
    /// The site's.
    Ours,
    /// Upstream's.
    Theirs,
}

/// Reads the sides of one conflict when a plugin asks.
pub trait Blobs: Send + Sync {
    /// The whole content; asked only for sides that the conflict has.
    fn read(&self, side: Side) -> Result<Vec<u8>>;
}

/// The host's three-way merge of texts, offered to plugins.
pub trait TextMerge: Send + Sync {
    /// Merges three texts. The hunks in order make up the result.
    fn merge(&self, base: &[u8], ours: &[u8], theirs: &[u8], favor: Favor) -> Result<Vec<Hunk>>;
}

/// What a text merge does where both sides changed the same lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Favor {
    /// Leaves the conflict.
    Neither,
    /// Takes the site's.
    Ours,
    /// Takes upstream's.
    Theirs,
    /// Takes both, the site's first.
    Union,
}

/// A piece of a text merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunk {
    /// Lines on which the sides agree, or that one of them changed alone, or that were favoured.
    Resolved(Vec<u8>),
    /// Lines that both changed.
    Conflict {
        /// What both started from.
        base: Vec<u8>,
        /// The site's.
        ours: Vec<u8>,
        /// Upstream's.
        theirs: Vec<u8>,
    },
}

/// How a plugin decides a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The site's side, whole.
    Ours,
    /// Upstream's side, whole.
    Theirs,
    /// Hunk by hunk, the site's where they conflict.
    FavorOurs,
    /// Hunk by hunk, upstream's where they conflict.
    FavorTheirs,
    /// Hunk by hunk, both where they conflict.
    FavorUnion,
    /// This content.
    Content {
        /// What the file holds.
        content: Vec<u8>,
        /// Git's mode, `0o100644` or `0o100755`; none keeps what the merge of the modes gives.
        mode: Option<u32>,
    },
    /// The path goes.
    Remove,
}

/// What came of asking the conflict resolvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// Decided.
    By {
        /// Who decided.
        plugin: String,
        /// How.
        answer: Answer,
    },
    /// Every plugin passed.
    Undecided,
    /// A plugin wants a person to look.
    Stop {
        /// Who said so.
        plugin: String,
        /// Why.
        reason: String,
    },
}

/// An image of the merged stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The reference as the compose file has it.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// The digest or id that ran before.
    pub from: Option<String>,
    /// The digest or id that was pulled.
    pub to: Option<String>,
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

/// Something that prune would remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it is.
    pub kind: CandidateKind,
    /// The image's id or the volume's name.
    pub id: String,
    /// The image's references.
    pub references: Vec<String>,
    /// Its size in bytes, if the engine says so.
    pub size: Option<u64>,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether the stack ran it before this update.
    pub previous: bool,
    /// Why it would go.
    pub reason: String,
}

/// What prune looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind {
    /// An image.
    Image,
    /// A volume.
    Volume,
}

/// A candidate that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its [`Candidate::id`].
    pub id: String,
    /// Who keeps it.
    pub plugin: String,
    /// Why.
    pub reason: String,
}

/// What one pre-merge plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PreMergeAnswer {
    Proceed { to: Option<(String, String)>, files: Vec<HandedFile> },
    NotNow { reason: String, until: Option<jiff::Timestamp> },
    Stop { reason: String },
}

/// What one conflict resolver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResolverAnswer {
    Pass,
    Decide(Answer),
    Stop { reason: String },
}

/// What one post-pull plugin says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PostPullAnswer {
    Proceed { files: Vec<HandedFile> },
    Stop { reason: String },
}
