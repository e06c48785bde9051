//! The product at a glance: the stages of an update, in their fixed order, and the two ways through
//! them.
//!
//! A stage has what it needs, what it does, how it is undone, and nothing else. Until `switch`
//! begins the site is untouched; from then on a failure, or a kill, ends in the old site or the new
//! one.

mod adapt;
pub mod backup;
mod backward;
mod by_hand;
mod consent;
mod course;
mod facts;
mod fetch;
mod forward;
mod host;
mod majors;
mod merge;
mod mounted;
mod own_files;
pub mod plugins;
mod preflight;
mod prune;
mod pull;
mod report;
mod run;
mod scratch;
mod snapshot;
mod standing;
mod start;
mod switch;
mod thin;
mod validate;
mod verify;
pub mod versions;

use std::pin::Pin;

use serde::{Deserialize, Serialize};

pub use adapt::Texts;
pub use backward::go_back;
pub use forward::{resume, walk};
pub use merge::{decide_all, tell_left_out};
pub use prune::{candidates as prune_candidates, remove as prune_remove};
pub use run::{Company, Finished, Goal, Options, Run};
pub use standing::{
    Account, Containers, Observed, Standing, account, changed_since, goes_back, last_stage,
    observe, standing, unfinished, ways_out,
};

use crate::error::Result;
use crate::exit::Exit;
use Need::{Engine, Network, Root};
use Phase::{Apply, Clean, Prepare};

/// The pipeline. Observers see every event of it, the last one with the outcome.
pub const STAGES: [Stage; 13] = [
    Stage {
        name: StageName::Preflight,
        phase: Prepare,
        needs: &[],
        fails: Exit::Refused,
        act: |run| Box::pin(preflight::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Snapshot,
        phase: Prepare,
        needs: &[],
        fails: Exit::Prepare,
        act: |run| Box::pin(snapshot::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Fetch,
        phase: Prepare,
        needs: &[Network],
        fails: Exit::Prepare,
        act: |run| Box::pin(fetch::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Merge,
        phase: Prepare,
        needs: &[],
        fails: Exit::Conflict,
        act: |run| Box::pin(merge::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Validate,
        phase: Prepare,
        needs: &[Engine],
        fails: Exit::Prepare,
        act: |run| Box::pin(validate::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Pull,
        phase: Prepare,
        needs: &[Engine, Network],
        fails: Exit::Prepare,
        act: |run| Box::pin(pull::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Consent,
        phase: Prepare,
        needs: &[],
        fails: Exit::Declined,
        act: |run| Box::pin(consent::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Backup,
        phase: Prepare,
        needs: &[Engine],
        fails: Exit::Prepare,
        act: |run| Box::pin(backup::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Switch,
        phase: Apply,
        needs: &[Root],
        fails: Exit::RolledBack,
        act: |run| Box::pin(switch::act(run)),
        undo: Undo::With(|run| Box::pin(switch::undo(run))),
    },
    Stage {
        name: StageName::Start,
        phase: Apply,
        needs: &[Root, Engine],
        fails: Exit::RolledBack,
        act: |run| Box::pin(start::act(run)),
        undo: Undo::With(|run| Box::pin(start::undo(run))),
    },
    Stage {
        name: StageName::Verify,
        phase: Apply,
        needs: &[Engine],
        fails: Exit::RolledBack,
        act: |run| Box::pin(verify::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Prune,
        phase: Clean,
        needs: &[Engine],
        fails: Exit::Done,
        act: |run| Box::pin(prune::act(run)),
        undo: Undo::Nothing,
    },
    Stage {
        name: StageName::Report,
        phase: Clean,
        needs: &[],
        fails: Exit::Done,
        act: |run| Box::pin(report::act(run)),
        undo: Undo::Nothing,
    },
];

/// A stage of the pipeline.
pub struct Stage {
    /// Its name.
    pub name: StageName,
    /// Its phase.
    pub phase: Phase,
    /// Its requirement.
    pub needs: &'static [Need],
    /// The exit code of its failures, unless the failure sets one.
    pub fails: Exit,
    /// The stage's function, which is idempotent.
    pub act: Act,
    /// The function that undoes it.
    pub undo: Undo,
}

/// A function of a stage.
pub type Act = for<'r> fn(&'r mut Run) -> Pin<Box<dyn Future<Output = Result<Progress>> + 'r>>;

/// The way to undo a stage.
pub enum Undo {
    /// Nothing to undo: everything that it writes is the run's own.
    Nothing,
    /// By this, which may be repeated, also after a kill in its middle.
    With(Act),
}

/// The result of a stage.
pub enum Progress {
    /// It is done, with a line for the report.
    Done(String),
    /// There was nothing for it to do; why.
    Skipped(String),
    /// The run is over, and that is no failure.
    End(Finished),
}

/// The phases of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Everything that can fail; the site is untouched.
    Prepare,
    /// The site becomes the new one.
    Apply,
    /// Superseded images and volumes are removed.
    Clean,
}

/// `1 file`, `2 files`.
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// A requirement of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The engine and compose.
    Engine,
    /// Upstream or a registry.
    Network,
    /// The rights to change the site.
    Root,
}

/// The stages' names, in order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it; docs/commands.md explains each")]
pub enum StageName {
    Preflight,
    Snapshot,
    Fetch,
    Merge,
    Validate,
    Pull,
    #[value(skip)]
    Consent,
    #[value(skip)]
    Backup,
    #[value(skip)]
    Switch,
    #[value(skip)]
    Start,
    #[value(skip)]
    Verify,
    #[value(skip)]
    Prune,
    #[value(skip)]
    Report,
}

impl StageName {
    /// Returns the name in events, journals and on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Snapshot => "snapshot",
            Self::Fetch => "fetch",
            Self::Merge => "merge",
            Self::Validate => "validate",
            Self::Pull => "pull",
            Self::Consent => "consent",
            Self::Backup => "backup",
            Self::Switch => "switch",
            Self::Start => "start",
            Self::Verify => "verify",
            Self::Prune => "prune",
            Self::Report => "report",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stages_stand_in_the_order_of_their_names_and_phases() {
        assert!(STAGES.is_sorted_by(|a, b| a.name < b.name && a.phase <= b.phase));
    }

    #[test]
    fn whatever_changes_the_site_can_be_undone() {
        for stage in &STAGES {
            let changes = stage.needs.contains(&Need::Root);
            assert_eq!(matches!(stage.undo, Undo::With(_)), changes, "{}", stage.name.text());
        }
    }
}
