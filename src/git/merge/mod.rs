//! The three-way merge, in memory and without a favoured side: every conflict is offered before anything decides it.

mod answer;

pub use answer::{Answer, Conflict, Favor, Kept, Merged, Mode, Relation, Side};

use git2::Oid;

use crate::error::{Error, Result};
use crate::git::Repo;

/// What a merge needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// What upstream's side is called where a name is needed: `origin/master`.
    pub label: String,
    /// The largest content that an answer may give, in bytes.
    pub limit: u64,
}

/// A merge under way. It writes objects and nothing else.
pub struct Merge<'r> {
    repo: &'r Repo,
    conflicts: Vec<Conflict>,
}

impl<'r> Merge<'r> {
    /// Merges `theirs` into `ours` as far as nothing conflicts.
    pub fn new(repo: &'r Repo, _ours: Oid, _theirs: Oid, _options: Options) -> Result<Self> {
        let _ = Self { repo, conflicts: Vec::new() };
        Err(Error::new("merging is being written"))
    }

    /// The conflicts, in the order of their paths.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Decides one conflict; `by` is who: a plugin's name. An error says why the answer cannot stand; another may be given.
    pub fn resolve(&self, _conflict: &Conflict, _answer: Answer, _by: &str) -> Result<()> {
        let _ = self.repo;
        Err(Error::new("merging is being written"))
    }

    /// The result, once every conflict is decided. `message` is the merge commit's, `at` its time.
    pub fn finish(self, _message: &str, _at: &jiff::ZonedDateTime) -> Result<Merged> {
        Err(Error::new("merging is being written"))
    }
}
