//! Builds a tree out of another one and a list of changes, touching only the folders that change.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{Oid, Repository};

use super::walk::{FOLDER, Version};
use crate::error::{Context, Result};

/// Changes to a tree, by path.
#[derive(Clone, Default, Debug)]
pub struct Edits(Node);

/// What is to become of something.
#[derive(Clone, Copy, Default, Debug)]
enum Fate<T> {
    /// It stays as it is.
    #[default]
    Stays,
    /// It goes.
    Goes,
    /// It is this from now on.
    Is(T),
}

impl<T> From<Option<T>> for Fate<T> {
    fn from(new: Option<T>) -> Self {
        new.map_or(Self::Goes, Self::Is)
    }
}

#[derive(Clone, Default, Debug)]
struct Node {
    /// The folder's content as a whole, before the changes beneath it.
    folder: Fate<Oid>,
    /// The file at this name.
    file: Fate<Version>,
    children: BTreeMap<Vec<u8>, Node>,
}

impl Edits {
    /// The file at `path` becomes this one, or goes.
    pub fn file(&mut self, path: &[u8], version: Option<Version>) {
        self.node(path).file = version.into();
    }

    /// The folder at `path` becomes this tree, or goes; changes of files beneath it still count.
    pub fn folder(&mut self, path: &[u8], tree: Option<Oid>) {
        self.node(path).folder = tree.into();
    }

    /// Whatever is in the folder at `path` goes, changes beneath it included.
    pub fn clear(&mut self, path: &[u8]) {
        let node = self.node(path);
        node.children.clear();
        node.folder = Fate::Goes;
    }

    fn node(&mut self, path: &[u8]) -> &mut Node {
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        parts.fold(&mut self.0, |node, part| node.children.entry(part.to_vec()).or_default())
    }

    /// The tree that `tree` becomes.
    pub fn apply(&self, git: &Repository, tree: Oid) -> Result<Oid> {
        match build(git, &self.0, Some(tree))? {
            Some(tree) => Ok(tree),
            None => git.treebuilder(None).and_then(|empty| empty.write()).what("could not write an empty tree"),
        }
    }
}

/// The folder that a node makes of `tree`; none where nothing is left in it.
fn build(git: &Repository, node: &Node, tree: Option<Oid>) -> Result<Option<Oid>> {
    let tree = match node.folder {
        Fate::Stays => tree,
        Fate::Goes => None,
        Fate::Is(new) => Some(new),
    };
    if node.children.is_empty() {
        return Ok(tree);
    }
    let doing = "could not write a tree into the clone";
    let old = tree.map(|oid| git.find_tree(oid)).transpose().what(doing)?;
    let mut builder = git.treebuilder(old.as_ref()).what(doing)?;
    for (name, child) in &node.children {
        let path = Path::new(OsStr::from_bytes(name));
        let there = builder.get(path).what(doing)?;
        let there = there.map(|entry| Version { mode: entry.filemode().cast_unsigned(), oid: entry.id() });
        match child_of(git, child, there)? {
            Some(now) if Some(now) == there => {}
            Some(now) => drop(builder.insert(path, now.oid, now.mode.cast_signed()).what(doing)?),
            None if there.is_some() => builder.remove(path).what(doing)?,
            None => {}
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    builder.write().map(Some).what(doing)
}

fn child_of(git: &Repository, child: &Node, there: Option<Version>) -> Result<Option<Version>> {
    if let Fate::Is(file) = child.file {
        return Ok(Some(file));
    }
    let folder = there.filter(|there| there.mode == FOLDER).map(|there| there.oid);
    if let Some(oid) = build(git, child, folder)? {
        return Ok(Some(Version { mode: FOLDER, oid }));
    }
    let untouched = matches!((child.file, child.folder), (Fate::Stays, Fate::Stays));
    Ok(there.filter(|there| untouched && there.mode != FOLDER))
}
