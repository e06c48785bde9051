//! Putting the files of git's own folder in place: under git's lock, and on the disk before they are seen. libgit2 renames first and leaves
//! it to the kernel when the content follows, so a power cut could leave a branch that is empty.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use git2::Oid;

use crate::error::{Context, Error, Result};
use crate::files;
use crate::git::Repo;

/// What a lock holds that is ours: one that a kill left behind is known by it.
const OURS: &[u8] = b"cowhand\n";
/// Where a lock is made before it is linked to its name.
const LOCK: &str = ".cowhand-lock";
/// Where content is written before it is moved to its place.
const BESIDE: &str = ".cowhand-new";

/// A lock as git takes it, `FILE.lock`; given up when dropped.
#[derive(Debug)]
pub(super) struct Held(PathBuf);

impl Held {
    /// Takes the lock of a file, or takes over what a kill or a power cut left of ours. It appears with what it holds, or not at all.
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
        // One that stays is known to be ours.
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the new content of a file of the git folder is to be written. What a kill left there goes.
pub(super) fn beside(repo: &Repo) -> PathBuf {
    let beside = repo.git_folder().join(BESIDE);
    let _ = fs::remove_file(&beside);
    // libgit2 takes a lock of its own to write there.
    let _ = fs::remove_file(beside.with_extension("lock"));
    beside
}

/// Moves what stands [`beside`] to its place, durably.
pub(super) fn put(repo: &Repo, new: &Path, file: &Path) -> Result<()> {
    let doing = || format!("could not write {}", file.display());
    File::open(new).and_then(|new| new.sync_all()).what_with(doing)?;
    fs::rename(new, file).what_with(doing)?;
    files::sync_folder(file.parent().unwrap_or(repo.git_folder()))
}

/// Lets a reference, or HEAD, hold this line, if `is_unmoved` still says so once nobody else can write there.
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

/// Notes a move in the logs of references, as git does where they are kept. They are for people: without them nothing is lost.
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
