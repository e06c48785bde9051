//! One run per site: a lock that dies with its holder and names it.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::exit::Exit;

/// The lock, held for as long as this value lives. The kernel lets go of it when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// The holder of the lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Since when.
    pub since: Timestamp,
}

impl Lock {
    /// Takes the lock in the file at `path`, or says who has it.
    pub fn take(path: &Path, command: &str) -> Result<Self> {
        let doing = || format!("could not lock {}", path.display());
        let mut file = open(path).what_with(doing)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&mut file)),
            Err(TryLockError::Error(error)) => return Err(error).what_with(doing),
        }
        let holder = Holder {
            pid: std::process::id(),
            command: command.to_owned(),
            since: Timestamp::now(),
        };
        let text = serde_json::to_vec(&holder).what_with(doing)?;
        file.set_len(0).and_then(|()| file.write_all(&text)).what_with(doing)?;
        Ok(Self(file))
    }

    /// Waits until the lock is free, then takes it. Blocks.
    pub fn wait(path: &Path, command: &str) -> Result<Self> {
        loop {
            match Self::take(path, command) {
                Err(error) if error.exit_code() == Some(Exit::Locked) => {
                    let doing = || format!("could not lock {}", path.display());
                    // Another waiter may be quicker between this unlock and the next try.
                    open(path).and_then(|file| file.lock()).what_with(doing)?;
                }
                other => return other,
            }
        }
    }

    /// Returns the current holder of the lock at `path`, if any.
    pub fn holder(path: &Path) -> Option<Holder> {
        let mut file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read(&mut file),
            _ => None,
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).ok()?;
    serde_json::from_str(&text).ok()
}

fn held(file: &mut File) -> Error {
    let who = read(file).map_or_else(
        || "another run".to_owned(),
        |holder| {
            format!("`cowhand {}` (process {}, since {})", holder.command, holder.pid, holder.since)
        },
    );
    Error::new(format!("another run is in progress: {who}"))
        .exit(Exit::Locked)
        .left("Nothing was started.")
        .hint("Wait for it, for instance with --wait, or see `cowhand status`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "").unwrap();
        assert!(Lock::holder(&path).is_none());
        // `wait`, not `take`: what another test starts at such a moment has the lock's file, too,
        // until it runs.
        let first = Lock::wait(&path, "update").unwrap();
        let error = Lock::take(&path, "update").unwrap_err();
        assert_eq!(error.exit_code(), Some(Exit::Locked));
        assert!(error.headline().contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(Lock::holder(&path).unwrap().command, "update");
        drop(first);
        let _second = Lock::wait(&path, "check").unwrap();
        assert_eq!(Lock::holder(&path).unwrap().command, "check");
    }
}
