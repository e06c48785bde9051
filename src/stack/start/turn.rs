//! The lock for changing containers. It waits for a compose process that a killed run left running.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::event::Events;

/// The time limit for a leftover compose process: stopping a service can take minutes.
const PATIENCE: Duration = Duration::from_mins(15);
/// The time between two attempts to lock.
const ROUND: Duration = Duration::from_millis(100);

/// The lock for changing the project's containers. Every compose process inherits it and holds it
/// until it ends, even if this process is killed.
#[derive(Debug)]
pub struct Turn(File);

impl Turn {
    /// Locks the file at `path`, and creates it if it is missing.
    pub async fn take(path: &Path, events: &Events) -> Result<Self> {
        let what = || format!("could not lock {}", path.display());
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(path)
            .what_with(what)?;
        let since = Instant::now();
        let mut announced = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(error).what_with(what),
                Err(TryLockError::WouldBlock) if since.elapsed() > PATIENCE => {
                    return Err(still_there(path));
                }
                Err(TryLockError::WouldBlock) => {
                    if !announced {
                        events.info("waiting for the compose process of a killed run");
                        announced = true;
                    }
                    tokio::time::sleep(ROUND).await;
                }
            }
        }
    }

    /// Returns the locked file, for child processes that change containers.
    pub(in crate::stack) fn file(&self) -> &File {
        &self.0
    }
}

fn still_there(path: &Path) -> Error {
    Error::new("the compose process of a killed run is still running")
        .hint(format!("Find it with `fuser {}`. Wait for it, or end it.", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Command;

    #[test]
    fn what_was_left_behind_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (lock, trace) = (folder.path().join("lock"), folder.path().join("trace"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let turn = Turn::take(&lock, &Events::default()).await.unwrap();
            let script = format!("sleep 0.5; echo said; echo done >{}", trace.display());
            let held = turn.file().try_clone().unwrap();
            // The command itself holds what it gives its child, and goes with this statement.
            let mut left =
                std::process::Command::new("sh").args(["-c", &script]).stdin(held).spawn().unwrap();
            drop(turn);
            let turn = Turn::take(&lock, &Events::default()).await.unwrap();
            assert_eq!(std::fs::read_to_string(&trace).unwrap(), "done\n");
            left.wait().unwrap();
            let again = Command::new("sh", Duration::from_secs(9))
                .args(["-c", "cat; echo out; echo err >&2; exit 3"]);
            let output = again.run_through(turn.file()).await.unwrap();
            assert_eq!(
                (output.code, output.text().as_str(), output.tail().as_str()),
                (Some(3), "out", "err")
            );
        });
    }
}
