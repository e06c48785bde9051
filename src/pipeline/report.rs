//! Report: the outcome, and old runs thinned.

use super::run::Finished;
use super::{Progress, Run, StageName, verify};
use crate::error::Result;
use crate::exit::Exit;
use crate::site::journal::{Record, State};

/// So many runs keep their copies, the newest ones. The newest update before this one that ended well and was not taken back always does.
const RUNS_KEPT: usize = 10;

/// Says what came of the run, and lets go of runs that nobody will go back to.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let thinned = thin(run).await?;
    verify::show_version(run);
    let version = run.chosen()?.theirs;
    let finished = if run.options.skip_start {
        Finished::done(format!("The files are the new ones ({version:.10}); nothing was started."))
            .hint("Start the new stack with `docker compose up -d --remove-orphans`.")
    } else {
        Finished::done(format!("The site is up to date ({version:.10})."))
    };
    let finished = run
        .plan
        .by_hand
        .iter()
        .fold(finished, |finished, one| finished.hint(format!("Not migrated: {}. {}", one.what, one.remedy)));
    let id = run.folder.id();
    run.finished =
        Some(finished.hint(format!("`cowhand show {id}` tells what happened; `cowhand rollback {id}` takes it back.")));
    Ok(if thinned == 0 {
        Progress::Skipped("no old runs to clear away".to_owned())
    } else {
        Progress::Done(format!("{thinned} old runs cleared away"))
    })
}

async fn thin(run: &mut Run) -> Result<usize> {
    let runs = run.store().runs()?;
    let well = |record: &&Record| {
        let state = |stage: StageName| record.state(stage.text());
        // A run that was told to end after its new stack was found well is as good as one that came to its end.
        let came_up = || state(StageName::Verify) == Some(State::Done);
        let done = record.ended.as_ref().is_some_and(|ended| ended.exit == Exit::Done || came_up());
        done && state(StageName::Switch) != Some(State::Undone)
    };
    let last_good = runs.iter().rev().find(well).map(|record| record.id.clone());
    let old = runs.len().saturating_sub(RUNS_KEPT);
    let mut thinned = 0;
    let goes = |record: &&Record| Some(&record.id) != last_good.as_ref();
    for record in runs.iter().take(old).filter(goes) {
        super::backward::let_go(run, record).await?;
        let folder = run.store().run(&record.id)?;
        run.store().forget(&folder)?;
        thinned += 1;
    }
    Ok(thinned)
}
