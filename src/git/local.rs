//! The site's uncommitted changes, as the commit that `git add -u` and `git commit` would make; nothing moves.

use git2::Oid;
use serde::{Deserialize, Serialize};

use super::{Repo, oid_text};
use crate::error::{Error, Result};

/// What the site is, its uncommitted changes included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The branch's commit.
    #[serde(with = "oid_text")]
    pub head: Oid,
    /// The commit that holds the changes too; `head` where there are none.
    #[serde(with = "oid_text")]
    pub commit: Oid,
    /// Its tree: what the tracked files in the working tree are.
    #[serde(with = "oid_text")]
    pub tree: Oid,
}

impl Local {
    /// Whether there are no uncommitted changes.
    pub fn is_clean(&self) -> bool {
        self.head == self.commit
    }
}

impl Repo {
    /// Makes the commit object. `untracked` takes files along that git neither knows nor ignores.
    pub fn local_changes(
        &self,
        _head: Oid,
        _message: &str,
        _at: &jiff::ZonedDateTime,
        _untracked: bool,
    ) -> Result<Local> {
        Err(Error::new("local changes are being written"))
    }

    /// The uncommitted changes for people and `patch`: a summary, then a diff as git's. Not redacted.
    pub fn local_diff(&self, _local: &Local) -> Result<Vec<u8>> {
        Err(Error::new("local changes are being written"))
    }
}
