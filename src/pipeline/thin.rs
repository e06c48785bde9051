//! Old runs: so that their copies and their dumps do not fill the disk, however the runs ended.

use std::path::PathBuf;

use super::standing::changed_the_site;
use super::{Run, StageName, backup, backward};
use crate::error::Result;
use crate::exit::Exit;
use crate::site::journal::{Record, State};

/// The number of runs that are kept, the newest ones.
const RUNS_KEPT: usize = 10;
/// So many dumps of the database are kept, the newest ones: a dump is by far the largest part of a
/// run, and after a failure that is tried again the one from before it is wanted.
const DUMPS_KEPT: usize = 3;

/// Removes the oldest dumps and then the oldest runs. The newest run that changed the site stays,
/// because it can be rolled back, and so does the newest that ended well.
pub async fn old_runs(run: &mut Run) -> Result<()> {
    let runs = run.store().runs()?;
    remove_dumps(run, &runs)?;
    let newest = |wanted: fn(&Record) -> bool| {
        runs.iter().rev().find(|record| wanted(record)).map(|record| record.id.as_str())
    };
    let stay = [newest(changed_the_site), newest(ended_well)];
    let old = runs.len().saturating_sub(RUNS_KEPT);
    for record in runs.iter().take(old).filter(|record| !stay.contains(&Some(&record.id))) {
        backward::discard(run, record).await?;
    }
    Ok(())
}

fn remove_dumps(run: &Run, runs: &[Record]) -> Result<()> {
    let folders = runs.iter().map(|record| run.store().run_folder(&record.id));
    let dumps: Vec<PathBuf> = folders.filter_map(|folder| backup::dump_of(&folder)).collect();
    let old = dumps.len().saturating_sub(DUMPS_KEPT);
    dumps.iter().take(old).try_for_each(|dump| backup::remove(dump))
}

/// Returns true for a run whose stack was found well and that was not taken back.
fn ended_well(record: &Record) -> bool {
    let state = |stage: StageName| record.state(stage.text());
    // A run that was told to end after its new stack was found well is as good as one that came to
    // its end.
    let came_up = || state(StageName::Verify) == Some(State::Done);
    let done = record.ended.as_ref().is_some_and(|ended| ended.exit == Exit::Done || came_up());
    done && state(StageName::Switch) != Some(State::Undone)
}
