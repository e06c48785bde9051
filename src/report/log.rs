//! The run's log of its events, which `show` reads.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::JsonLines;
use crate::error::{Context, Result};
use crate::event::{Event, Sink};

/// Appends each event to a file of the run. It is not synced: resume and rollback read the journal.
pub struct RunLog(JsonLines<File>);

impl RunLog {
    /// Opens or creates the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self(JsonLines::new(file.what_with(|| format!("could not open {}", path.display()))?)))
    }
}

impl Sink for RunLog {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }
}
