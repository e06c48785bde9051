//! Abandons runs that changed nothing and rolls back those that did.

use super::forward::end;
use super::{Finished, Run, STAGES, StageName, Undo, backup, facts, snapshot, standing, start};
use crate::error::{Error, Result};
use crate::event::{Event, StageState};
use crate::exit::Exit;
use crate::failpoint::{self, Point};
use crate::site::journal::{Record, State};

/// Releases the objects and image tags of a run that never changed the site.
pub async fn abandon(run: &mut Run) -> Result<()> {
    let record = run.journal.record().clone();
    let_go(run, &record).await
}

/// Releases the objects and image tags of this record's run.
async fn let_go(run: &mut Run, record: &Record) -> Result<()> {
    run.repo.release(&record.id)?;
    snapshot::release(run, record).await
}

/// Releases what this record's run holds and removes the run's directory.
pub async fn discard(run: &mut Run, record: &Record) -> Result<()> {
    let_go(run, record).await?;
    run.store().forget(&run.store().run_folder(&record.id))
}

/// Performs `rollback`: warns of what it cannot undo, asks, and rolls the site back.
pub async fn go_back(run: &mut Run) -> Result<Finished> {
    let record = run.journal.record();
    let id = run.folder.id().to_owned();
    if record.state(StageName::Switch.text()).is_none() {
        return Err(Error::new(format!("run {id} changed nothing"))
            .exit(Exit::Usage)
            .left("Nothing was changed."));
    }
    if let Some(newer) =
        run.store().newest(standing::changed_the_site)?.filter(|newest| newest.id != id)
    {
        return Err(Error::new(format!(
            "run {id} is not the newest that changed the site: {} is",
            newer.id
        ))
        .exit(Exit::Usage)
        .left("Nothing was changed.")
        .hint(format!("Roll that run back first: `cowhand rollback {}`.", newer.id)));
    }
    if record.fact(facts::DATA_MIGRATED)?.unwrap_or(false) {
        let hint = match backup::restore(record, &run.folder) {
            Some(restore) => format!("If needed, restore it afterwards: {restore}"),
            None => "If the old version does not start on it, restore a backup of the database."
                .to_owned(),
        };
        run.events.warn(
            "New containers have started and may have migrated the database; a rollback does not \
             undo that.",
            Some(hint),
        );
    }
    if !run.person.agrees(&format!("Roll the site back to its state before run {id}?")).await? {
        return Err(Error::new("rollback cancelled")
            .exit(Exit::Declined)
            .left("Nothing was changed."));
    }
    run.journal.reopen()?;
    finish(run).await?;
    end(run, Finished::done(format!("Rolled the site back to its state before run {id}."))).await
}

/// Rolls back outside of a failing update. Its errors name the site's state and how to continue.
pub async fn finish(run: &mut Run) -> Result<()> {
    let id = run.folder.id().to_owned();
    roll_back(run).await.map_err(|error| {
        error
            .exit(Exit::Broken)
            .or_left("The site is between old and new.")
            .hint(format!("Fix the problem above and run `cowhand rollback {id}` again."))
    })
}

/// Rolls the site back. Every part is repeatable, so a killed rollback can be run again.
pub async fn roll_back(run: &mut Run) -> Result<()> {
    run.events.hurry();
    run.journal.set(facts::ROLLING_BACK, &true)?;
    let record = run.journal.record();
    let stopped = record.fact(facts::STOPPED_FIRST)?.unwrap_or(false);
    let started = stopped || record.state(StageName::Start.text()).is_some();
    for stage in STAGES.iter().rev() {
        let name = stage.name.text();
        let begun = run.journal.record().state(name).is_some_and(|state| state != State::Undone);
        if let (Undo::With(undo), true) = (&stage.undo, begun) {
            run.journal.step(name, State::Undoing)?;
            failpoint::hit(name, Point::Undoing)?;
            undo(run).await?;
            if failpoint::repeats(name, Point::Undone) {
                undo(run).await?;
            }
            failpoint::hit(name, Point::Undone)?;
            run.journal.step(name, State::Undone)?;
            run.events.emit(Event::Stage {
                stage: name.to_owned(),
                state: StageState::Undone,
                detail: None,
            });
        }
    }
    if started { start::old_stack(run).await } else { Ok(()) }
}
