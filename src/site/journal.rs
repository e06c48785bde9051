//! A run's journal: the steps begun and done, durable before the next one begins, and readable by
//! people.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files;

/// The format that this version writes. A newer one is read as far as it is understood, and never
/// written.
pub const FORMAT: u32 = 1;

/// The content of the file: the whole record of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`] of who wrote it.
    pub format: u32,
    /// The run's id.
    pub id: String,
    /// The command that began it.
    pub command: String,
    /// The version of Cowhand that began it.
    pub version: String,
    /// The number of records so far, with this one.
    #[serde(default)]
    pub records: u32,
    /// When it began.
    pub started: Timestamp,
    /// The outcome. `None` while the run is in progress or after a kill.
    pub ended: Option<Ended>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Facts for later stages, resume and rollback, by name.
    pub facts: BTreeMap<String, serde_json::Value>,
}

/// The outcome of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// With which exit code.
    pub exit: Exit,
    /// In a sentence.
    pub message: String,
}

/// A stage changed its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// Its new state.
    pub state: State,
    /// When.
    pub at: Timestamp,
}

/// The states of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Begun: written before the stage does anything.
    Started,
    /// Complete.
    Done,
    /// It ended with an error.
    Failed,
    /// Its undoing has begun.
    Undoing,
    /// Undone: the site is as it was before the stage.
    Undone,
}

impl State {
    /// Returns true if a stage may go from `before` (`None`: not recorded) to this state.
    /// Beginning and undoing may be repeated, because a kill can come after any of them.
    fn may_follow(self, before: Option<Self>) -> bool {
        use State::{Done, Failed, Started, Undoing, Undone};
        match self {
            Started => matches!(before, None | Some(Started | Failed | Undone)),
            Done | Failed => before == Some(Started),
            Undoing => matches!(before, Some(Started | Done | Failed | Undoing)),
            Undone => before == Some(Undoing),
        }
    }
}

/// The journal of one run and its only writer.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    record: Record,
}

impl Journal {
    /// Begins a journal in the file at `path`.
    pub fn begin(path: &Path, id: &str, command: &str) -> Result<Self> {
        let record = Record {
            format: FORMAT,
            id: id.to_owned(),
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            records: 0,
            started: Timestamp::now(),
            ended: None,
            steps: Vec::new(),
            facts: BTreeMap::new(),
        };
        let mut journal = Self { path: path.to_owned(), record };
        journal.save()?;
        Ok(journal)
    }

    /// Opens a journal to go on with it. One of a newer format is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let record = read(path)?;
        if record.format > FORMAT {
            return Err(Error::new(format!(
                "run {} was written by a newer Cowhand ({})",
                record.id, record.version
            ))
            .exit(Exit::Unfinished)
            .left("Nothing was changed.")
            .hint("Use that version to resume it or roll it back."));
        }
        Ok(Self { path: path.to_owned(), record })
    }

    /// The account so far.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Durably records a stage's new state. A step that could not be recorded has not happened.
    pub fn step(&mut self, stage: &str, state: State) -> Result<()> {
        let before = self.record.state(stage);
        if !state.may_follow(before) {
            return Err(Error::new(format!(
                "stage {stage} cannot become {state:?} after {before:?}"
            )));
        }
        let step = Step { stage: stage.to_owned(), state, at: Timestamp::now() };
        self.change(|record| record.steps.push(step))
    }

    /// Records a fact, durably. What could not be recorded is no fact.
    pub fn set<T: Serialize>(&mut self, name: &str, fact: &T) -> Result<()> {
        let value = serde_json::to_value(fact).what_with(|| format!("could not record {name}"))?;
        self.change(|record| drop(record.facts.insert(name.to_owned(), value)))
    }

    /// Records how the run ended, durably.
    pub fn end(&mut self, exit: Exit, message: &str) -> Result<()> {
        let ended = Ended { at: Timestamp::now(), exit, message: message.to_owned() };
        self.change(|record| record.ended = Some(ended))
    }

    /// The run goes on after it had ended, or after a kill: a resume or a rollback.
    pub fn reopen(&mut self) -> Result<()> {
        self.change(|record| record.ended = None)
    }

    /// Changes the record in the file and then in memory; in neither if the file cannot be written.
    fn change(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let before = self.record.clone();
        change(&mut self.record);
        self.save().inspect_err(|_| self.record = before)
    }

    /// The previous record stays next to the new one, so that a damaged file can be recovered.
    fn save(&mut self) -> Result<()> {
        self.record.records += 1;
        let sealed = sealed(&self.record).what("could not write the journal")?;
        if self.path.exists() {
            let previous = previous(&self.path);
            let _ = fs::remove_file(&previous);
            fs::hard_link(&self.path, &previous).what("could not keep the previous journal")?;
        }
        files::write(&self.path, sealed.as_bytes(), 0o600)
    }
}

impl Record {
    /// A stage's last state.
    pub fn state(&self, stage: &str) -> Option<State> {
        self.steps.iter().rev().find(|step| step.stage == stage).map(|step| step.state)
    }

    /// A fact, if it was recorded.
    pub fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let value = self.facts.get(name).cloned();
        let fact = value.map(serde_json::from_value).transpose();
        fact.what_with(|| {
            format!(
                "the journal of run {} has a `{name}` that this version does not understand",
                self.id
            )
        })
    }

    /// A fact that must be there.
    pub fn need<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        self.fact(name)?
            .ok_or_else(|| Error::new(format!("the journal of run {} lacks `{name}`", self.id)))
    }
}

/// Reads the journal at `path`, or the previous record if it is damaged.
pub fn read(path: &Path) -> Result<Record> {
    parse(path).or_else(|damaged| parse(&previous(path)).map_err(|_| damaged))
}

/// Returns true if the journal at `path` has more than the first record.
pub fn has_begun(path: &Path) -> bool {
    previous(path).exists()
}

fn parse(path: &Path) -> Result<Record> {
    let doing = || format!("could not read the journal {}", path.display());
    unsealed(&fs::read_to_string(path).what_with(doing)?)
        .map_err(|why| Error::new(doing()).because(why))
}

/// The text of a journal: the record, and a last line with its checksum.
pub(crate) fn sealed(record: &Record) -> serde_json::Result<String> {
    let text = serde_json::to_string_pretty(record)?;
    Ok(format!("{text}\n{}\n", seal(&text)))
}

/// Reads the text of a journal, or says why that cannot be.
pub(crate) fn unsealed(content: &str) -> Result<Record, String> {
    match content.trim_end().rsplit_once('\n') {
        Some((text, checksum)) if seal(text) == checksum => {
            serde_json::from_str(text).map_err(|error| error.to_string())
        }
        _ => Err("it is damaged: its checksum does not match".to_owned()),
    }
}

fn previous(path: &Path) -> PathBuf {
    path.with_extension("previous.json")
}

pub(crate) fn seal(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::begin(&folder.path().join("journal.json"), "r1", "update").unwrap();
        (folder, journal)
    }

    #[test]
    fn illegal_transitions_are_refused() {
        let (_folder, mut journal) = journal();
        assert!(journal.step("switch", State::Done).is_err());
        journal.step("switch", State::Started).unwrap();
        journal.step("switch", State::Started).unwrap();
        journal.step("switch", State::Done).unwrap();
        assert!(journal.step("switch", State::Started).is_err());
        assert!(journal.step("switch", State::Undone).is_err());
        journal.step("switch", State::Undoing).unwrap();
        journal.step("switch", State::Undone).unwrap();
    }

    #[test]
    fn what_could_not_be_recorded_has_not_happened() {
        let (folder, mut journal) = journal();
        fs::remove_dir_all(folder.path()).unwrap();
        let before = journal.record().account();
        assert!(journal.step("switch", State::Started).is_err());
        assert!(journal.set("project", &"mail").is_err());
        assert!(journal.end(Exit::Done, "well").is_err());
        assert_eq!(journal.record().account(), before);
    }

    /// A whole run, record by record: at each, what is read of a journal that was damaged in any
    /// place is the account before it.
    #[test]
    fn damage_is_noticed_at_every_record_and_the_account_before_it_is_used() {
        let (folder, mut journal) = journal();
        let path = folder.path().join("journal.json");
        for stage in crate::pipeline::STAGES {
            for part in 0..3 {
                let before = read(&path).unwrap().account();
                match part {
                    0 => journal.step(stage.name.text(), State::Started).unwrap(),
                    1 => journal.set(stage.name.text(), &"learnt").unwrap(),
                    _ => journal.step(stage.name.text(), State::Done).unwrap(),
                }
                let whole = fs::read(&path).unwrap();
                for at in (0..whole.len() - 1).step_by(41) {
                    let mut flipped = whole.clone();
                    flipped[at] ^= 1 << (at % 8);
                    for damaged in [&flipped, &whole[..at]] {
                        fs::write(&path, damaged).unwrap();
                        assert_eq!(read(&path).unwrap().account(), before, "at byte {at}");
                    }
                }
                fs::write(&path, &whole).unwrap();
                assert_ne!(read(&path).unwrap().account(), before);
            }
        }
    }

    impl Record {
        fn account(&self) -> String {
            serde_json::to_string(self).unwrap()
        }
    }

    #[test]
    fn a_newer_format_is_read_but_not_written() {
        let (folder, journal) = journal();
        let path = folder.path().join("journal.json");
        let mut newer = journal.record.clone();
        newer.format = FORMAT + 1;
        Journal { path: path.clone(), record: newer }.save().unwrap();
        assert_eq!(read(&path).unwrap().id, "r1");
        assert_eq!(Journal::open(&path).unwrap_err().exit_code(), Some(Exit::Unfinished));
    }
}
