//! Events as JSON Lines on standard output, for programs.

use std::io::Write;

use crate::event::{Event, Sink};

/// Writes each event but progress as one line of JSON. A reader that went away is not our failure: the run goes on without it.
pub struct JsonLines<W>(W);

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn event(&mut self, event: &Event) {
        if matches!(event, Event::Progress { .. }) {
            return;
        }
        if let Ok(line) = serde_json::to_string(event) {
            let _ = writeln!(self.0, "{line}").and_then(|()| self.0.flush());
        }
    }
}
