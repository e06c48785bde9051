//! The state of a site, judged by the journals of its runs.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::facts::{self, Before, Chosen, OldImage};
use super::{Goal, Options, StageName};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::git::Repo;
use crate::git::switch::{self, Switch};
use crate::path::SitePath;
use crate::plan::Plan;
use crate::site::Site;
use crate::site::journal::{Record, State};
use crate::site::store::{RunFolder, Store};
use crate::stack::Engine;
use crate::stack::change::Action;
use crate::stack::images::Pulled;

/// The state of a site.
#[derive(Clone, Debug)]
pub enum Standing {
    /// No run has changed it.
    NoRun,
    /// The newest run that changed it was rolled back.
    Old(Record),
    /// The newest run that changed it ended, healthy or not.
    New(Record),
    /// The newest run that changed it was killed, or could not be rolled back.
    Between(Record),
}

impl Standing {
    /// Returns the run that decided the state.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::NoRun => None,
            Self::Old(record) | Self::New(record) | Self::Between(record) => Some(record),
        }
    }
}

/// Returns the state of the site.
pub fn standing(site: &Site) -> Result<Standing> {
    let store = store(site)?;
    let newest = store.newest(changed_the_site)?;
    match store.damaged()? {
        Some((run, error))
            if newest.as_ref().is_none_or(|newest| newest.id.as_str() < run.id()) =>
        {
            Err(unreadable(&run, &error))
        }
        _ => Ok(newest.map_or(Standing::NoRun, judge)),
    }
}

/// Returns the error for an unreadable newest run, which may have changed the site.
fn unreadable(run: &RunFolder, error: &Error) -> Error {
    let folder = run.path().display();
    Error::new(format!("run {} may have changed the site, and its journal is damaged", run.id()))
        .because(error.summary())
        .exit(Exit::Unfinished)
        .left("Nothing was changed.")
        .hint("Inspect `git status` and `docker compose ps`, and repair the site by hand.")
        .hint(format!(
            "The run's copies are in {folder}. Once the site is repaired, move that directory \
             away; Cowhand then continues without it."
        ))
}

/// Returns the newest unfinished run, changed anything or not, except plans that may still be
/// running.
pub fn unfinished(site: &Site) -> Result<Option<Record>> {
    match standing(site)? {
        Standing::Between(record) => Ok(Some(record)),
        _ => store(site)?.newest(|record| record.ended.is_none() && !may_be_planning(record)),
    }
}

/// Returns true if the record is of a plan that may still be running: a plan holds no lock.
pub fn may_be_planning(record: &Record) -> bool {
    let options: Option<Options> = record.fact(facts::OPTIONS).ok().flatten();
    let young = Timestamp::now().duration_since(record.started) < SignedDuration::from_hours(1);
    young && options.is_some_and(|options| matches!(options.goal, Goal::Plan { .. }))
}

/// Returns true if a rollback of this run has begun.
pub fn goes_back(record: &Record) -> bool {
    record.fact(facts::ROLLING_BACK).ok().flatten().unwrap_or(false)
}

/// Returns the two ways out of a run that left the site between old and new, as sentences.
pub fn ways_out(record: &Record) -> [String; 2] {
    let what = if goes_back(record) { "rollback that had begun" } else { "update" };
    [
        format!("`cowhand resume` finishes the {what}."),
        format!("`cowhand rollback {}` restores the old site.", record.id),
    ]
}

/// Lists the files of the switch that were changed since the run was interrupted. Reads only.
pub fn changed_since(site: &Site, record: &Record) -> Result<Vec<SitePath>> {
    match record.fact::<Switch>(facts::SWITCH)? {
        Some(switch) => switch.changed_since(&Repo::open(site.root())?),
        None => Ok(Vec::new()),
    }
}

/// Returns the last stage in the run's journal.
pub fn last_stage(record: &Record) -> Option<&str> {
    record.steps.last().map(|step| step.stage.as_str())
}

/// The summary of a run in a list. Omits what this version does not understand of its journal.
pub struct Account {
    /// The commit that the branch was at.
    pub from: Option<String>,
    /// Upstream's commit that was merged.
    pub to: Option<String>,
    /// The number of services stopped, restarted or replaced; `None` if the run did not get there.
    pub interrupted: Option<usize>,
}

/// Summarizes the run.
pub fn account(record: &Record) -> Account {
    let from = record.fact::<Before>(facts::BEFORE).ok().flatten().map(|before| before.head);
    let to = record.fact::<Chosen>(facts::CHOSEN).ok().flatten().map(|chosen| chosen.theirs);
    let started = record.state(StageName::Start.text()).is_some();
    let skipped = record
        .fact::<Options>(facts::OPTIONS)
        .ok()
        .flatten()
        .is_some_and(|options| options.skip_start);
    let plan = record.fact::<Plan>(facts::PLAN).ok().flatten().filter(|_| started && !skipped);
    let interrupts = |action| matches!(action, Action::Recreate | Action::Restart | Action::Remove);
    let count =
        |plan: Plan| plan.services.iter().filter(|service| interrupts(service.action)).count();
    Account { from, to, interrupted: plan.map(count) }
}

/// Returns true if the run reached the first commit point.
pub fn changed_the_site(record: &Record) -> bool {
    record.state(StageName::Switch.text()).is_some()
}

fn judge(record: Record) -> Standing {
    match record.ended.as_ref().map(|ended| ended.exit) {
        None | Some(Exit::Broken) => Standing::Between(record),
        Some(_) if record.state(StageName::Switch.text()) == Some(State::Undone) => {
            Standing::Old(record)
        }
        Some(_) => Standing::New(record),
    }
}

fn store(site: &Site) -> Result<Store> {
    Ok(Store::of(
        Repo::open(site.root()).map_err(|error| error.or_exit(Exit::Refused))?.git_folder(),
    ))
}

/// The facts on disk and in the engine, to compare with the journal.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    /// The branch's commit.
    pub head: Option<String>,
    /// Files, index and branch: old, new or neither; `None` if no run decided them.
    pub files: Option<switch::Standing>,
    /// The services' images; `None` if no run decided them or the engine does not answer.
    pub containers: Option<Containers>,
    /// The contradiction between facts and journal, if any.
    pub disagreement: Option<String>,
}

/// The services by image id. A service whose image did not change is neither old nor new.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Containers {
    /// The services that run the image from before the run.
    pub old: Vec<String>,
    /// The services that run the image that the run pulled.
    pub new: Vec<String>,
    /// The services that run another image.
    pub other: Vec<String>,
}

/// Inspects git and the engine. Reads only.
pub async fn observe(repo: &Repo, standing: &Standing) -> Observed {
    let head = repo.branch().ok().map(|branch| branch.head.to_string());
    let switch =
        standing.record().and_then(|record| record.fact::<Switch>(facts::SWITCH).ok().flatten());
    let files = switch.and_then(|switch| switch.standing(repo).ok());
    let containers = match standing.record() {
        Some(record) => containers(record).await.ok().flatten(),
        None => None,
    };
    let disagreement = disagreement(standing, files, containers.as_ref());
    Observed { head, files, containers, disagreement }
}

/// Returns what the project's services run now; `None` if the run started nothing.
async fn containers(record: &Record) -> Result<Option<Containers>> {
    let (Some(project), Some(pulled)) =
        (record.fact::<String>(facts::PROJECT)?, record.fact::<Vec<Pulled>>(facts::PULLED)?)
    else {
        return Ok(None);
    };
    if record.need::<Options>(facts::OPTIONS)?.skip_start {
        return Ok(None);
    }
    let before: Vec<OldImage> = record.need(facts::OLD_IMAGES)?;
    let mut found = Containers::default();
    for container in Engine::connect().await?.containers(&project).await? {
        let was = before
            .iter()
            .any(|old| old.service == container.service && old.image_id == container.image_id);
        let is = pulled
            .iter()
            .any(|new| new.reference == container.image && new.image_id == container.image_id);
        match (was, is) {
            (true, true) => {}
            (true, false) => found.old.push(container.service),
            (false, true) => found.new.push(container.service),
            (false, false) => found.other.push(container.service),
        }
    }
    Ok(Some(found))
}

fn disagreement(
    standing: &Standing,
    files: Option<switch::Standing>,
    containers: Option<&Containers>,
) -> Option<String> {
    let running = |services: &[String]| (!services.is_empty()).then(|| services.join(", "));
    match (standing, files) {
        (Standing::New(_), Some(switch::Standing::Old)) => {
            Some("The files are the old ones: the update was undone by hand.".to_owned())
        }
        (Standing::Old(_), Some(switch::Standing::New)) => {
            Some("The files are the new ones although the run was rolled back.".to_owned())
        }
        (Standing::New(_), _) => {
            running(&containers?.old).map(|old| format!("Services that run the old image: {old}."))
        }
        (Standing::Old(_), _) => {
            running(&containers?.new).map(|new| format!("Services that run the new image: {new}."))
        }
        _ => None,
    }
}

impl Observed {
    /// Returns the lines for people.
    pub fn lines(&self) -> Vec<String> {
        let head = self.head.as_ref().map(|head| format!("  The branch is at {head:.10}."));
        head.into_iter().chain(self.disagreement.iter().map(|line| format!("  {line}"))).collect()
    }
}
