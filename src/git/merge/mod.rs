//! The three-way merge, in memory and without a favoured side: every conflict is offered before anything decides it.
//!
//! Follow it: [`walk`] finds what differs, [`rename`] where files went, [`follow`] brings the two together, [`settle`] does
//! what agrees, [`decide`] carries out the answers to the rest.

mod answer;
mod compute;
mod content;
mod decide;
mod edit;
mod follow;
mod guard;
mod lines;
mod loss;
mod obstacle;
mod rename;
mod settle;
mod similar;
pub mod text;
mod walk;

pub use answer::{Answer, Conflict, Favor, Kept, Merged, Mode, Relation, Side};
pub(super) use similar::is_binary;

use std::cell::RefCell;
use std::collections::BTreeMap;

use git2::Oid;

use crate::error::{Error, Result};
use crate::git::Repo;
use compute::Computed;
use decide::Decided;
use obstacle::Obstacle;
use settle::Clash;

/// What a merge needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// What upstream's side is called where a name is needed: `origin/master`.
    pub label: String,
    /// The largest content that an answer may give, in bytes.
    pub limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { label: "theirs".to_owned(), limit: 64 << 20 }
    }
}

/// A merge under way. It writes objects and nothing else.
pub struct Merge<'r> {
    repo: &'r Repo,
    options: Options,
    ours: Oid,
    theirs: Oid,
    base: Oid,
    relation: Relation,
    computed: Computed,
    conflicts: Vec<Conflict>,
    /// What stands behind each conflict, in the same order.
    behind: Vec<Behind>,
    decided: RefCell<BTreeMap<usize, Decided>>,
}

/// What a conflict comes from: the trees, a file of the site's in the way, or both at one path.
struct Behind {
    clash: Option<Clash>,
    obstacle: Option<Obstacle>,
}

impl<'r> Merge<'r> {
    /// Merges `theirs` into `ours` as far as nothing conflicts.
    ///
    /// Refused: histories without a common commit, and an upstream tree that no clone should ever check out.
    pub fn new(repo: &'r Repo, ours: Oid, theirs: Oid, options: Options) -> Result<Self> {
        let git = &repo.git;
        let bases = compute::oldest_first(git, repo.merge_bases(ours, theirs)?);
        let Some(base) = bases.first().copied() else { return Err(unrelated(ours, theirs)) };
        let relation = match base {
            base if base == theirs => Relation::Contained,
            base if base == ours => Relation::FastForward,
            _ => Relation::Diverged,
        };
        let (our_tree, their_tree) = (repo.tree_of(ours)?, repo.tree_of(theirs)?);
        guard::check(git, their_tree, our_tree)?;
        let base_tree = compute::base_tree(git, &bases)?;
        let mut computed = compute::trees(git, [base_tree, our_tree, their_tree], ["HEAD", &options.label])?;
        let clashes = std::mem::take(&mut computed.clashes);
        let mut merge = Self {
            repo,
            options,
            ours,
            theirs,
            base,
            relation,
            computed,
            conflicts: Vec::new(),
            behind: Vec::new(),
            decided: RefCell::default(),
        };
        merge.list(clashes, our_tree)?;
        Ok(merge)
    }

    /// How the two sides stand to each other.
    pub fn relation(&self) -> Relation {
        self.relation
    }

    /// The commit that both have; the first one where there are several.
    pub fn base(&self) -> Oid {
        self.base
    }

    /// The conflicts, in the order of their paths.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    fn list(&mut self, clashes: Vec<Clash>, our_tree: Oid) -> Result<()> {
        let obstacles = obstacle::find(self.repo, &self.computed.edits, &clashes, our_tree)?;
        let mut behind: Vec<Behind> =
            clashes.into_iter().map(|clash| Behind { clash: Some(clash), obstacle: None }).collect();
        let mut by_path: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (index, one) in behind.iter().enumerate() {
            by_path.extend(one.clash.iter().map(|clash| (clash.path.clone(), index)));
        }
        for obstacle in obstacles {
            match by_path.get(obstacle.path()).map(|index| &mut behind[*index]) {
                Some(one) if obstacle.is_at_its_place() => one.meet(obstacle),
                _ => behind.push(Behind { clash: None, obstacle: Some(obstacle) }),
            }
        }
        behind.sort_by(|one, two| one.path().cmp(two.path()));
        self.conflicts = behind.iter().map(Behind::conflict).collect();
        self.behind = behind;
        Ok(())
    }
}

fn unrelated(ours: Oid, theirs: Oid) -> Error {
    Error::new("the site and upstream have no commit in common, so there is nothing to merge from")
        .because(format!("the site is at {ours}, upstream at {theirs}"))
        .hint("Check that the site's remote is upstream of this clone, and that upstream did not replace its history.")
}
