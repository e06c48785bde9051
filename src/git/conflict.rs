//! What a merge found: conflicts with who decided them and how, and what the site loses.

use serde::{Deserialize, Serialize};

use crate::path::SitePath;

/// How the two sides of a path disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Both changed the same lines.
    Content,
    /// Both changed a file that is not text.
    Binary,
    /// Both added it, with different content; also a file of the site's in the way of one that upstream adds.
    AddAdd,
    /// The site changed it, upstream deleted it.
    ModifyDelete,
    /// The site deleted it, upstream changed it.
    DeleteModify,
    /// One side renamed it, the other deleted it.
    RenameDelete,
    /// Both renamed it, differently, or two files to one name.
    RenameRename,
    /// A folder on one side, a file on the other.
    DirectoryFile,
    /// Both changed its mode, differently.
    Mode,
    /// A file on one side, a link on the other.
    Type,
    /// A submodule.
    Submodule,
}

/// What kind of the site's file is in the way of one that upstream adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collision {
    /// One that git does not know.
    Untracked,
    /// One that `.gitignore` covers: git itself would overwrite it silently.
    Ignored,
}

/// How a conflict was decided, as it stands in plans and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
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
    /// Content that a plugin made.
    Content,
    /// The path goes.
    Remove,
}

/// One conflict and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The conflicting path.
    pub path: SitePath,
    /// How the sides disagreed.
    pub kind: Kind,
    /// Whether one side is a file that is in no commit.
    pub collision: Option<Collision>,
    /// Who decided: a plugin's name.
    pub plugin: String,
    /// How.
    pub resolution: Resolution,
}

/// What the result of a merge lacks of the changes that the site had made to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The file, by its name in the result; by the site's name where the result has none.
    pub path: SitePath,
    /// The lines, in the order of the file. Empty for what has no lines: a binary file, a mode, a link, a name.
    pub lines: Vec<LostLine>,
}

/// A line that the site had added and that is gone, or had deleted and that is back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostLine {
    /// Its number, from 1: in the site's file where it was added, in the base where it was deleted.
    pub line: u32,
    /// What the site had done with it.
    pub was: Was,
    /// The line, without its end and cut where it is long; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// What a site had done with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Was {
    /// Written it.
    Added,
    /// Taken it out.
    Deleted,
}
