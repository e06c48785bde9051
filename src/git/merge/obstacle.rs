//! Uncommitted files of the site at paths of the result. git would stop half-way at untracked ones
//! and silently overwrite ignored ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git2::Oid;

use super::answer::{Kept, Mode, Side};
use super::edit::Edits;
use super::guard::{Guard, join};
use super::settle::Clash;
use super::trees::Trees;
use super::walk::{OURS, THEIRS, Version};
use crate::dir::{Dir, read_at_most};
use crate::error::{Context, Result};
use crate::git::Repo;
use crate::git::conflict::Collision;
use crate::git::repo::MOST_OF_A_FILE;
use crate::path::SitePath;

/// The most entries of a directory in the way.
const MOST_IN_A_FOLDER: usize = 100_000;

/// An uncommitted file in the way.
#[derive(Clone, Debug)]
pub struct Obstacle {
    /// The site's file, with its content stored.
    pub kept: Kept,
    /// The path that it blocks: its own; a directory of the result, if it is a file; or a file, if
    /// it is in a directory.
    pub blocks: Vec<u8>,
    /// The result's file at `blocks`, if there is one.
    pub theirs: Option<Version>,
}

impl Obstacle {
    /// Returns the site's file.
    pub fn path(&self) -> &[u8] {
        self.kept.path.as_bytes()
    }

    /// Returns true if a file meets a file.
    pub fn is_at_its_place(&self) -> bool {
        self.path() == self.blocks && self.theirs.is_some()
    }

    /// Returns the site's file as a side of a conflict.
    pub fn side(&self) -> Side {
        Side { path: self.kept.path.clone(), mode: self.kept.mode, oid: self.kept.oid }
    }

    /// Returns the site's file as an entry of a tree.
    pub fn version(&self) -> Version {
        Version { mode: self.kept.mode.bits(), oid: self.kept.oid }
    }
}

/// Checks the working tree for each file of the result that ours lacks. Fails at names that are
/// unsafe to check out.
pub fn find(
    repo: &Repo,
    trees: &Trees<'_>,
    edits: &Edits,
    clashes: &[&Clash],
    our_tree: Oid,
) -> Result<Vec<Obstacle>> {
    let mut result = edits.clone();
    for clash in clashes {
        for (path, version) in clash.places() {
            result.file(&path, Some(version));
        }
    }
    let tree = result.apply(trees, our_tree)?;
    let (folders, found, seen) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let mut search =
        Search { repo, trees, our_tree, tree, guard: Guard::default(), folders, found, seen };
    search.added(Some(our_tree), tree, &[])?;
    Ok(search.found)
}

impl Clash {
    /// Returns the paths and files that an answer may add.
    fn places(&self) -> Vec<(Vec<u8>, Version)> {
        let version = |side: usize| self.stages[side].as_ref().map(|stage| stage.version);
        let place = self.aside.as_ref().unwrap_or(&self.path);
        let first =
            version(OURS).filter(|_| self.twin.is_some()).or(version(THEIRS)).or(version(OURS));
        let twin = self.twin.clone().zip(version(THEIRS));
        first.map(|first| (place.clone(), first)).into_iter().chain(twin).collect()
    }
}

/// The state of a directory's path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A directory, or nothing.
    Free,
    /// Nothing can be below it: it is missing, or a file that the switch removes.
    Empty,
    /// A file of the site that is already listed.
    Blocked,
}

struct Search<'a> {
    repo: &'a Repo,
    trees: &'a Trees<'a>,
    our_tree: Oid,
    tree: Oid,
    guard: Guard,
    folders: BTreeMap<Vec<u8>, Place>,
    found: Vec<Obstacle>,
    seen: BTreeSet<Vec<u8>>,
}

impl Search<'_> {
    /// Checks every file of the directory `new` that the directory `old` lacks.
    fn added(&mut self, old: Option<Oid>, new: Oid, path: &[u8]) -> Result<()> {
        if old == Some(new) {
            return Ok(());
        }
        let new = self.trees.read(new)?;
        self.guard.folder(&new, path)?;
        let old = old.map(|old| self.trees.read(old)).transpose()?.unwrap_or_default();
        let old: HashMap<&[u8], Version> =
            old.iter().map(|(name, version)| (name.as_slice(), *version)).collect();
        for (name, version) in new.iter() {
            let before = old.get(name.as_slice()).copied();
            let folder = before.filter(|before| before.is_folder()).map(|before| before.oid);
            if version.is_folder() {
                self.added(folder, version.oid, &join(path, name))?;
            } else if before.is_none() || folder.is_some() {
                self.look(&join(path, name))?;
            }
        }
        Ok(())
    }

    /// Checks the path of a new file.
    fn look(&mut self, path: &[u8]) -> Result<()> {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if self.folder(&path[..at])? != Place::Free {
                return Ok(());
            }
        }
        let Some(found) = self.stat(path)? else { return Ok(()) };
        if found.is_dir() {
            return self.inside(path, path);
        }
        let theirs = self.trees.file(self.tree, path)?;
        self.note(path, &found, path, theirs)
    }

    fn folder(&mut self, path: &[u8]) -> Result<Place> {
        if let Some(known) = self.folders.get(path) {
            return Ok(*known);
        }
        let place = match self.stat(path)? {
            None => Place::Empty,
            Some(found) if found.is_dir() => Place::Free,
            Some(_) if self.trees.file(self.our_tree, path)?.is_some() => Place::Empty,
            Some(found) => {
                self.note(path, &found, path, None)?;
                Place::Blocked
            }
        };
        self.folders.insert(path.to_vec(), place);
        Ok(place)
    }

    /// Checks a directory at the path of a file: its contents except what the merge removes.
    fn inside(&mut self, folder: &[u8], blocks: &[u8]) -> Result<()> {
        let doing = || format!("could not list {}", os(folder).display());
        let names = self.repo.dir.dir(os(folder)).and_then(|folder| folder.names(MOST_IN_A_FOLDER));
        for name in names.what_with(doing)? {
            let path = [folder, b"/", name.as_bytes()].concat();
            match self.stat(&path)? {
                Some(found) if found.is_dir() => self.inside(&path, blocks)?,
                Some(_) if self.trees.file(self.our_tree, &path)?.is_some() => {}
                Some(found) => {
                    let theirs = self.trees.file(self.tree, blocks)?;
                    self.note(&path, &found, blocks, theirs)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn note(
        &mut self,
        path: &[u8],
        found: &Metadata,
        blocks: &[u8],
        theirs: Option<Version>,
    ) -> Result<()> {
        if !self.seen.insert(path.to_vec()) {
            return Ok(());
        }
        let Some((mode, content)) = read(&self.repo.dir, os(path), found)? else {
            return Ok(());
        };
        let oid = self.repo.store(&content)?;
        let same = Version { mode: mode.bits(), oid };
        if path == blocks && theirs == Some(same) {
            return Ok(());
        }
        let ignored = self.repo.git.is_path_ignored(os(path)).unwrap_or(false);
        let collision = if ignored { Collision::Ignored } else { Collision::Untracked };
        let kept = Kept { path: SitePath::from(path), mode, oid, collision };
        self.found.push(Obstacle { kept, blocks: blocks.to_vec(), theirs });
        Ok(())
    }

    fn stat(&self, path: &[u8]) -> Result<Option<Metadata>> {
        match self.repo.dir.metadata(os(path)) {
            Err(behind) if behind.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
            found => found.what_with(|| format!("could not look at {}", os(path).display())),
        }
    }
}

impl Repo {
    /// Returns the file, link or submodule of a tree at a path.
    pub(in crate::git) fn version_in(&self, tree: Oid, path: &[u8]) -> Result<Option<Version>> {
        match self.git.find_tree(tree).and_then(|tree| tree.get_path(os(path))) {
            Ok(entry) if entry.kind() == Some(git2::ObjectType::Tree) => Ok(None),
            Ok(entry) => {
                Ok(Some(Version { mode: entry.filemode().cast_unsigned(), oid: entry.id() }))
            }
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error).what_with(|| format!("could not read tree {tree}")),
        }
    }
}

/// Returns a file's mode and content, or a link's target. `None` for what git cannot store
/// (sockets, devices).
fn read(dir: &Dir, path: &Path, found: &Metadata) -> Result<Option<(Mode, Vec<u8>)>> {
    let doing = || format!("could not read {}", path.display());
    if found.is_symlink() {
        let target = dir.read_link(path).what_with(doing)?;
        return Ok(Some((Mode::Link, target.as_os_str().as_bytes().to_vec())));
    }
    if !found.is_file() {
        return Ok(None);
    }
    let (file, found) = dir.file(path).what_with(doing)?;
    let content = read_at_most(file, MOST_OF_A_FILE).what_with(doing)?;
    let mode = if found.permissions().mode() & 0o100 == 0 { Mode::File } else { Mode::Executable };
    Ok(Some((mode, content)))
}

fn os(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path))
}
