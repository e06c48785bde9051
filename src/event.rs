//! Everything that a command reports, as events. The terminal, JSON, the run's log and observers
//! are sinks of the same events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::plan::{Plan, PrunePlan};
use crate::plugin::Receipt;

/// The version of the events' JSON, in the first event of a command. Consumers ignore unknown
/// events and keys.
pub const SCHEMA: u32 = 1;

/// Something that happened. As JSON: an object whose `event` names the kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event of every command.
    Start {
        /// [`SCHEMA`].
        schema: u32,
        /// The command as typed: `update`, `plan`, ….
        command: String,
        /// The version of Cowhand.
        version: String,
        /// The site's directory.
        site: String,
        /// The run's id, if the command starts or continues a run.
        run: Option<String>,
        /// The time at which the command began.
        at: Timestamp,
    },
    /// A stage of the pipeline began or ended.
    Stage {
        /// The stage's name, as in the pipeline's list.
        stage: String,
        /// The stage's state.
        state: StageState,
        /// A line of text: the result, or the reason for skipping the stage.
        detail: Option<String>,
    },
    /// A message.
    Note {
        /// The message's severity.
        level: Level,
        /// The message.
        text: String,
        /// What the operator can do.
        hint: Option<String>,
    },
    /// The progress of a long task. A sink may drop all but the last of a task.
    Progress {
        /// The task's name; each task has one bar or line.
        task: String,
        /// The amount done, in `unit`.
        done: u64,
        /// The total, if known.
        total: Option<u64>,
        /// The unit of `done` and `total`.
        unit: Unit,
        /// True if the task has ended.
        finished: bool,
        /// The task's parts, if they are shown separately: an image's layers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Part>,
    },
    /// A plugin was called.
    Plugin(Box<Receipt>),
    /// The plan of a run.
    Plan(Box<Plan>),
    /// The candidates of `prune`.
    Prune(PrunePlan),
    /// The result of `check`.
    Check {
        /// True if upstream has commits that the site lacks.
        update: bool,
        /// The site's commit.
        head: String,
        /// Upstream's commit.
        upstream: String,
        /// Upstream's branch, as `REMOTE/BRANCH`.
        branch: String,
        /// `DATE - SUBJECT` of the commits that the site lacks, newest first. Empty if they are not
        /// fetched yet.
        commits: Vec<String>,
    },
    /// The result of a read-only command (`status`, `history`, `show`, `plugin list`, …).
    Report {
        /// The report's name, which is the command's.
        report: String,
        /// The report's data, for programs.
        data: serde_json::Value,
        /// The report as text.
        text: String,
    },
    /// The last event of every command.
    Outcome {
        /// The process's exit code.
        code: u8,
        /// The same as a word.
        exit: Exit,
        /// The outcome, as a sentence.
        message: String,
        /// The causes, nearest first.
        because: Vec<String>,
        /// What was left as it was.
        left: Option<String>,
        /// What to do next.
        hints: Vec<String>,
        /// The run's id, if there was a run.
        run: Option<String>,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

/// The state of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// It began.
    Started,
    /// It succeeded.
    Done,
    /// It had nothing to do.
    Skipped,
    /// It failed.
    Failed,
    /// Its changes were undone.
    Undone,
}

/// The severity of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Shown with `--verbose`.
    Debug,
    /// Information.
    Info,
    /// A problem that the operator should look at; the run continues.
    Warning,
}

/// A part of a task, in the task's unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The amount done.
    pub done: u64,
    /// The total, if known.
    pub total: Option<u64>,
}

impl Part {
    /// Returns true if all of it is done.
    pub fn is_done(&self) -> bool {
        self.total == Some(self.done)
    }
}

/// The unit of a progress event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Objects, files or services.
    Items,
}

/// Takes events. A sink must not fail and must not block.
pub trait Sink: Send {
    /// Takes one event, which is already redacted.
    fn event(&mut self, event: &Event);

    /// Stops waiting for the sink's reader: from now on services are stopped.
    fn hurry(&mut self) {}

    /// Waits until the reader has taken everything, or nothing for as long as `patience`.
    fn drain(&mut self, _patience: Option<Duration>) {}

    /// Waits until the reader has taken everything, with a limit if the run changed the site.
    fn end(&mut self) {}
}

/// The hub, which redacts each event and passes it to every sink. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Hub>>);

/// The number of events kept for late sinks. Plugins are loaded after about a dozen.
const KEPT: usize = 256;

#[derive(Default)]
struct Hub {
    sinks: Vec<Box<dyn Sink>>,
    /// The first events, without progress.
    first: Vec<Event>,
    redact: crate::redact::Redactor,
}

impl Events {
    /// Adds a sink for all further events.
    pub fn add(&self, sink: Box<dyn Sink>) {
        self.hub().sinks.push(sink);
    }

    /// Adds a sink that also gets the earlier events.
    pub fn add_from_the_start(&self, mut sink: Box<dyn Sink>) {
        let mut hub = self.hub();
        hub.first.iter().for_each(|event| sink.event(event));
        hub.sinks.push(sink);
    }

    /// Redacts these secrets from all further events.
    pub fn redact(&self, redact: crate::redact::Redactor) {
        self.hub().redact = redact;
    }

    /// Returns the current redactor, for text outside of events.
    pub fn redactor(&self) -> crate::redact::Redactor {
        self.hub().redact.clone()
    }

    /// Passes an event to every sink.
    pub fn emit(&self, event: Event) {
        let mut hub = self.hub();
        let kept = hub.first.len() < KEPT && !matches!(event, Event::Progress { .. });
        if hub.sinks.is_empty() && !kept {
            return;
        }
        let event = hub.redact.event(event);
        for sink in &mut hub.sinks {
            sink.event(&event);
        }
        if kept {
            hub.first.push(event);
        }
    }

    /// Stops waiting for readers: from now on services are stopped.
    pub fn hurry(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.hurry());
    }

    /// Waits until every reader has taken everything, before a question.
    pub fn drain(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.drain(None));
    }

    /// Waits at the end of the process until every reader has taken everything.
    pub fn end(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.end());
    }

    /// Emits an informational note.
    pub fn info(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Info, text: text.into(), hint: None });
    }

    /// Emits a warning.
    pub fn warn(&self, text: impl Into<String>, hint: Option<String>) {
        self.emit(Event::Note { level: Level::Warning, text: text.into(), hint });
    }

    /// Emits the progress of a task.
    pub fn progress(&self, task: &str, done: u64, total: Option<u64>, unit: Unit) {
        self.progress_of_parts(task, done, total, unit, Vec::new());
    }

    /// Emits the progress of a task and of its parts.
    pub fn progress_of_parts(
        &self,
        task: &str,
        done: u64,
        total: Option<u64>,
        unit: Unit,
        parts: Vec<Part>,
    ) {
        self.emit(Event::Progress {
            task: task.to_owned(),
            done,
            total,
            unit,
            finished: false,
            parts,
        });
    }

    /// Emits the end of a task.
    pub fn finished(&self, task: &str, done: u64, unit: Unit) {
        self.emit(Event::Progress {
            task: task.to_owned(),
            done,
            total: Some(done),
            unit,
            finished: true,
            parts: Vec::new(),
        });
    }

    fn hub(&self) -> std::sync::MutexGuard<'_, Hub> {
        // A sink that panicked must not take the update with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
