//! The index after the switch, and the original one, byte for byte.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use git2::{Index, IndexEntry, IndexTime, Oid};

use super::{Switch, place};
use crate::error::{Context, Result};
use crate::git::Repo;
use crate::git::local::{blank_entry, low};
use crate::git::repo::MOST_OF_A_FILE;

/// git's flags in an index entry that sites set: "assume unchanged" and "skip worktree".
const MARKS: (u16, u16) = (0x8000, 0x4000);

impl Repo {
    /// Returns the index file's bytes. `None` if there is no index.
    pub(super) fn index_file(&self) -> Result<Option<Vec<u8>>> {
        let path = self.git_folder().join("index");
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).what_with(|| format!("could not read {}", path.display())),
        }
    }
}

/// Writes the index of the new tree. Cached information on unchanged files is kept.
pub fn write(repo: &Repo, switch: &Switch) -> Result<()> {
    let doing = "could not write the clone's index";
    let mut index = repo.git.index().what(doing)?;
    index.read(true).what(doing)?;
    let known: HashMap<Vec<u8>, IndexEntry> =
        index.iter().map(|entry| (entry.path.clone(), entry)).collect();
    let mut tree = Index::new().what(doing)?;
    tree.read_tree(&repo.git.find_tree(switch.after).what(doing)?).what(doing)?;
    let written: HashMap<&[u8], Oid> = switch
        .steps
        .iter()
        .filter_map(|step| Some((step.path.as_bytes(), step.becomes.as_ref()?.oid)))
        .collect();
    let entries: Vec<IndexEntry> =
        tree.iter().map(|entry| fill(repo, entry, &known, &written)).collect();
    let path = repo.git_folder().join("index");
    let _held = place::Held::take(repo, &path)?;
    let beside = place::beside(repo);
    let mut index = Index::open(&beside).what(doing)?;
    for entry in &entries {
        index.add(entry).what(doing)?;
    }
    index.write().what(doing)?;
    place::put(repo, &beside, &path)
}

/// Returns an entry with the file's times, if the file certainly has this content.
fn fill(
    repo: &Repo,
    entry: IndexEntry,
    known: &HashMap<Vec<u8>, IndexEntry>,
    written: &HashMap<&[u8], Oid>,
) -> IndexEntry {
    let old = known.get(&entry.path);
    let mut new = match old {
        Some(old)
            if old.id == entry.id
                && old.mode == entry.mode
                && !written.contains_key(entry.path.as_slice()) =>
        {
            IndexEntry { path: entry.path, ..*old }
        }
        _ => looked_at(repo, &entry, written.get(entry.path.as_slice())).unwrap_or(entry),
    };
    if let Some(old) = old {
        new.flags |= old.flags & MARKS.0;
        new.flags_extended |= old.flags_extended & MARKS.1;
    }
    new
}

/// Returns the entry with the data of `lstat`. `None` if the file differs from the tree, so that
/// git compares it itself.
fn looked_at(repo: &Repo, entry: &IndexEntry, written: Option<&Oid>) -> Option<IndexEntry> {
    let path = Path::new(std::ffi::OsStr::from_bytes(&entry.path));
    let found = repo.dir.metadata(path).ok()??;
    if !found.is_file() && !found.is_symlink() {
        return None;
    }
    let is_this = match written {
        Some(oid) if found.is_file() => {
            let content = repo.dir.read(path, MOST_OF_A_FILE).ok()?;
            Oid::hash_object(git2::ObjectType::Blob, &content).ok()? == *oid
        }
        _ => repo.hash(path, &found).ok()? == entry.id,
    };
    let executable = found.permissions().mode() & 0o100 != 0;
    if !is_this || found.is_file() && executable != (entry.mode == 0o100_755) {
        return None;
    }
    let time = |seconds: i64, nanoseconds: i64| {
        IndexTime::new(
            i32::try_from(seconds).unwrap_or_default(),
            u32::try_from(nanoseconds).unwrap_or_default(),
        )
    };
    Some(IndexEntry {
        ctime: time(found.ctime(), found.ctime_nsec()),
        mtime: time(found.mtime(), found.mtime_nsec()),
        dev: low(found.dev()),
        ino: low(found.ino()),
        uid: found.uid(),
        gid: found.gid(),
        file_size: low(found.size()),
        ..blank_entry(&entry.path, entry.mode, entry.id)
    })
}

/// Restores the original file.
pub fn restore(repo: &Repo, switch: &Switch) -> Result<()> {
    let doing = "could not bring back the clone's index";
    let contents = repo.git.find_tree(switch.contents).what(doing)?;
    let Some(kept) = contents.get_name("index") else { return Ok(()) };
    let bytes = repo.blob(kept.id())?;
    if repo.index_file()?.as_ref() == Some(&bytes) {
        return Ok(());
    }
    let path = repo.git_folder().join("index");
    let _held = place::Held::take(repo, &path)?;
    let mode = fs::metadata(&path).map_or(0o644, |found| found.permissions().mode() & 0o777);
    crate::files::write(&path, &bytes, mode)
}
