//! What the pipeline hands to the hooks and what it gets back, in plain Rust. The WIT text says what the fields mean to an author.

use std::collections::BTreeMap;

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use super::handed::HandedFile;
use crate::error::Result;
use crate::path::SitePath;

/// One end of the update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its commit's id, in hexadecimal.
    pub commit: String,
    /// Its branch: `master`, `origin/master`.
    pub branch: String,
}

/// A commit of upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPath {
    /// Where; after a renaming, the new name.
    pub path: SitePath,
    /// What happened.
    pub change: Change,
}

/// What happened to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug)]
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
    /// The path; where the sides have different ones, upstream's if upstream has one.
    pub path: SitePath,
    /// How the sides disagree.
    pub kind: ConflictKind,
    /// Whether the site's side is in no commit.
    pub collision: Option<Collision>,
    /// What the site wants where nothing else is known: [`Favor::Ours`] or [`Favor::Theirs`].
    pub prefers: Favor,
    /// What both sides started from.
    pub base: Option<Version>,
    /// The site's.
    pub ours: Option<Version>,
    /// Upstream's.
    pub theirs: Option<Version>,
}

/// The file on one side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its name there.
    pub path: SitePath,
    /// What it is there.
    pub mode: FileMode,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// A plain file.
    File,
    /// A file that can be executed.
    Executable,
    /// A symbolic link; its content is its target.
    Link,
    /// A submodule, which has no content here.
    Submodule,
    /// A folder, which has no content here.
    Folder,
}

impl FileMode {
    /// Whether there is something to read.
    pub fn has_content(self) -> bool {
        matches!(self, Self::File | Self::Executable | Self::Link)
    }
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
    /// How many bytes it has; asked only for sides that the conflict has, and that have content.
    fn size(&self, side: Side) -> Result<u64>;
    /// The whole content; asked likewise.
    fn read(&self, side: Side) -> Result<Vec<u8>>;
}

/// The host's three-way merge of texts, offered to plugins.
pub trait TextMerge: Send + Sync {
    /// Merges three texts; the hunks in order make up the result. With `favor`, none of them is a conflict. An error for what
    /// is not text.
    fn merge(&self, base: &[u8], ours: &[u8], theirs: &[u8], favor: Option<Favor>) -> Result<Vec<Hunk>>;
}

/// Whose side wins where both changed the same lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Favor {
    /// The site's.
    Ours,
    /// Upstream's.
    Theirs,
    /// Both: the site's lines, then upstream's.
    Union,
}

/// A piece of a text merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunk {
    /// Lines on which the sides agree, or that one of them changed alone, or that were favoured.
    Clean(Vec<u8>),
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
    /// What does not conflict from both; where lines conflict, as it says. Never the union of what has no lines.
    Favor(Favor),
    /// This content.
    Content {
        /// What the file holds.
        content: Vec<u8>,
        /// A file, an executable or a link; without it, as merged from both sides.
        mode: Option<FileMode>,
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

/// What post-pull plugins are told.
#[derive(Clone, Debug)]
pub struct PostPull {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The images of the merged stack, those that did not change included.
    pub images: Vec<Image>,
}

/// An image of the merged stack.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// What pre-prune plugins are told.
#[derive(Clone, Debug)]
pub struct PrePrune {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// What would go.
    pub candidates: Vec<Candidate>,
    /// The references of the images that the stack now uses.
    pub in_use: Vec<String>,
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
    /// Why it could go.
    pub cause: Cause,
    /// The same for people.
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

/// Why something could go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The release just left used it.
    Previous,
    /// An older release used it.
    Superseded,
    /// Nothing names it.
    Dangling,
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
