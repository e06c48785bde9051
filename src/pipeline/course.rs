//! The upstream branch of a run. A switch to another branch carries the site's own changes along
//! and nothing of the branch that it leaves.

use super::{Run, facts};
use crate::error::{Error, Result};
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::git::{Branch, Oid, Repo, Upstream};
use crate::plan::BranchPlan;
use crate::site::mailcow;

/// The site's branch and the branch that it moves to.
#[derive(Clone, Debug)]
pub struct Course {
    /// The branch that the site is on, and its upstream so far.
    pub now: Branch,
    /// The upstream to merge: the present one, or that of the new branch.
    pub upstream: Upstream,
    /// The local branch to switch to; `None` if the site stays on its branch.
    pub onto: Option<String>,
}

impl Course {
    /// Reads it from git and the options. Refuses what [`Repo::readiness`] refuses.
    pub fn of(run: &Run) -> Result<Self> {
        let now = run.repo.readiness()?;
        let onto = run.options.branch.clone().filter(|name| *name != now.name);
        let mut upstream = now.upstream.clone();
        if let Some(name) = &onto {
            upstream.branch.clone_from(name);
        }
        Ok(Self { now, upstream, onto })
    }

    /// The branch to fetch and to compare with.
    pub fn wanted(&self) -> Branch {
        Branch { upstream: self.upstream.clone(), ..self.now.clone() }
    }

    /// Returns the switch for the plan; `None` if there is none.
    pub fn planned(&self) -> Option<BranchPlan> {
        let onto = self.onto.clone()?;
        Some(BranchPlan { from: self.now.name.clone(), to: onto })
    }

    /// Returns the two commits to merge. A switch merges the site's changes since its last update
    /// from the old branch into the new one. Both are commits on top of that state, so that nothing
    /// of the old branch itself comes along.
    pub fn ends(&self, run: &Run, local: &Local, theirs: Oid) -> Result<(Oid, Oid)> {
        if self.onto.is_none() {
            return Ok((local.commit, theirs));
        }
        let repo = &run.repo;
        let make = |tree, parents: &[Oid]| {
            repo.commit_of(tree, parents, &mailcow::before_message(&run.now), &run.now)
        };
        let base = make(repo.tree_of(self.last_taken(repo)?)?, &[])?;
        Ok((make(local.tree, &[base])?, make(repo.tree_of(theirs)?, &[base])?))
    }

    /// Returns the commit of the old branch that the site merged last.
    fn last_taken(&self, repo: &Repo) -> Result<Oid> {
        let Branch { head, upstream, .. } = &self.now;
        let tip = repo.tracked(&self.now).ok_or_else(|| {
            Error::new(format!(
                "the clone lacks {}, so the site's own changes cannot be determined",
                upstream.label()
            ))
            .hint(format!(
                "git -C {} fetch {}",
                repo.root().display(),
                upstream.remote
            ))
        })?;
        let bases = repo.merge_bases(*head, tip)?;
        bases.first().copied().ok_or_else(|| {
            Error::new(format!("the site has no commit in common with {}", upstream.label()))
                .hint("Switch by hand; Cowhand cannot determine the site's own changes.")
        })
    }

    /// Turns a merge of [`Course::ends`] into the result. A switch makes it a commit of the new
    /// branch, on top of upstream's and of the tip of a local branch of that name, which so stays
    /// reachable.
    pub fn conclude(&self, run: &Run, merged: Merged, theirs: Oid) -> Result<Merged> {
        let Some(onto) = &self.onto else { return Ok(merged) };
        let (repo, before) = (&run.repo, run.repo.branch_tip(onto)?);
        let parents: Vec<Oid> = before.into_iter().chain([theirs]).collect();
        let commit = match (merged.tree == repo.tree_of(theirs)?, before) {
            (true, None) => theirs,
            _ => {
                repo.commit_of(merged.tree, &parents, &mailcow::after_message(&run.now), &run.now)?
            }
        };
        Ok(Merged { theirs, commit, ..merged })
    }
}

impl Run {
    /// Returns the name of the branch that the site is on after the run.
    pub fn branch_after(&self) -> Result<String> {
        let before: facts::Before = self.journal.record().need(facts::BEFORE)?;
        Ok(self.options.branch.clone().unwrap_or(before.branch))
    }
}
