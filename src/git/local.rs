//! The site's uncommitted changes, as the commit that `git add -u` and `git commit` would create.
//! The working tree and refs stay.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{DiffFormat, DiffStatsFormat, Index, IndexEntry, Oid, StatusOptions, StatusShow};
use serde::{Deserialize, Serialize};

use super::merge::Mode;
use super::{Repo, oid_text};
use crate::dir::Dir;
use crate::error::{Context, Error, Result};
use crate::path::SitePath;

/// git's flag in an index entry for "assume unchanged".
const ASSUME_UNCHANGED: u16 = 0x8000;
/// git's flag in an index entry for "skip worktree".
const SKIP_WORKTREE: u16 = 0x4000;

/// The site with its uncommitted changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The branch's commit.
    #[serde(with = "oid_text")]
    pub head: Oid,
    /// The commit with the changes, or `head` if there are none.
    #[serde(with = "oid_text")]
    pub commit: Oid,
    /// Its tree, which has the tracked files of the working tree.
    #[serde(with = "oid_text")]
    pub tree: Oid,
}

impl Repo {
    /// Creates the commit object. `untracked` includes files that git neither tracks nor ignores.
    ///
    /// Files marked skip-worktree or assume-unchanged are compared by content like any other. No
    /// filter runs.
    pub fn local_changes(
        &self,
        head: Oid,
        message: &str,
        at: &jiff::ZonedDateTime,
        untracked: bool,
    ) -> Result<Local> {
        let mut tree = Survey::new(self)?.index()?;
        if untracked {
            self.add_untracked(&mut tree)?;
        }
        let doing = "could not write the site's changes into the clone's objects";
        let tree = tree.write_tree_to(&self.git).what(doing)?;
        let parent = self.git.find_commit(head).what(doing)?;
        if tree == parent.tree_id() {
            return Ok(Local { head, commit: head, tree });
        }
        let who = self.signature(at)?;
        let written = self.git.find_tree(tree).what(doing)?;
        let commit =
            self.git.commit(None, &who, &who, message, &written, &[&parent]).what(doing)?;
        Ok(Local { head, commit, tree })
    }

    /// Returns the same site without a file that git must stop tracking. The file stays on disk.
    pub fn without(
        &self,
        local: &Local,
        path: &SitePath,
        message: &str,
        at: &jiff::ZonedDateTime,
    ) -> Result<Local> {
        let doing = || format!("could not take {path} out of the site's commit");
        let before = self.git.find_tree(local.tree).what_with(doing)?;
        let tree =
            TreeUpdateBuilder::new().remove(path.as_path()).create_updated(&self.git, &before);
        let tree = tree.what_with(doing)?;
        let commit = self.commit_of(tree, &[local.head], message, at)?;
        Ok(Local { head: local.head, commit, tree })
    }

    /// Creates a commit object for a tree. No ref moves.
    pub fn commit_of(
        &self,
        tree: Oid,
        parents: &[Oid],
        message: &str,
        at: &jiff::ZonedDateTime,
    ) -> Result<Oid> {
        let doing = || format!("could not make a commit of tree {tree}");
        let who = self.signature(at)?;
        let tree = self.git.find_tree(tree).what_with(doing)?;
        let parents: Vec<_> = parents
            .iter()
            .map(|parent| self.git.find_commit(*parent))
            .collect::<Result<_, _>>()
            .what_with(doing)?;
        self.git
            .commit(None, &who, &who, message, &tree, &parents.iter().collect::<Vec<_>>())
            .what_with(doing)
    }

    fn add_untracked(&self, tree: &mut Index) -> Result<()> {
        let doing = "could not list the site's untracked files";
        let mut options = StatusOptions::new();
        options
            .show(StatusShow::Workdir)
            .include_untracked(true)
            .recurse_untracked_dirs(true)
            .exclude_submodules(true);
        options.no_refresh(true).update_index(false);
        for status in self.git.statuses(Some(&mut options)).what(doing)?.iter() {
            let path = status.path_bytes();
            if !status.status().is_wt_new() || path.ends_with(b"/") {
                continue;
            }
            let relative = Path::new(std::ffi::OsStr::from_bytes(path));
            // A file that is missing or behind a link is not part of the site.
            let Ok(Some(found)) = self.dir.metadata(relative) else { continue };
            if found.is_file() || found.is_symlink() {
                let oid = self.hash(relative, &found)?;
                add(tree, path, mode_of(&found), oid)?;
            }
        }
        Ok(())
    }

    /// Returns the uncommitted changes for people and `patch`: a summary, then a git diff. Not
    /// redacted.
    pub fn local_diff(&self, local: &Local) -> Result<Vec<u8>> {
        let doing = "could not write the site's changes as a diff";
        let old = self.git.find_tree(self.tree_of(local.head)?).what(doing)?;
        let new = self.git.find_tree(local.tree).what(doing)?;
        let diff = self.git.diff_tree_to_tree(Some(&old), Some(&new), None).what(doing)?;
        let summary =
            diff.stats().and_then(|stats| stats.to_buf(DiffStatsFormat::FULL, 80)).what(doing)?;
        let mut text = summary.to_vec();
        let printed = diff.print(DiffFormat::Patch, |_, _, line| {
            if matches!(line.origin(), '+' | '-' | ' ') {
                text.push(line.origin() as u8);
            }
            text.extend_from_slice(line.content());
            true
        });
        printed.what(doing)?;
        Ok(text)
    }
}

fn mode_of(found: &Metadata) -> Mode {
    match () {
        () if found.is_symlink() => Mode::Link,
        () if found.permissions().mode() & 0o100 != 0 => Mode::Executable,
        () => Mode::File,
    }
}

fn add(tree: &mut Index, path: &[u8], mode: Mode, oid: Oid) -> Result<()> {
    let entry = blank_entry(path, mode.bits(), oid);
    tree.add(&entry).what_with(|| format!("git refuses {}", SitePath::from(path)))
}

/// Returns a number as the index stores it: the low 32 bits.
pub(super) fn low(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Returns an index entry without information on the file on disk.
pub(super) fn blank_entry(path: &[u8], mode: u32, id: Oid) -> IndexEntry {
    let never = git2::IndexTime::new(0, 0);
    IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

/// A scan of all tracked files.
struct Survey<'r> {
    repo: &'r Repo,
    index: Index,
    /// The index's modification time. A file that is not older may have changed after the index
    /// recorded it.
    written: (i64, i64),
    /// True if the file system has useful permissions.
    modes: bool,
    /// The last directory. `None` if it is missing or a link.
    folder: Option<(PathBuf, Option<Dir>)>,
}

impl<'r> Survey<'r> {
    fn new(repo: &'r Repo) -> Result<Self> {
        let doing = "could not read the clone's index";
        let mut index = repo.git.index().what(doing)?;
        index.read(true).what(doing)?;
        let written = index.path().and_then(|path| fs::metadata(path).ok());
        let written = written.map_or((i64::MIN, 0), |found| (found.mtime(), found.mtime_nsec()));
        let config = repo.git.config().what("could not read git's configuration")?;
        let modes = config.get_bool("core.fileMode").unwrap_or(true);
        Ok(Self { repo, index, written, modes, folder: None })
    }

    /// Returns an index in memory with the files on disk.
    fn index(mut self) -> Result<Index> {
        let mut tree = Index::new().what("could not make an index")?;
        for at in 0..self.index.len() {
            let Some(entry) = self.index.get(at) else { continue };
            if let Some((mode, oid)) = self.on_disk(&entry)? {
                let entry = blank_entry(&entry.path, mode, oid);
                tree.add(&entry).what_with(|| {
                    format!("git refuses {}", SitePath::from(entry.path.as_slice()))
                })?;
            }
        }
        Ok(tree)
    }

    /// Returns a tracked file's state on disk. `None` if it was deleted.
    fn on_disk(&mut self, entry: &IndexEntry) -> Result<Option<(u32, Oid)>> {
        let as_noted = Ok(Some((entry.mode, entry.id)));
        let relative = Path::new(std::ffi::OsStr::from_bytes(&entry.path));
        let path = self.repo.root().join(relative);
        let found = match self.look(relative) {
            Ok(Some(found)) => found,
            Ok(None) if entry.flags_extended & SKIP_WORKTREE != 0 => return as_noted,
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(error).what_with(|| format!("could not look at {}", path.display()));
            }
        };
        if Mode::of_bits(entry.mode) == Some(Mode::Submodule) {
            let inner = git2::Repository::open(&path)
                .and_then(|inner| inner.head()?.peel_to_commit().map(|at| at.id()));
            return Ok(found.is_dir().then(|| (entry.mode, inner.unwrap_or(entry.id))));
        }
        if found.is_dir() {
            return Ok(None);
        }
        if !found.is_file() && !found.is_symlink() {
            return Err(Error::new(format!(
                "{} is tracked, and neither a file nor a link any more",
                path.display()
            ))
            .hint(
                "Put the file back (git checkout -- FILE), or delete what stands in its place.",
            ));
        }
        let marked =
            entry.flags & ASSUME_UNCHANGED != 0 || entry.flags_extended & SKIP_WORKTREE != 0;
        if !marked && self.is_as_noted(entry, &found) {
            return as_noted;
        }
        let mode = match mode_of(&found) {
            mode if mode.is_file() && !self.modes => {
                Mode::of_bits(entry.mode).filter(|noted| noted.is_file()).unwrap_or(mode)
            }
            mode => mode,
        };
        Ok(Some((mode.bits(), self.repo.hash(relative, &found)?)))
    }

    /// Looks at a file in its directory, which stays open for the next one. Nothing behind a link
    /// belongs to the clone.
    fn look(&mut self, path: &Path) -> io::Result<Option<Metadata>> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        if self.folder.as_ref().is_none_or(|(known, _)| known != folder) {
            let opened = match self.repo.dir.dir(folder) {
                Ok(opened) => Some(opened),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    None
                }
                Err(error) => return Err(error),
            };
            self.folder = Some((folder.to_owned(), opened));
        }
        match &self.folder {
            Some((_, Some(folder))) => folder.metadata(Path::new(name)),
            _ => Ok(None),
        }
    }

    /// Returns true if the file's times, size and identity are those that the index recorded with
    /// its content.
    fn is_as_noted(&self, entry: &IndexEntry, found: &Metadata) -> bool {
        let time =
            |time: git2::IndexTime| (i64::from(time.seconds()), i64::from(time.nanoseconds()));
        let (mtime, ctime) =
            ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        let mode = !self.modes || Mode::of_bits(entry.mode) == Some(mode_of(found));
        mode && mtime == time(entry.mtime)
            && ctime == time(entry.ctime)
            && mtime < self.written
            && entry.file_size == low(found.size())
            && entry.ino == low(found.ino())
    }
}
