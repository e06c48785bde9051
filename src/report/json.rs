//! Events as JSON Lines on standard output, for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::event::{Event, Sink};
use crate::printable;

/// Writes each event except progress as one line of JSON. The run continues if the reader closes
/// its end.
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
        let mut line = Vec::new();
        if event.serialize(&mut Serializer::with_formatter(&mut line, Escaping)).is_ok() {
            line.push(b'\n');
            let _ = self.0.write_all(&line).and_then(|()| self.0.flush());
        }
    }
}

/// Writes the characters that are not plain as escapes: the same data, and safe where a person
/// looks at it.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for chunk in fragment.split_inclusive(|character| !printable::is_plain(character)) {
            let last = chunk.chars().next_back().filter(|last| !printable::is_plain(*last));
            let plain = chunk.len() - last.map_or(0, char::len_utf8);
            out.write_all(&chunk.as_bytes()[..plain])?;
            for unit in last.iter().flat_map(|last| last.encode_utf16(&mut [0; 2]).to_vec()) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}
