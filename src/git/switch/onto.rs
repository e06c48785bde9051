//! Moving HEAD to another branch: first that branch, then HEAD; back in the opposite order. Each
//! step is repeatable.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use git2::{BranchType, ErrorCode, Oid};
use serde::{Deserialize, Serialize};

use super::{Switch, place};
use crate::error::{Context, Error, Result};
use crate::git::Repo;

/// The branch that HEAD moves to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onto {
    /// Its full name.
    pub reference: String,
    /// Its old commit, as a hexadecimal id. `None` if the branch did not exist.
    pub was: Option<String>,
    /// The remote-tracking branch that a new one follows: `origin/nightly`.
    pub follows: String,
}

impl Repo {
    /// Returns a local branch's commit. `None` if it does not exist.
    pub fn branch_tip(&self, name: &str) -> Result<Option<Oid>> {
        match self.git.refname_to_id(&format!("refs/heads/{name}")) {
            Ok(oid) => Ok(Some(oid)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error).what_with(|| format!("could not read the branch {name}")),
        }
    }
}

impl Switch {
    /// Returns the same switch with HEAD moving to the branch of this name, which follows that of
    /// `remote`.
    pub fn onto(self, repo: &Repo, name: &str, remote: &str) -> Result<Self> {
        let onto = Onto {
            reference: format!("refs/heads/{name}"),
            was: repo.branch_tip(name)?.map(|oid| oid.to_string()),
            follows: format!("{remote}/{name}"),
        };
        Ok(Self { onto: Some(onto), ..self })
    }
}

impl Onto {
    fn name(&self) -> &str {
        self.reference.trim_start_matches("refs/heads/")
    }

    /// Moves the branch to `to` and HEAD to the branch.
    pub(super) fn take(
        &self,
        repo: &Repo,
        to: Oid,
        message: &str,
        is_unmoved: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let doing = || format!("could not switch to the branch {}", self.name());
        match self.tip(repo, to)? {
            Some(tip) => repo
                .git
                .reference_matching(&self.reference, to, true, tip, message)
                .what_with(doing)?,
            None => repo.git.reference(&self.reference, to, false, message).what_with(doing)?,
        };
        if self.was.is_none() {
            let mut branch =
                repo.git.find_branch(self.name(), BranchType::Local).what_with(doing)?;
            branch.set_upstream(Some(&self.follows)).what_with(doing)?;
        }
        // The branch is on disk before HEAD points to it.
        sync(repo).what_with(doing)?;
        place::line(
            repo,
            &repo.git_folder().join("HEAD"),
            &format!("ref: {}", self.reference),
            is_unmoved,
        )?;
        place::log(repo, &["HEAD"], to, message);
        Ok(())
    }

    /// Moves HEAD back to `reference`, and the branch from `to` to its old commit.
    pub(super) fn leave(
        &self,
        repo: &Repo,
        reference: &str,
        to: Oid,
        message: &str,
        is_unmoved: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let doing = || format!("could not switch back from the branch {}", self.name());
        let tip = repo.branch_tip(self.name())?.filter(|tip| *tip == to);
        place::line(
            repo,
            &repo.git_folder().join("HEAD"),
            &format!("ref: {reference}"),
            is_unmoved,
        )?;
        match (&self.was, tip) {
            (Some(was), Some(tip)) => {
                let was = Oid::from_str(was).what_with(doing)?;
                repo.git
                    .reference_matching(&self.reference, was, true, tip, message)
                    .what_with(doing)?;
            }
            (None, Some(_)) => {
                let mut branch =
                    repo.git.find_branch(self.name(), BranchType::Local).what_with(doing)?;
                branch.delete().what_with(doing)?;
            }
            // It has its old commit, or another program moved it.
            (_, None) => {}
        }
        sync(repo).what_with(doing)
    }

    /// Returns the branch's commit: the old one or `to`. If another program moved it, that is an
    /// error.
    fn tip(&self, repo: &Repo, to: Oid) -> Result<Option<Oid>> {
        let tip = repo.branch_tip(self.name())?;
        let known = tip.map(|tip| tip.to_string());
        if tip == Some(to) || known == self.was {
            return Ok(tip);
        }
        let (name, at) = (self.name(), known.as_deref().unwrap_or("gone"));
        let error = Error::new(format!(
            "somebody moved the branch {name} since the update began: it is {at}"
        ));
        let was = self.was.as_deref().unwrap_or("no such branch");
        Err(error.because(format!("it was {was}, and the update moves it to {to}")))
    }
}

/// Syncs HEAD and the branches.
fn sync(repo: &Repo) -> std::io::Result<()> {
    let folder = std::fs::File::open(repo.common_folder())?;
    Ok(rustix::fs::syncfs(&folder)?)
}
