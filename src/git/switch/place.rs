//! Durable writes to git's own directory: under git's lock, and synced before they are visible.
//! libgit2 renames first and leaves the content to the kernel, so a power cut could leave an empty
//! branch.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use git2::Oid;

use crate::error::{Context, Error, Result};
use crate::files;
use crate::git::Repo;

/// The content of Cowhand's locks, which identifies a lock that a kill left behind.
const OURS: &[u8] = b"cowhand\n";
/// The temporary name of a lock, before it is linked to its name.
const LOCK: &str = ".cowhand-lock";
/// The temporary name of content.
const BESIDE: &str = ".cowhand-new";

/// git's lock `FILE.lock`, removed when dropped.
#[derive(Debug)]
pub(super) struct Held(PathBuf);

impl Held {
    /// Takes the lock of a file, or takes over Cowhand's own lock after a kill or a power cut. The
    /// lock appears with its content or not at all.
    pub(super) fn take(repo: &Repo, file: &Path) -> Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let doing = || format!("could not lock {}", file.display());
        let own = repo.git_folder().join(LOCK);
        File::create(&own)
            .and_then(|mut lock| lock.write_all(OURS).and_then(|()| lock.sync_all()))
            .what_with(doing)?;
        let linked = fs::hard_link(&own, &path);
        let _ = fs::remove_file(&own);
        match linked {
            Err(taken)
                if taken.kind() == ErrorKind::AlreadyExists
                    && fs::read(&path).is_ok_and(|held| held == OURS) => {}
            Err(taken) if taken.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::new(doing())
                    .because("another git command is at work there, or was killed")
                    .hint(format!("When none is, remove {}.", path.display())));
            }
            linked => linked.what_with(doing)?,
        }
        Ok(Self(path))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // If it stays, its content identifies it.
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the temporary path for a new file in the git directory, and removes leftovers of a kill.
pub(super) fn beside(repo: &Repo) -> PathBuf {
    let beside = repo.git_folder().join(BESIDE);
    let _ = fs::remove_file(&beside);
    // libgit2 takes its own lock there.
    let _ = fs::remove_file(beside.with_extension("lock"));
    beside
}

/// Moves the file at [`beside`] to its place, durably.
pub(super) fn put(repo: &Repo, new: &Path, file: &Path) -> Result<()> {
    let doing = || format!("could not write {}", file.display());
    File::open(new).and_then(|new| new.sync_all()).what_with(doing)?;
    fs::rename(new, file).what_with(doing)?;
    files::sync_folder(file.parent().unwrap_or(repo.git_folder()))
}

/// Writes a line to a reference or HEAD, if `is_unmoved` still returns true under the lock.
pub(super) fn line(
    repo: &Repo,
    file: &Path,
    line: &str,
    is_unmoved: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let doing = || format!("could not write {}", file.display());
    fs::create_dir_all(file.parent().unwrap_or(repo.git_folder())).what_with(doing)?;
    let _held = Held::take(repo, file)?;
    is_unmoved()?;
    let new = beside(repo);
    fs::write(&new, format!("{line}\n")).what_with(doing)?;
    put(repo, &new, file)
}

/// Writes to the reflogs that git keeps. They are for people; nothing depends on them.
pub(super) fn log(repo: &Repo, references: &[&str], to: Oid, message: &str) {
    let who =
        repo.git.signature().or_else(|_| git2::Signature::now("cowhand", "cowhand@localhost"));
    let Ok(who) = who else { return };
    for name in references {
        let noted = repo.git.reflog(name).and_then(|mut log| {
            log.append(to, &who, Some(message))?;
            log.write()
        });
        if noted.is_err() {
            return;
        }
    }
}
