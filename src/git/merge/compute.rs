//! The merge of three trees, and of several bases in crossing histories.

use git2::{Oid, Repository};

use super::content::{Contents, INNER_NAMES};
use super::edit::Edits;
use super::settle::{Clash, settle};
use super::trees::{Folder, Trees};
use super::walk::{OURS, THEIRS, Walk};
use super::{follow, rename};
use crate::error::{Context, Error, Result};

/// The most levels of bases of bases.
const DEEPEST: u16 = 64;

/// A merge before its conflicts are decided.
pub struct Computed {
    /// The changes to ours, without the conflicts.
    pub edits: Edits,
    /// The conflicts.
    pub clashes: Vec<Clash>,
    /// The paths that needed a closer look, under their final names.
    pub walk: Walk,
}

/// Merges three trees.
pub fn merge(
    contents: &Contents<'_>,
    trees: &Trees<'_>,
    three: [Oid; 3],
    labels: [&str; 2],
) -> Result<Computed> {
    let git = contents.git;
    let mut walk = Walk::new(trees, three)?;
    let mut renames = rename::find(git, &walk, OURS)?;
    renames.extend(rename::find(git, &walk, THEIRS)?);
    follow::renames(&mut walk.entries, contents, renames)?;
    let settled = settle(&walk, contents, labels)?;
    let mut edits = Edits::default();
    for (path, tree) in &walk.folders {
        edits.folder(path, *tree);
    }
    for (path, version) in
        walk.files.iter().map(|(path, version)| (path, version)).chain(&settled.clean)
    {
        edits.file(path, *version);
    }
    Ok(Computed { edits, clashes: settled.clashes, walk })
}

/// Returns the base tree: the base's own, or the merge of several bases, as in git's recursive
/// merge.
pub fn base_tree(contents: &Contents<'_>, trees: &Trees<'_>, bases: &[Oid]) -> Result<Oid> {
    tree_of(contents.git, merged_bases(contents, trees, bases, 1)?)
}

fn merged_bases(
    contents: &Contents<'_>,
    trees: &Trees<'_>,
    bases: &[Oid],
    depth: u16,
) -> Result<Oid> {
    let [first, rest @ ..] = bases else {
        return Err(Error::new("the two histories have nothing in common"));
    };
    let mut merged = *first;
    for next in rest {
        merged = virtual_commit(contents, trees, merged, *next, depth)?;
    }
    Ok(merged)
}

/// Creates a commit without a ref for two merged bases.
fn virtual_commit(
    contents: &Contents<'_>,
    trees: &Trees<'_>,
    one: Oid,
    two: Oid,
    depth: u16,
) -> Result<Oid> {
    let git = contents.git;
    if depth > DEEPEST {
        return Err(Error::new("the two histories cross too often to be merged"));
    }
    let doing = "could not merge the commits that both sides have";
    let bases = oldest_first(
        git,
        git.merge_bases(one, two).map(|bases| bases.to_vec()).unwrap_or_default(),
    );
    let base = if bases.is_empty() {
        trees.make(Folder::new())?
    } else {
        tree_of(git, merged_bases(contents, trees, &bases, depth + 1)?)?
    };
    let ours = tree_of(git, one)?;
    let computed = merge(contents, trees, [base, ours, tree_of(git, two)?], INNER_NAMES)?;
    let mut edits = computed.edits;
    for clash in &computed.clashes {
        clash.release(&mut edits);
        edits.files(&clash.inner(contents, depth)?);
    }
    let tree = edits.apply(trees, ours)?;
    trees.store(tree)?;
    let tree = git.find_tree(tree).what(doing)?;
    let parents = [git.find_commit(one).what(doing)?, git.find_commit(two).what(doing)?];
    let nobody = git2::Signature::new("cowhand", "cowhand", &git2::Time::new(0, 0)).what(doing)?;
    git.commit(None, &nobody, &nobody, "merged tree", &tree, &[&parents[0], &parents[1]])
        .what(doing)
}

fn tree_of(git: &Repository, commit: Oid) -> Result<Oid> {
    Ok(git.find_commit(commit).what_with(|| format!("could not read commit {commit}"))?.tree_id())
}

/// Sorts several bases in git's merge order.
pub fn oldest_first(git: &Repository, bases: Vec<Oid>) -> Vec<Oid> {
    let time = |oid: &Oid| git.find_commit(*oid).map_or(0, |commit| commit.time().seconds());
    let mut bases = bases;
    // git lists the newest first and then reverses the list.
    bases.sort_by_key(|oid| std::cmp::Reverse(time(oid)));
    bases.reverse();
    bases
}

impl Clash {
    /// Removes the undecided file: an answer may put it somewhere else.
    pub fn release(&self, edits: &mut Edits) {
        for path in std::iter::once(&self.path).chain(&self.twin).chain(&self.aside) {
            edits.file(path, None);
        }
    }
}
