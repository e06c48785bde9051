//! What a conflict is made of, what can be answered to it, and what a merge comes to.

use git2::Oid;
use serde::{Deserialize, Serialize};

use crate::git::conflict::{Collision, Decision, Kind, Loss};
use crate::git::oid_text;
use crate::path::SitePath;

/// What git keeps of a file's type and permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A file: `100644`.
    File,
    /// A file that can be executed: `100755`.
    Executable,
    /// A symbolic link; its content is where it points: `120000`.
    Link,
    /// A submodule; its object is a commit of another repository: `160000`.
    Submodule,
}

impl Mode {
    /// git's number.
    pub fn bits(self) -> u32 {
        match self {
            Self::File => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Link => 0o120_000,
            Self::Submodule => 0o160_000,
        }
    }

    /// The mode of git's number, as git itself reads it: any file that its owner may execute is executable. None for a folder.
    pub fn of_bits(bits: u32) -> Option<Self> {
        match bits & 0o170_000 {
            0o100_000 if bits & 0o100 != 0 => Some(Self::Executable),
            0o100_000 => Some(Self::File),
            0o120_000 => Some(Self::Link),
            0o160_000 => Some(Self::Submodule),
            _ => None,
        }
    }

    /// Whether it is a file, executable or not.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Executable)
    }
}

/// One side's version of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Its name on this side: renames make it differ.
    pub path: SitePath,
    /// Its mode.
    pub mode: Mode,
    /// Its content: a blob; for a submodule a commit.
    #[serde(with = "oid_text")]
    pub oid: Oid,
}

/// A path that the sides disagree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Where its result goes.
    pub path: SitePath,
    /// How the sides disagree.
    pub kind: Kind,
    /// Whether our side is a file of the site that is in no commit.
    pub collision: Option<Collision>,
    /// The version that both come from.
    pub base: Option<Side>,
    /// The site's version.
    pub ours: Option<Side>,
    /// Upstream's version.
    pub theirs: Option<Side>,
}

/// Whose lines win where they conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Favor {
    /// The site's.
    Ours,
    /// Upstream's.
    Theirs,
    /// Both, the site's first.
    Union,
}

/// What is answered to a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The site's side, whole; where it has none, the path goes.
    Ours,
    /// Upstream's side, whole; where it has none, the path goes.
    Theirs,
    /// Hunk by hunk, as git's `-X ours` and `-X theirs` do; what has no hunks (binary, link, mode) is that side's. Where
    /// one side has deleted the file, the other's version stays.
    Favor(Favor),
    /// This content.
    Content {
        /// The bytes; for a link where it points.
        bytes: Vec<u8>,
        /// The mode; without it the one that git would have merged.
        mode: Option<Mode>,
    },
    /// The path goes.
    Remove,
}

/// How the two sides of a merge stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Ours contains theirs already: nothing is to do.
    Contained,
    /// Theirs contains ours: the branch moves forward, without a commit.
    FastForward,
    /// Each has something of its own: a merge commit.
    Diverged,
}

/// A file of the site's that gives way, with its content stored, so that nothing is lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is.
    pub path: SitePath,
    /// Its mode.
    pub mode: Mode,
    /// Its content, stored as a blob.
    #[serde(with = "oid_text")]
    pub oid: Oid,
    /// Whether `.gitignore` covers it.
    pub collision: Collision,
}

/// What a merge comes to. Everything is in objects; nothing of the site has moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// How the sides stood to each other.
    pub relation: Relation,
    /// The commit that both have, the first one where there are several.
    #[serde(with = "oid_text")]
    pub base: Oid,
    /// The site's side.
    #[serde(with = "oid_text")]
    pub ours: Oid,
    /// Upstream's side.
    #[serde(with = "oid_text")]
    pub theirs: Oid,
    /// The commit that the branch moves to: "After update on …", or one of the sides where no merge commit is due.
    #[serde(with = "oid_text")]
    pub commit: Oid,
    /// Its tree.
    #[serde(with = "oid_text")]
    pub tree: Oid,
    /// The conflicts and who decided them.
    pub decisions: Vec<Decision>,
    /// What the site had written and the result does not contain.
    pub losses: Vec<Loss>,
    /// The site's uncommitted files that give way to the result.
    pub kept: Vec<Kept>,
}
