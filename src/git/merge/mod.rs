//! The three-way merge, in memory and without a favoured side: every conflict is offered before it
//! is decided.
//!
//! The steps: [`walk`] finds the differences, [`rename`] the renames, [`follow`] combines the two,
//! [`settle`] merges what agrees, and [`decide`] applies the answers to the rest.

mod answer;
mod attributes;
mod compute;
mod content;
mod decide;
mod edit;
mod follow;
pub(crate) mod guard;
mod lines;
mod loss;
mod myers;
mod obstacle;
mod own;
mod rename;
mod settle;
mod similar;
pub mod text;
pub(crate) mod trees;
mod walk;

pub use answer::{Answer, Conflict, Favor, Kept, Merged, Mode, Relation, Side};
pub(super) use similar::is_binary;

use std::cell::RefCell;
use std::collections::BTreeMap;

use git2::Oid;

use crate::error::{Error, Result};
use crate::git::Repo;
use crate::git::blob::Blobs;
use compute::Computed;
use content::Contents;
use decide::Decided;
use obstacle::Obstacle;
use settle::Clash;
use trees::Trees;

/// The settings of a merge.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of upstream's side in paths and markers: `origin/master`.
    pub label: String,
    /// The largest content of an answer, in bytes.
    pub limit: u64,
    /// Names in the root that keep the site's version, whatever upstream's side has.
    pub own: &'static [&'static str],
}

impl Default for Options {
    fn default() -> Self {
        Self { label: "theirs".to_owned(), limit: 64 << 20, own: &[] }
    }
}

/// A merge in progress. It writes only objects.
pub struct Merge<'r> {
    repo: &'r Repo,
    trees: Trees<'r>,
    options: Options,
    ours: Oid,
    theirs: Oid,
    base: Oid,
    relation: Relation,
    computed: Computed,
    conflicts: Vec<Conflict>,
    /// The source of each conflict, in the same order.
    behind: Vec<Behind>,
    decided: RefCell<BTreeMap<usize, Decided>>,
    contents: Contents<'r>,
}

/// The source of a conflict: the trees, an uncommitted file in the way, or both at one path.
struct Behind {
    clash: Option<Clash>,
    obstacle: Option<Obstacle>,
}

impl<'r> Merge<'r> {
    /// Merges `theirs` into `ours` as far as nothing conflicts. The working tree is checked too: an
    /// uncommitted file in the way is a conflict.
    ///
    /// Fails for histories without a common commit, and for an upstream tree that no clone should
    /// check out.
    pub fn new(repo: &'r Repo, ours: Oid, theirs: Oid, options: Options) -> Result<Self> {
        let mut merge = Self::commits(repo, ours, theirs, options)?;
        merge.look_at_the_working_tree()?;
        Ok(merge)
    }

    /// Merges two commits without the working tree, as `git merge-tree` does. The result may not be
    /// fit for a checkout.
    pub fn commits(repo: &'r Repo, ours: Oid, theirs: Oid, options: Options) -> Result<Self> {
        let git = &repo.git;
        let bases = compute::oldest_first(git, repo.merge_bases(ours, theirs)?);
        let Some(base) = bases.first().copied() else { return Err(unrelated(ours, theirs)) };
        let relation = match base {
            base if base == theirs => Relation::Contained,
            base if base == ours => Relation::FastForward,
            _ => Relation::Diverged,
        };
        let trees = Trees::of(git)?;
        let contents = Contents::of(git);
        let our_tree = repo.tree_of(ours)?;
        let three = [
            own::keep(
                &trees,
                compute::base_tree(&contents, &trees, &bases)?,
                our_tree,
                options.own,
            )?,
            our_tree,
            own::keep(&trees, repo.tree_of(theirs)?, our_tree, options.own)?,
        ];
        let mut computed = compute::merge(&contents, &trees, three, ["HEAD", &options.label])?;
        let clashes = std::mem::take(&mut computed.clashes);
        let behind = clashes
            .into_iter()
            .map(|clash| Behind { clash: Some(clash), obstacle: None })
            .collect();
        let mut merge = Self {
            repo,
            trees,
            options,
            ours,
            theirs,
            base,
            relation,
            computed,
            conflicts: Vec::new(),
            behind,
            decided: RefCell::default(),
            contents,
        };
        merge.list();
        Ok(merge)
    }

    /// Returns the relation of the two sides.
    pub fn relation(&self) -> Relation {
        self.relation
    }

    /// Returns the merge base, or the first one of several.
    pub fn base(&self) -> Oid {
        self.base
    }

    /// Returns the conflicts, sorted by path.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Returns a reader of the sides' contents, for other threads.
    pub fn blobs(&self) -> Result<Blobs> {
        self.contents.blobs()
    }

    fn look_at_the_working_tree(&mut self) -> Result<()> {
        let clashes: Vec<&Clash> =
            self.behind.iter().filter_map(|behind| behind.clash.as_ref()).collect();
        let our_tree = self.repo.tree_of(self.ours)?;
        let obstacles =
            obstacle::find(self.repo, &self.trees, &self.computed.edits, &clashes, our_tree)?;
        let mut by_path: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (index, one) in self.behind.iter().enumerate() {
            by_path.extend(one.clash.iter().map(|clash| (clash.path.clone(), index)));
        }
        for obstacle in obstacles {
            match by_path.get(obstacle.path()).map(|index| &mut self.behind[*index]) {
                Some(one) if obstacle.is_at_its_place() => one.meet(obstacle),
                _ => self.behind.push(Behind { clash: None, obstacle: Some(obstacle) }),
            }
        }
        self.list();
        Ok(())
    }

    fn list(&mut self) {
        self.behind.sort_by(|one, two| one.path().cmp(two.path()));
        self.conflicts = self.behind.iter().map(Behind::conflict).collect();
    }
}

fn unrelated(ours: Oid, theirs: Oid) -> Error {
    Error::new("the site and upstream have no commit in common, so there is nothing to merge from")
        .because(format!("the site is at {ours}, upstream at {theirs}"))
        .hint("Check the remote's URL, and whether upstream replaced its history.")
}
