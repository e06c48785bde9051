//! Moving the site to the merge and back: file by file, each step repeatable, so that a kill anywhere can be finished or undone.

use git2::Oid;
use serde::{Deserialize, Serialize};

use super::merge::{Kept, Merged};
use super::{Branch, Repo, local::Local, oid_text};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::path::SitePath;

/// Everything the switch does, in order, with what was there before. Goes into the journal before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The branch's full name.
    pub reference: String,
    /// Where the branch was.
    #[serde(with = "oid_text")]
    pub from: Oid,
    /// Where it goes.
    #[serde(with = "oid_text")]
    pub to: Oid,
    /// The tree that the working tree held: the site with its uncommitted changes.
    #[serde(with = "oid_text")]
    pub before: Oid,
    /// The tree that the working tree will hold.
    #[serde(with = "oid_text")]
    pub after: Oid,
    /// The index file as it was, as a blob.
    #[serde(with = "oid_text")]
    pub index: Oid,
}

/// Where the site stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Every file, the index and the branch are as before.
    Old,
    /// They are as after.
    New,
    /// Neither: resume or undo.
    Between,
}

impl Switch {
    /// Looks at the working tree and writes down what has to change. Writes objects (the index file, replaced files) only.
    pub fn plan(_repo: &Repo, _branch: &Branch, _local: &Local, _merged: &Merged) -> Result<Self> {
        Err(Error::new("switching is being written"))
    }

    /// The objects that must be held (see [`Repo::hold`]) until the run can no longer be undone, by a name for each.
    pub fn objects(&self) -> Vec<(String, Oid)> {
        Vec::new()
    }

    /// The files that it touches.
    pub fn paths(&self) -> Vec<&SitePath> {
        Vec::new()
    }

    /// Does it: files, then the index, then the branch, whose log gets `message`. Harmless when done already, whole or in part.
    /// Before the first file is touched, it is certain that nobody has changed one since the plan.
    pub fn apply(&self, _repo: &Repo, _message: &str, _events: &Events) -> Result<()> {
        Err(Error::new("switching is being written"))
    }

    /// Brings back files, index and branch as they were. Harmless when done already, whole or in part. What was neither the
    /// old nor the new version (written since) is stored as a blob before it is replaced, and named.
    pub fn undo(&self, _repo: &Repo, _message: &str, _events: &Events) -> Result<Vec<Kept>> {
        Err(Error::new("switching is being written"))
    }

    /// Where the site stands. Reads only.
    pub fn standing(&self, _repo: &Repo) -> Result<Standing> {
        Err(Error::new("switching is being written"))
    }
}
