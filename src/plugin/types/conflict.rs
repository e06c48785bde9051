//! Conflicts for resolvers, the text merge, and their decisions.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::path::SitePath;

/// The kind of a conflict.
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
    /// A directory on one side, a file on the other.
    DirectoryFile,
    /// Both changed its mode.
    Mode,
    /// A file on one side, a link on the other.
    Type,
    /// A submodule.
    Submodule,
}

/// An uncommitted file of the site at the path of a new file of upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collision {
    /// Git does not track it.
    Untracked,
    /// `.gitignore` matches it.
    Ignored,
}

/// One conflict.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The path. If the sides have different ones, upstream's, unless upstream has none.
    pub path: SitePath,
    /// The kind.
    pub kind: ConflictKind,
    /// Set if the site's side is not committed.
    pub collision: Option<Collision>,
    /// The site's default: [`Favor::Ours`] or [`Favor::Theirs`].
    pub prefers: Favor,
    /// The base.
    pub base: Option<Version>,
    /// The site's side.
    pub ours: Option<Version>,
    /// Upstream's side.
    pub theirs: Option<Version>,
}

/// The file on one side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its name on that side.
    pub path: SitePath,
    /// Its mode on that side.
    pub mode: FileMode,
}

/// The mode of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    /// A plain file.
    #[default]
    File,
    /// An executable file.
    Executable,
    /// A symbolic link; its content is its target.
    Link,
    /// A submodule, which has no content here.
    Submodule,
    /// A directory, which has no content here.
    Folder,
}

impl FileMode {
    /// Returns true if it has content.
    pub fn has_content(self) -> bool {
        matches!(self, Self::File | Self::Executable | Self::Link)
    }
}

/// One of the three texts of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The base.
    Base,
    /// The site's side.
    Ours,
    /// Upstream's side.
    Theirs,
}

/// Reads the sides of one conflict on demand.
pub trait Blobs: Send + Sync {
    /// Returns the size in bytes. Called only for sides that exist and have content.
    fn size(&self, side: Side) -> Result<u64>;
    /// Returns the whole content. Called only for sides that exist and have content.
    fn read(&self, side: Side) -> Result<Vec<u8>>;
}

/// The host's three-way merge of texts, for plugins.
pub trait TextMerge: Send + Sync {
    /// Merges three texts into hunks, whose sequence is the result. With `favor`, no hunk is a
    /// conflict. Fails if a side is not text.
    fn merge(
        &self,
        base: &[u8],
        ours: &[u8],
        theirs: &[u8],
        favor: Option<Favor>,
    ) -> Result<Vec<Hunk>>;
}

/// The side that wins if both changed the same lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// The site's side.
    Ours,
    /// Upstream's side.
    #[default]
    Theirs,
    /// Both: the site's lines, then upstream's.
    Union,
}

/// A hunk of a text merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunk {
    /// Lines without a conflict, or with a favoured side.
    Clean(Vec<u8>),
    /// Lines that both sides changed.
    Conflict {
        /// The base.
        base: Vec<u8>,
        /// The site's lines.
        ours: Vec<u8>,
        /// Upstream's lines.
        theirs: Vec<u8>,
    },
}

/// A plugin's decision on a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The whole site's side.
    Ours,
    /// The whole upstream's side.
    Theirs,
    /// The merge of both sides, with this side's lines in conflicts. Union is not valid for files
    /// without lines.
    Favor(Favor),
    /// This content.
    Content {
        /// The file's content.
        content: Vec<u8>,
        /// The mode. `None` merges the sides' modes.
        mode: Option<FileMode>,
    },
    /// Remove the path.
    Remove,
}

/// The combined answer of the conflict resolvers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// A decision.
    By {
        /// The plugin that decided.
        plugin: String,
        /// The decision.
        answer: Answer,
    },
    /// Every plugin passed.
    Undecided,
    /// A plugin wants the operator to decide.
    Stop {
        /// The plugin.
        plugin: String,
        /// The reason.
        reason: String,
    },
}

/// The answer of one conflict resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plugin) enum ResolverAnswer {
    Pass,
    Decide(Answer),
    Stop { reason: String },
}
