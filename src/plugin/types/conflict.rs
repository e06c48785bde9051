//! What conflict resolvers are told, what they may ask, and what comes of it.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::path::SitePath;

/// How the two sides of a path disagree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Both changed the same lines.
    #[default]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    /// A plain file.
    #[default]
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
    fn merge(
        &self,
        base: &[u8],
        ours: &[u8],
        theirs: &[u8],
        favor: Option<Favor>,
    ) -> Result<Vec<Hunk>>;
}

/// Whose side wins where both changed the same lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// The site's.
    Ours,
    /// Upstream's.
    #[default]
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

/// What one conflict resolver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plugin) enum ResolverAnswer {
    Pass,
    Decide(Answer),
    Stop { reason: String },
}
