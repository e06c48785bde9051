//! Builds a tree from another one and a list of changes. Only changed directories are rewritten.

use std::collections::BTreeMap;

use git2::Oid;

use super::trees::{Folder, Trees};
use super::walk::{FOLDER, Version};
use crate::error::Result;

/// Changes to a tree, by path.
#[derive(Clone, Default, Debug)]
pub struct Edits(Node);

/// A change of a file or directory.
#[derive(Clone, Copy, Default, Debug)]
enum Fate<T> {
    /// It stays as it is.
    #[default]
    Stays,
    /// It is removed.
    Goes,
    /// It becomes this.
    Is(T),
}

impl<T> From<Option<T>> for Fate<T> {
    fn from(new: Option<T>) -> Self {
        new.map_or(Self::Goes, Self::Is)
    }
}

#[derive(Clone, Default, Debug)]
struct Node {
    /// The directory's whole content, before the changes below it.
    folder: Fate<Oid>,
    /// The file at this name.
    file: Fate<Version>,
    children: BTreeMap<Vec<u8>, Node>,
}

impl Edits {
    /// Sets or removes the file at `path`.
    pub fn file(&mut self, path: &[u8], version: Option<Version>) {
        self.node(path).file = version.into();
    }

    /// Sets several files.
    pub fn files(&mut self, files: &[(Vec<u8>, Option<Version>)]) {
        for (path, version) in files {
            self.file(path, *version);
        }
    }

    /// Sets or removes the directory at `path`. Changes of files below it still apply.
    pub fn folder(&mut self, path: &[u8], tree: Option<Oid>) {
        self.node(path).folder = tree.into();
    }

    /// Removes the directory at `path`, with changes below it.
    pub fn clear(&mut self, path: &[u8]) {
        let node = self.node(path);
        node.children.clear();
        node.folder = Fate::Goes;
    }

    fn node(&mut self, path: &[u8]) -> &mut Node {
        let parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        parts.fold(&mut self.0, |node, part| node.children.entry(part.to_vec()).or_default())
    }

    /// Returns the changed `tree`, built in memory.
    pub fn apply(&self, trees: &Trees<'_>, tree: Oid) -> Result<Oid> {
        match build(trees, &self.0, Some(tree))? {
            Some(tree) => Ok(tree),
            None => trees.make(Folder::new()),
        }
    }
}

/// Returns the directory that a node makes of `tree`. `None` if it is empty.
fn build(trees: &Trees<'_>, node: &Node, tree: Option<Oid>) -> Result<Option<Oid>> {
    let tree = match node.folder {
        Fate::Stays => tree,
        Fate::Goes => None,
        Fate::Is(new) => Some(new),
    };
    if node.children.is_empty() {
        return Ok(tree);
    }
    let old = tree.map(|oid| trees.read(oid)).transpose()?.unwrap_or_default();
    let mut new = Folder::with_capacity(old.len());
    let mut there = BTreeMap::new();
    for (name, version) in old.iter() {
        if node.children.contains_key(name) {
            there.insert(name, *version);
        } else {
            new.push((name.clone(), *version));
        }
    }
    for (name, child) in &node.children {
        let now = child_of(trees, child, there.get(name).copied())?;
        new.extend(now.map(|now| (name.clone(), now)));
    }
    if new.is_empty() { Ok(None) } else { trees.make(new).map(Some) }
}

fn child_of(trees: &Trees<'_>, child: &Node, there: Option<Version>) -> Result<Option<Version>> {
    if let Fate::Is(file) = child.file {
        return Ok(Some(file));
    }
    let folder = there.filter(|there| there.mode == FOLDER).map(|there| there.oid);
    if let Some(oid) = build(trees, child, folder)? {
        return Ok(Some(Version { mode: FOLDER, oid }));
    }
    let untouched = matches!((child.file, child.folder), (Fate::Stays, Fate::Stays));
    Ok(there.filter(|there| untouched && there.mode != FOLDER))
}
