//! Which branch of upstream a run follows, and what a switch to another one carries along: what the site itself wrote, and nothing of the
//! branch that it leaves.

use super::{Run, facts};
use crate::error::{Error, Result};
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::git::{Branch, Oid, Repo, Upstream};
use crate::plan::BranchPlan;
use crate::site::mailcow;

/// Where the site is, and where it goes.
#[derive(Clone, Debug)]
pub struct Course {
    /// The branch that the site is on, and what that follows so far.
    pub now: Branch,
    /// What is merged: what the site follows, or is to follow.
    pub upstream: Upstream,
    /// The local branch that the site is to be on, where it is another one.
    pub onto: Option<String>,
}

impl Course {
    /// By what git says and by what was asked for. Refuses what [`Repo::readiness`] refuses.
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

    /// For the plan: the switch, where there is one.
    pub fn planned(&self) -> Option<BranchPlan> {
        let onto = self.onto.clone()?;
        Some(BranchPlan { from: self.now.name.clone(), to: onto })
    }

    /// The two commits to merge. A switch merges what the site changed since it last took something from its old branch into the new one:
    /// both as commits on top of that state, so that nothing of the old branch itself comes along.
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

    /// The commit of the old branch that the site took last.
    fn last_taken(&self, repo: &Repo) -> Result<Oid> {
        let Branch { head, upstream, .. } = &self.now;
        let tip = repo.tracked(&self.now).ok_or_else(|| {
            Error::new(format!(
                "the clone does not know {}, so the site's own changes cannot be told",
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
                .hint("Switch by hand; Cowhand cannot tell what the site itself changed.")
        })
    }

    /// What a merge of [`Course::ends`] comes to. A switch makes it a commit of the new branch: on top of upstream's, and of what the clone's
    /// own branch of that name held before, so that this stays within reach.
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
    /// The name of the branch that the site is on once the run is through.
    pub fn branch_after(&self) -> Result<String> {
        let before: facts::Before = self.journal.record().need(facts::BEFORE)?;
        Ok(self.options.branch.clone().unwrap_or(before.branch))
    }
}
