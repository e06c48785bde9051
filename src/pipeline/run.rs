//! The state that the stages share: the site, its tools, the plan so far, the journal.

use std::path::PathBuf;
use std::time::Duration;

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

use super::facts::{self, Chosen, Install};
use super::{Stage, StageName};
use crate::config::Favor;
use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::event::{Event, Events};
use crate::exit::Exit;
use crate::files;
use crate::git::Repo;
use crate::interrupt::Interrupt;
use crate::person::Person;
use crate::plan::{Plan, PlannedFile};
use crate::plugin::{HandedFile, Plugins};
use crate::report::RunLog;
use crate::site::journal::Journal;
use crate::site::lock::Lock;
use crate::site::store::{RunFolder, Store};
use crate::site::{Site, keep};
use crate::stack::{Compose, Engine};
use crate::trace;

/// The outcome of a run that did not fail.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code.
    pub exit: Exit,
    /// In a sentence.
    pub message: String,
    /// The hints.
    pub hints: Vec<String>,
    /// The run's id, if there is one.
    pub run: Option<String>,
}

impl Finished {
    /// Creates the outcome of a success.
    pub fn done(message: impl Into<String>) -> Self {
        Self::with(Exit::Done, message)
    }

    /// Creates an outcome with this exit code.
    pub fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), run: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

/// The extent of a run and what it may touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// The whole pipeline, or the prepare phase up to a stage.
    Update {
        /// The last stage.
        until: Option<StageName>,
    },
    /// The prepare phase without keeping or pulling anything, plugins offline.
    Plan {
        /// The last stage.
        until: Option<StageName>,
    },
    /// The prepare phase, so that the next update finds everything here.
    Prefetch,
    /// Only the clean phase: no stage before it.
    Prune,
}

impl Goal {
    /// Returns true if this goal includes the stage.
    pub fn includes(self, stage: &Stage) -> bool {
        match self {
            Self::Update { until } => until.is_none_or(|last| stage.name <= last),
            Self::Plan { until } => {
                stage.name <= until.unwrap_or(StageName::Pull) && stage.name != StageName::Snapshot
            }
            Self::Prefetch => stage.name <= StageName::Pull && stage.name != StageName::Snapshot,
            Self::Prune => false,
        }
    }

    /// Returns true if a plugin's `not-now` stops this run. Read-only runs ignore maintenance
    /// windows.
    pub fn waits(self) -> bool {
        matches!(self, Self::Update { .. })
    }

    /// Returns true if the run changes the site.
    pub fn applies(self) -> bool {
        self == Self::Update { until: None }
    }
}

/// The options of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    /// The goal.
    pub goal: Goal,
    /// The side that wins, if the command line says so.
    pub favor: Option<Favor>,
    /// The new branch of upstream, if the command line names one.
    #[serde(default)]
    pub branch: Option<String>,
    /// Apply only this tree.
    pub expect_tree: Option<String>,
    /// Start nothing.
    pub skip_start: bool,
    /// Wait for the lock.
    pub wait: bool,
    /// The directory in which the plugins' inputs are recorded, if any.
    #[serde(default)]
    pub record: Option<PathBuf>,
}

impl Options {
    /// Nothing but a goal.
    pub fn new(goal: Goal) -> Self {
        Self {
            goal,
            favor: None,
            branch: None,
            expect_tree: None,
            skip_start: false,
            wait: false,
            record: None,
        }
    }
}

/// The things that a run needs besides the site.
#[derive(Clone)]
pub struct Company {
    /// The events.
    pub events: Events,
    /// The prompt.
    pub person: Person,
    /// The request to stop.
    pub interrupt: Interrupt,
}

/// The engine and compose.
#[derive(Clone)]
pub struct Stack {
    /// The properties that only compose knows.
    pub compose: Compose,
    /// Everything else.
    pub engine: Engine,
}

/// One attempt to update, in progress.
pub struct Run {
    /// The site.
    pub site: Site,
    /// Its git side.
    pub repo: Repo,
    /// The options.
    pub options: Options,
    /// The events.
    pub events: Events,
    /// The prompt.
    pub person: Person,
    /// The request to stop.
    pub interrupt: Interrupt,
    /// When the run began, in the site's time zone.
    pub now: ZonedDateTime,
    /// The run's directory.
    pub folder: RunFolder,
    /// The journal.
    pub journal: Journal,
    /// The plan.
    pub plan: Plan,
    /// The plugins, once loaded.
    pub plugins: Option<Plugins>,
    /// The outcome, once known.
    pub finished: Option<Finished>,
    store: Store,
    stack: Option<Stack>,
    lock: Option<Lock>,
}

impl Run {
    /// Begins a run on a site: takes the lock if the run may change something, and begins the
    /// journal.
    pub fn begin(site: Site, options: Options, company: Company, command: &str) -> Result<Self> {
        let repo = open(&site)?;
        let store = Store::of(repo.git_folder());
        store.create().map_err(|error| not_ours(&error, &site))?;
        let lock = (!matches!(options.goal, Goal::Plan { .. }))
            .then(|| lock(&store, command, options.wait))
            .transpose()?;
        let (folder, journal) = begin(&store, command, &options).map_err(|error| {
            error
                .or_exit(Exit::Prepare)
                .or_left("Nothing was changed: the site and its containers are as they were.")
        })?;
        Self::with(site, repo, options, company, store, folder, journal, lock)
    }

    /// Continues an earlier run.
    pub fn reopen(site: Site, id: &str, company: Company, command: &str) -> Result<Self> {
        let repo = open(&site)?;
        let store = Store::of(repo.git_folder());
        let lock = Some(lock(&store, command, false)?);
        let folder = store.run(id)?;
        let journal = Journal::open(&folder.journal())?;
        let options = journal.record().need(facts::OPTIONS)?;
        Self::with(site, repo, options, company, store, folder, journal, lock)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one value, put together in one place"
    )]
    fn with(
        site: Site,
        repo: Repo,
        options: Options,
        company: Company,
        store: Store,
        folder: RunFolder,
        journal: Journal,
        lock: Option<Lock>,
    ) -> Result<Self> {
        let Company { events, person, interrupt } = company;
        events.add(Box::new(RunLog::open(&folder.events())?));
        trace::keep_in(folder.path())?;
        let plan = journal.record().fact(facts::PLAN)?.unwrap_or_default();
        let now = journal.record().started.to_zoned_datetime(jiff::tz::TimeZone::system());
        Ok(Self {
            site,
            repo,
            options,
            events,
            person,
            interrupt,
            now,
            folder,
            journal,
            plan,
            plugins: None,
            finished: None,
            store,
            stack: None,
            lock,
        })
    }

    /// Returns the side that wins: from the command line, or else from `cowhand.toml`.
    pub fn favor(&self) -> Favor {
        self.options.favor.unwrap_or(self.site.config().merge.favor)
    }

    /// The runs of the site.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns true if this run holds the site's lock.
    pub fn locked(&self) -> bool {
        self.lock.is_some()
    }

    /// The engine and compose, connected at the first use.
    pub async fn stack(&mut self) -> Result<&Stack> {
        if self.stack.is_none() {
            let engine = Engine::connect().await?;
            let compose = Compose::detect(engine.endpoint()).await?;
            self.stack = Some(Stack { compose, engine });
        }
        self.stack.as_ref().ok_or_else(|| Error::new("the engine is not connected"))
    }

    /// Records the plan for a later `resume`.
    pub fn save_plan(&mut self) -> Result<()> {
        self.journal.set(facts::PLAN, &self.plan)
    }

    /// Returns the choice of the fetch stage.
    pub fn chosen(&self) -> Result<Chosen> {
        self.journal.record().need(facts::CHOSEN)
    }

    /// Returns the directory with the contents of plugins' files.
    pub fn installs_folder(&self) -> PathBuf {
        self.folder.path().join("install")
    }

    /// The files that plugins gave so far.
    pub fn installs(&self) -> Result<Vec<Install>> {
        Ok(self.journal.record().fact(facts::INSTALL)?.unwrap_or_default())
    }

    /// Keeps files that plugins gave until the switch installs them, and a copy of what each will
    /// replace. The last one for a path counts.
    pub fn take_installs(&mut self, given: Vec<HandedFile>) -> Result<()> {
        let mut installs = self.installs()?;
        files::private_folder(&self.installs_folder())?;
        let kept = self.folder.kept_dir()?;
        for file in given {
            let content = Digest::of(&file.content);
            files::write(&self.installs_folder().join(content.hex()), &file.content, 0o600)?;
            if let Some(left) =
                keep::copy(self.site.dir(), file.path.as_path(), &kept)?.left.first()
            {
                return Err(Error::new(format!("{} cannot be installed", file.path))
                    .because(format!("{} handed it over, and {}", file.plugin, left.why))
                    .exit(Exit::Declined)
                    .left("Nothing was changed.")
                    .hint("Replace the link by a directory, or remove the grant."));
            }
            installs.retain(|install: &Install| install.path != file.path);
            installs.push(Install {
                path: file.path,
                mode: file.mode,
                plugin: file.plugin,
                content,
            });
        }
        self.plan.files = installs
            .iter()
            .map(|file| PlannedFile { path: file.path.clone(), plugin: file.plugin.clone() })
            .collect();
        self.journal.set(facts::INSTALL, &installs)
    }

    /// Sends the outcome to the observers and gives them a moment to process it.
    pub async fn finish_observers(&mut self, outcome: &Event) {
        const DEADLINE: Duration = Duration::from_secs(15);
        if let Some(plugins) = &mut self.plugins {
            plugins.finish_observers(outcome, DEADLINE).await;
        }
    }
}

fn open(site: &Site) -> Result<Repo> {
    Repo::open(site.root())
        .map_err(|error| error.or_exit(Exit::Refused).or_left("Nothing was changed."))
}

fn begin(store: &Store, command: &str, options: &Options) -> Result<(RunFolder, Journal)> {
    let folder = store.new_run()?;
    let mut journal = folder.begin(command)?;
    journal.set(facts::OPTIONS, options)?;
    Ok((folder, journal))
}

fn lock(store: &Store, command: &str, wait: bool) -> Result<Lock> {
    if wait { Lock::wait(&store.lock(), command) } else { Lock::take(&store.lock(), command) }
}

fn not_ours(error: &Error, site: &Site) -> Error {
    let root = site.root().display();
    Err::<(), _>(error)
        .what_with(|| format!("could not write below {root}"))
        .map_err(|error| {
            error.exit(Exit::Refused).left("Nothing was changed.").hint("Run cowhand as root.")
        })
        .err()
        .unwrap_or_else(|| error.clone())
}
