//! Traces for debugging: processes, engine requests, stages and plugin calls. They go to standard
//! error on request, and always into the run's directory.

#![expect(clippy::disallowed_methods, reason = "this path is in the run's own directory")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::{Context, Result};
use crate::event::Events;
use crate::exit::Exit;
use crate::printable;

/// The environment variable that selects traces, in the syntax of `RUST_LOG`, such as
/// `cowhand=trace,wasmtime=debug`.
pub const VARIABLE: &str = "COWHAND_LOG";
/// The traces of `--verbose`, and those that each run keeps.
const DEFAULT: &str = "cowhand=debug";
/// The file in the run's directory.
const FILE: &str = "trace.log";

/// The trace file of the run that this process works on.
static RUN: Mutex<Option<File>> = Mutex::new(None);

/// Installs the subscriber. Returns true if traces go to standard error, because of `verbose` or of
/// `COWHAND_LOG`. Secrets that `events` redacts are redacted here, too.
pub fn start(verbose: bool, events: &Events) -> Result<bool> {
    let asked = std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty());
    let directives = asked.as_deref().unwrap_or(DEFAULT);
    let filter = || {
        EnvFilter::try_new(directives)
            .what_with(|| format!("`{directives}` in {VARIABLE} is not a valid filter"))
            .map_err(|error| error.exit(Exit::Usage).hint("Write for instance `cowhand=debug`."))
    };
    let shown = verbose || asked.is_some();
    let terminal = fmt::layer()
        .with_writer(Destination { events: events.clone(), run: false })
        .with_ansi(false)
        .with_filter(filter()?);
    let run = fmt::layer()
        .with_writer(Destination { events: events.clone(), run: true })
        .with_ansi(false)
        .with_filter(filter()?);
    let layers = tracing_subscriber::registry().with(shown.then_some(terminal)).with(run);
    // Only a second start in one process fails here, in tests: the first subscriber stays.
    let _ = layers.try_init();
    Ok(shown)
}

/// Appends the traces of this process to the file in this run's directory from now on.
pub fn keep_in(run: &Path) -> Result<()> {
    let path = run.join(FILE);
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    *run_file() = Some(file.what_with(|| format!("could not open {}", path.display()))?);
    Ok(())
}

fn run_file() -> MutexGuard<'static, Option<File>> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Standard error, or the run's file if there is one.
struct Destination {
    events: Events,
    run: bool,
}

impl<'w> MakeWriter<'w> for Destination {
    type Writer = Redacting<'w>;

    fn make_writer(&'w self) -> Redacting<'w> {
        Redacting(self)
    }
}

/// Writes whole traces, which the subscriber passes on one by one, without secrets and without
/// characters that a terminal obeys.
struct Redacting<'w>(&'w Destination);

impl Write for Redacting<'_> {
    fn write(&mut self, trace: &[u8]) -> io::Result<usize> {
        let text = self.0.events.redactor().text(&String::from_utf8_lossy(trace));
        let line = printable::line(text.trim_end());
        if self.0.run {
            // A full disk must not end a run for the sake of a trace.
            let _ = run_file().as_mut().map_or(Ok(()), |file| writeln!(file, "{line}"));
        } else {
            let _ = writeln!(io::stderr(), "{line}");
        }
        Ok(trace.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
