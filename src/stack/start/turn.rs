//! One at a time: what a run that was killed left compose to finish is waited for before containers are touched again.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Error, Result};
use crate::event::Events;

/// How long a compose that was left behind may take: stopping a service can take minutes.
const PATIENCE: Duration = Duration::from_mins(15);
/// How often it is looked for.
const ROUND: Duration = Duration::from_millis(100);

/// The right to change the project's containers. Every compose that is started with it holds it too, until it ends by itself, also when
/// this process is killed.
#[derive(Debug)]
pub struct Turn(File);

impl Turn {
    /// Takes the turn of the lock file at `path`, which is made where it is missing.
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
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::Error(error)) => return Err(error).what_with(what),
                Err(TryLockError::WouldBlock) if since.elapsed() > PATIENCE => {
                    return Err(still_there(path));
                }
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        events
                            .info("waiting for what compose still does for a run that was killed");
                        told = true;
                    }
                    tokio::time::sleep(ROUND).await;
                }
            }
        }
    }

    /// What whoever changes containers holds on to.
    pub(in crate::stack) fn file(&self) -> &File {
        &self.0
    }
}

fn still_there(path: &Path) -> Error {
    Error::new("compose is still at work for a run that was killed")
        .hint(format!("`fuser {}` names the process: wait for it, or end it.", path.display()))
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
