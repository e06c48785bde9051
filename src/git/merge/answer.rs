//! Conflicts, their answers, and the result of a merge.

use git2::Oid;
use serde::{Deserialize, Serialize};

use crate::git::conflict::{Collision, Decision, Kind, Loss};
use crate::git::oid_text;
use crate::path::SitePath;

/// The type and permissions of a file, as git stores them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A file: `100644`.
    File,
    /// An executable file: `100755`.
    Executable,
    /// A symbolic link whose content is its target: `120000`.
    Link,
    /// A submodule whose object is a commit of another repository: `160000`.
    Submodule,
}

impl Mode {
    /// Returns git's number.
    pub fn bits(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Link => 0o120_000,
            Self::Submodule => 0o160_000,
        }
    }

    /// Returns the mode of git's number, as git reads it: a file that its owner may execute is
    /// executable. `None` for a directory.
    pub fn of_bits(bits: u32) -> Option<Self> {
        match bits & 0o170_000 {
            0o100_000 if bits & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Link),
            0o160_000 => Some(Self::Submodule),
            _ => None,
        }
    }

    /// Returns true for a file, executable or not.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }
}

/// One side's version of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its name on this side, which differs after renames.
    pub path: SitePath,
    /// Its mode.
    pub mode: Mode,
    /// Its content: a blob, or a commit for a submodule.
    #[serde(with = "oid_text")]
    pub oid: Oid,
}

/// A path that the sides disagree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The path of its result.
    pub path: SitePath,
    /// The kind.
    pub kind: Kind,
    /// Set if our side is an uncommitted file of the site.
    pub collision: Option<Collision>,
    /// The base version.
    pub base: Option<Side>,
    /// The site's version.
    pub ours: Option<Side>,
    /// Upstream's version.
    pub theirs: Option<Side>,
}

/// The side whose lines win in conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// The site's side.
    Ours,
    /// Upstream's side.
    Theirs,
    /// Both, the site's first.
    Union,
}

/// The answer to a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The whole site's side. If it has no file, the path is removed.
    Ours,
    /// The whole upstream's side. If it has no file, the path is removed.
    Theirs,
    /// Hunk by hunk, as with git's `-X ours` and `-X theirs`. Files without hunks (binary, link,
    /// mode) are that side's. If one side deleted the file, the other's version stays.
    Favor(Favor),
    /// This content.
    Content {
        /// The bytes, or a link's target.
        bytes: Vec<u8>,
        /// The mode. `None` uses the mode of git's merge.
        mode: Option<Mode>,
    },
    /// The path is removed.
    Remove,
}

/// The relation of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Ours contains theirs: nothing to do.
    Contained,
    /// Theirs contains ours: a fast-forward, without a commit.
    FastForward,
    /// Each has commits of its own: a merge commit.
    Diverged,
}

/// An uncommitted file of the site that is replaced, with its content stored so that nothing is
/// lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its path.
    pub path: SitePath,
    /// Its mode.
    pub mode: Mode,
    /// Its content, stored as a blob.
    #[serde(with = "oid_text")]
    pub oid: Oid,
    /// True if `.gitignore` matches it.
    pub collision: Collision,
}

/// The result of a merge. Everything is in objects; the site is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The relation of the sides.
    pub relation: Relation,
    /// The merge base, or the first one of several.
    #[serde(with = "oid_text")]
    pub base: Oid,
    /// The site's side.
    #[serde(with = "oid_text")]
    pub ours: Oid,
    /// Upstream's side.
    #[serde(with = "oid_text")]
    pub theirs: Oid,
    /// The branch's new commit: "After update on …", or one of the sides if no merge commit is
    /// needed.
    #[serde(with = "oid_text")]
    pub commit: Oid,
    /// Its tree.
    #[serde(with = "oid_text")]
    pub tree: Oid,
    /// The conflicts and their resolutions.
    pub decisions: Vec<Decision>,
    /// The local changes that the result lacks.
    pub losses: Vec<Loss>,
    /// The site's uncommitted files that the result replaces.
    pub kept: Vec<Kept>,
}
