//! Everything a command tells, as events. Terminal, JSON, the run's own log and observers are sinks of the same events.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::plan::{Plan, PrunePlan};
use crate::plugin::Receipt;

/// The version of the events' JSON, carried by the first event of a command. Consumers ignore unknown events and keys.
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
        /// The site's folder.
        site: String,
        /// The run's id, where the command starts or continues one.
        run: Option<String>,
        /// When the command began.
        at: Timestamp,
    },
    /// A stage of the pipeline began or ended.
    Stage {
        /// The stage's name, as in the pipeline's list.
        stage: String,
        /// What became of it.
        state: StageState,
        /// A line for people: what it found, or why it was skipped.
        detail: Option<String>,
    },
    /// A line for people.
    Note {
        /// How loud.
        level: Level,
        /// What happened.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// How far a long task is. Many of these; a sink may drop all but the last of a task.
    Progress {
        /// Which task: one bar or line each.
        task: String,
        /// How much is done, in `unit`.
        done: u64,
        /// How much there is, if known.
        total: Option<u64>,
        /// What is counted.
        unit: Unit,
        /// Whether the task has ended.
        finished: bool,
        /// What the task consists of, where that is worth showing by itself: an image's layers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Part>,
    },
    /// A plugin was called.
    Plugin(Box<Receipt>),
    /// What a run would do, or is about to do.
    Plan(Box<Plan>),
    /// What `prune` would remove.
    Prune(PrunePlan),
    /// What `check` found.
    Check {
        /// Whether upstream has commits that the site lacks.
        update: bool,
        /// The site's commit.
        head: String,
        /// Upstream's commit.
        upstream: String,
        /// Upstream's branch, as `REMOTE/BRANCH`.
        branch: String,
        /// `DATE - SUBJECT` of the commits that the site lacks, newest first; empty where they are not fetched yet.
        commits: Vec<String>,
    },
    /// An answer of a command that only tells (`status`, `history`, `show`, `plugin list`, …).
    Report {
        /// Which report: the command's name.
        report: String,
        /// The report's data, for programs.
        data: serde_json::Value,
        /// The same for people.
        text: String,
    },
    /// The last event of every command.
    Outcome {
        /// The process's exit code.
        code: u8,
        /// The same as a word.
        exit: Exit,
        /// What came of it, in a sentence.
        message: String,
        /// Why, nearest cause first.
        because: Vec<String>,
        /// What was left as it was.
        left: Option<String>,
        /// What to do next.
        hints: Vec<String>,
        /// The run's id, where there was one.
        run: Option<String>,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

/// What became of a stage. Skipped and warned are outcomes, not errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageState {
    /// It began.
    Started,
    /// It did what it is for.
    Done,
    /// It had nothing to do.
    Skipped,
    /// It failed.
    Failed,
    /// What it had done was undone.
    Undone,
}

/// How loud a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// For who asked for more (`--verbose`).
    Debug,
    /// Worth a line.
    Info,
    /// Something the admin should look at; the run goes on.
    Warning,
}

/// A part of a task; what is counted is what the task counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is of it, if known.
    pub total: Option<u64>,
}

impl Part {
    /// Whether all of it is done.
    pub fn is_done(&self) -> bool {
        self.total == Some(self.done)
    }
}

/// What a progress event counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things: objects, files, services.
    Items,
}

/// Takes events. A sink must not fail and must not block.
pub trait Sink: Send {
    /// One event, already redacted.
    fn event(&mut self, event: &Event);

    /// From now on nothing waits for its reader, because services wait for the run.
    fn hurry(&mut self) {}

    /// Waits until its reader has everything, or has taken nothing for as long as `patience`.
    fn drain(&mut self, _patience: Option<Duration>) {}

    /// Waits until its reader has everything; not without end where the site was changed.
    fn end(&mut self) {}
}

/// The hub that redacts each event and gives it to every sink. Cheap to clone.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Hub>>);

/// How many events are kept for sinks that come late; plugins are loaded after a dozen.
const KEPT: usize = 256;

#[derive(Default)]
struct Hub {
    sinks: Vec<Box<dyn Sink>>,
    /// The first events, progress left out.
    first: Vec<Event>,
    redact: crate::redact::Redactor,
}

impl Events {
    /// Adds a sink; it sees what is emitted from now on.
    pub fn add(&self, sink: Box<dyn Sink>) {
        self.hub().sinks.push(sink);
    }

    /// Adds a sink that also gets what was emitted before.
    pub fn add_from_the_start(&self, mut sink: Box<dyn Sink>) {
        let mut hub = self.hub();
        hub.first.iter().for_each(|event| sink.event(event));
        hub.sinks.push(sink);
    }

    /// From now on these secrets are replaced in everything shown.
    pub fn redact(&self, redact: crate::redact::Redactor) {
        self.hub().redact = redact;
    }

    /// The redactor in force, for what is shown or kept outside the events.
    pub fn redactor(&self) -> crate::redact::Redactor {
        self.hub().redact.clone()
    }

    /// Tells every sink.
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

    /// From now on nothing waits for a reader: services wait for the run.
    pub fn hurry(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.hurry());
    }

    /// Waits until every reader has everything: somebody is about to be asked about it.
    pub fn drain(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.drain(None));
    }

    /// Waits, at the end of the process, until every reader has everything.
    pub fn end(&self) {
        self.hub().sinks.iter_mut().for_each(|sink| sink.end());
    }

    /// A line worth reading.
    pub fn info(&self, text: impl Into<String>) {
        self.emit(Event::Note { level: Level::Info, text: text.into(), hint: None });
    }

    /// Something to look at.
    pub fn warn(&self, text: impl Into<String>, hint: Option<String>) {
        self.emit(Event::Note { level: Level::Warning, text: text.into(), hint });
    }

    /// How far a task is.
    pub fn progress(&self, task: &str, done: u64, total: Option<u64>, unit: Unit) {
        self.progress_of_parts(task, done, total, unit, Vec::new());
    }

    /// How far a task is, and each of its parts.
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

    /// The task has ended.
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
