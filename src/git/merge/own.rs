//! Names that belong to the site alone: the merge sees no other side of them and changes nothing
//! there.

use git2::Oid;

use super::trees::{Folder, Trees};
use crate::error::Result;
use crate::git::Repo;

/// Creates a root tree from `tree`, with the entries of `ours` at these names.
pub fn keep(trees: &Trees<'_>, tree: Oid, ours: Oid, names: &[&str]) -> Result<Oid> {
    let (held, our_own) = (trees.read(tree)?, own(&*trees.read(ours)?, names));
    if own(&held, names) == our_own {
        return Ok(tree);
    }
    let others = held.iter().filter(|(name, _)| !is_own(name, names)).cloned();
    trees.make(others.chain(our_own).collect())
}

/// Returns the entries at these names.
fn own(folder: &Folder, names: &[&str]) -> Folder {
    folder.iter().filter(|(name, _)| is_own(name, names)).cloned().collect()
}

/// Compares without regard to case, which some file systems ignore.
fn is_own(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()))
}

impl Repo {
    /// Returns the names at which `theirs` has an entry that `ours` lacks: those that a merge with
    /// [`super::Options::own`] leaves out.
    pub fn left_out(&self, ours: Oid, theirs: Oid, names: &[&str]) -> Result<Vec<String>> {
        let trees = Trees::of(&self.git)?;
        let [ours, theirs] = [ours, theirs].map(|commit| self.tree_of(commit));
        let ours = own(&*trees.read(ours?)?, names);
        let mut theirs = own(&*trees.read(theirs?)?, names);
        theirs.retain(|entry| !ours.contains(entry));
        Ok(theirs.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect())
    }
}
