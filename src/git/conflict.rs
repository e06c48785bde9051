//! The findings of a merge: conflicts with their resolutions, and losses.

use serde::{Deserialize, Serialize};

use crate::path::SitePath;

/// The kind of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Both changed the same lines.
    Content,
    /// Both changed a file that is not text.
    Binary,
    /// Both added it with different content, or an uncommitted file of the site is at the path of a
    /// new file of upstream's.
    AddAdd,
    /// The site changed it, upstream deleted it.
    ModifyDelete,
    /// The site deleted it, upstream changed it.
    DeleteModify,
    /// One side renamed it, the other deleted it.
    RenameDelete,
    /// Both renamed it, differently, or two files to one name.
    RenameRename,
    /// A directory on one side, a file on the other.
    DirectoryFile,
    /// Both changed its mode, differently.
    Mode,
    /// A file on one side, a link on the other.
    Type,
    /// A submodule.
    Submodule,
}

/// The kind of an uncommitted file at the path of a new file of upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collision {
    /// Git does not track it.
    Untracked,
    /// `.gitignore` matches it: git itself would overwrite it silently.
    Ignored,
}

/// A resolution, as in plans and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// The whole site's side.
    Ours,
    /// The whole upstream's side.
    Theirs,
    /// Hunk by hunk, the site's in conflicts.
    FavorOurs,
    /// Hunk by hunk, upstream's in conflicts.
    FavorTheirs,
    /// Hunk by hunk, both in conflicts.
    FavorUnion,
    /// Content from a plugin.
    Content,
    /// The path is removed.
    Remove,
}

/// A conflict with its resolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The conflicting path.
    pub path: SitePath,
    /// The kind.
    pub kind: Kind,
    /// Set if one side is an uncommitted file.
    pub collision: Option<Collision>,
    /// The name of the plugin that decided.
    pub plugin: String,
    /// The resolution.
    pub resolution: Resolution,
}

/// The site's changes to one file that the result of a merge lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The file's name in the result, or the site's name if the result lacks the file.
    pub path: SitePath,
    /// The lines, in the order of the file. Empty for a binary file, a mode, a link or a name.
    pub lines: Vec<LostLine>,
}

/// A line that the site added and the result lacks, or that the site deleted and the result has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLine {
    /// Its number, from 1: in the site's file if it was added, in the base if it was deleted.
    pub line: u32,
    /// The site's change.
    pub was: Was,
    /// The line without its end, shortened if it is long. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The site's change of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Was {
    /// Added.
    Added,
    /// Deleted.
    Deleted,
}
