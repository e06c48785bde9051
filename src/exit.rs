//! Every exit code of Cowhand, in one place, because scripts and monitoring depend on them.

use serde::{Deserialize, Serialize};

/// The outcome of a command, as a process exit code. Promised in the README; never renumber.
///
/// The refusals from [`Exit::Refused`] to [`Exit::Prepare`] leave the site untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Exit {
    /// Done. For `check`: an update is available.
    Done = 0,
    /// An unexpected failure.
    Unexpected = 1,
    /// The command line or `cowhand.toml` is wrong.
    Usage = 2,
    /// `check`: no update.
    NoUpdate = 3,
    /// Refused by preflight: nothing changed.
    Refused = 10,
    /// A plugin or the operator said no or not now, or a plugin failed: nothing changed.
    Declined = 11,
    /// A conflict or a loss needs the operator: nothing changed.
    Conflict = 12,
    /// Prepare failed (fetch, pull, invalid compose): nothing changed.
    Prepare = 13,
    /// Apply failed and was rolled back: the site is as before.
    RolledBack = 20,
    /// Apply failed and could not be rolled back: the message says what to do.
    Broken = 21,
    /// The new stack is up but unhealthy, and a rollback would not undo its migrations.
    Unwell = 22,
    /// An unfinished run must be resumed or rolled back first.
    Unfinished = 23,
    /// Another run holds the lock.
    Locked = 30,
    /// `check` failed; the code is update.sh's.
    CouldNotTell = 99,
    /// Interrupted; `status` shows the site's state.
    Interrupted = 130,
}

impl Exit {
    /// Returns the process's exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
