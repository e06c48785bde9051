//! Where a site stands, judged by the journals of its runs.

use serde::Serialize;

use super::{StageName, facts};
use crate::error::Result;
use crate::exit::Exit;
use crate::git::Repo;
use crate::git::switch::{self, Switch};
use crate::site::Site;
use crate::site::journal::{Record, State};
use crate::site::store::Store;

/// Where a site stands.
#[derive(Clone, Debug)]
pub enum Standing {
    /// No run has changed it.
    NoRun,
    /// The newest run that changed it was rolled back.
    Old(Record),
    /// The newest run that changed it went through, well or not.
    New(Record),
    /// The newest run that changed it was killed, or could not be rolled back.
    Between(Record),
}

impl Standing {
    /// The run that decided it.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::NoRun => None,
            Self::Old(record) | Self::New(record) | Self::Between(record) => Some(record),
        }
    }
}

/// Where the site stands.
pub fn standing(site: &Site) -> Result<Standing> {
    let store = store(site)?;
    Ok(store.newest(changed_the_site)?.map_or(Standing::NoRun, judge))
}

/// The newest run that has not ended, whether or not it changed anything.
pub fn unfinished(site: &Site) -> Result<Option<Record>> {
    match standing(site)? {
        Standing::Between(record) => Ok(Some(record)),
        _ => store(site)?.newest(|record| record.ended.is_none()),
    }
}

/// The stage that the run's journal names last.
pub fn last_stage(record: &Record) -> Option<&str> {
    record.steps.last().map(|step| step.stage.as_str())
}

/// Whether the run reached the first commit point.
pub fn changed_the_site(record: &Record) -> bool {
    record.state(StageName::Switch.text()).is_some()
}

fn judge(record: Record) -> Standing {
    match record.ended.as_ref().map(|ended| ended.exit) {
        None | Some(Exit::Broken) => Standing::Between(record),
        Some(_) if record.state(StageName::Switch.text()) == Some(State::Undone) => Standing::Old(record),
        Some(_) => Standing::New(record),
    }
}

fn store(site: &Site) -> Result<Store> {
    Ok(Store::of(Repo::open(site.root()).map_err(|error| error.or_exit(Exit::Refused))?.git_folder()))
}

/// What is really there, beside what the journal says.
#[derive(Clone, Debug, Serialize)]
pub struct Observed {
    /// The branch's commit.
    pub head: Option<String>,
    /// Whether files, index and branch are the old ones, the new ones or neither; none where no run decided them.
    pub files: Option<switch::Standing>,
    /// Why the facts and the journal do not agree, if so.
    pub disagreement: Option<String>,
}

/// Looks at git. Reads only.
pub fn observe(repo: &Repo, standing: &Standing) -> Observed {
    let head = repo.branch().ok().map(|branch| branch.head.to_string());
    let switch = standing.record().and_then(|record| record.fact::<Switch>(facts::SWITCH).ok().flatten());
    let files = switch.and_then(|switch| switch.standing(repo).ok());
    let disagreement = match (standing, files) {
        (Standing::New(_), Some(switch::Standing::Old)) => {
            Some("The files are the old ones: somebody has taken the update back by hand.")
        }
        (Standing::Old(_), Some(switch::Standing::New)) => {
            Some("The files are the new ones although the run was rolled back.")
        }
        _ => None,
    };
    Observed { head, files, disagreement: disagreement.map(str::to_owned) }
}

impl Observed {
    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let head = self.head.as_ref().map(|head| format!("  The branch is at {head:.10}."));
        head.into_iter().chain(self.disagreement.iter().map(|line| format!("  {line}"))).collect()
    }
}
