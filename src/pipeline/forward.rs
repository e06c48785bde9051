//! Walks the stages forward, records each before and after, and handles failures.

use super::backward::{abandon, roll_back};
use super::run::Finished;
use super::{Phase, Progress, Run, STAGES, Stage, StageName, backward, verify};
use crate::error::{Error, Result};
use crate::event::{Event, StageState};
use crate::exit::Exit;
use crate::failpoint::{self, Point};
use crate::site::journal::State;

/// Walks the stages that the run's goal includes.
pub async fn walk(run: &mut Run) -> Result<Finished> {
    walk_from(run, Phase::Prepare).await
}

/// Walks the stages of the goal that are not done yet, from `first` on.
async fn walk_from(run: &mut Run, first: Phase) -> Result<Finished> {
    let goal = run.options.goal;
    for stage in STAGES.iter().filter(|stage| stage.phase >= first && goal.includes(stage)) {
        if run.journal.record().state(stage.name.text()) == Some(State::Done) {
            continue;
        }
        match step(run, stage).await {
            Ok(Progress::End(finished)) => return end(run, finished).await,
            Ok(Progress::Done(_) | Progress::Skipped(_)) => {}
            Err(error) => fail(run, stage, error).await?,
        }
    }
    let finished = run.finished.take().unwrap_or_else(|| ended_early(run));
    end(run, finished).await
}

/// Finishes a killed run from where its journal ends: forward, or backward if a rollback had begun.
pub async fn resume(run: &mut Run) -> Result<Finished> {
    run.journal.reopen()?;
    let record = run.journal.record();
    if super::goes_back(record) {
        backward::finish(run).await?;
        return end(
            run,
            Finished::done("Finished the interrupted rollback: the site is as before the run."),
        )
        .await;
    }
    if record.state(StageName::Switch.text()).is_none() {
        abandon(run).await?;
        let finished = Finished::done("The run had changed nothing yet; it was removed.")
            .hint("Start again with `cowhand update`.");
        return end(run, finished).await;
    }
    walk_from(run, Phase::Apply).await
}

/// Performs one stage, records it before and after, and announces both.
#[tracing::instrument(name = "stage", skip_all, fields(name = stage.name.text()))]
async fn step(run: &mut Run, stage: &Stage) -> Result<Progress> {
    if run.interrupt.asked() {
        return Err(interrupted(run));
    }
    let name = stage.name.text();
    if stage.phase == Phase::Apply {
        run.events.hurry();
    }
    failpoint::hit(name, Point::Before)?;
    run.journal.step(name, State::Started)?;
    announce(run, stage, StageState::Started, None);
    let mut progress = match failpoint::hit(name, Point::Begun) {
        Ok(()) => act(run, stage).await,
        Err(error) => Err(error),
    };
    if progress.is_ok() && failpoint::repeats(name, Point::Acted) {
        progress = act(run, stage).await;
    }
    failpoint::restore_timeouts();
    let progress =
        progress.and_then(|progress| failpoint::hit(name, Point::Acted).map(|()| progress));
    match &progress {
        Ok(Progress::Done(detail)) => announce(run, stage, StageState::Done, Some(detail)),
        Ok(Progress::Skipped(why)) => announce(run, stage, StageState::Skipped, Some(why)),
        Ok(Progress::End(_)) => announce(run, stage, StageState::Done, None),
        Err(error) => announce(run, stage, StageState::Failed, Some(error.headline())),
    }
    let recorded =
        run.journal.step(name, if progress.is_ok() { State::Done } else { State::Failed });
    // A full disk causes both failures; the stage's own says more.
    let progress = progress?;
    recorded.and_then(|()| failpoint::hit(name, Point::Recorded)).map(|()| progress)
}

/// Performs the stage. An interrupt ends it at once while the site is untouched, later only after
/// the stage.
async fn act(run: &mut Run, stage: &Stage) -> Result<Progress> {
    if stage.phase != Phase::Prepare {
        return (stage.act)(run).await;
    }
    let interrupt = run.interrupt.clone();
    let progress = tokio::select! {
        // An open question takes a signal for a no; the run was interrupted all the same.
        biased;
        () = interrupt.wait() => None,
        progress = (stage.act)(run) => Some(progress),
    };
    progress.unwrap_or_else(|| Err(interrupted(run)))
}

fn announce(run: &Run, stage: &Stage, state: StageState, detail: Option<&str>) {
    let detail = detail.map(str::to_owned);
    run.events.emit(Event::Stage { stage: stage.name.text().to_owned(), state, detail });
}

/// Handles a failure according to its phase. Returns `Ok` only if the run continues.
async fn fail(run: &mut Run, stage: &Stage, error: Error) -> Result<()> {
    let untouched = run.journal.record().state(StageName::Switch.text()).is_none();
    let fails = if untouched && stage.phase == Phase::Apply { Exit::Prepare } else { stage.fails };
    let error = error.or_exit(fails);
    let interrupted = error.exit_code() == Some(Exit::Interrupted);
    match stage.phase {
        _ if untouched => {
            let error = match abandon(run).await {
                Ok(()) => error,
                Err(second) => error.because(format!("cleaning up after the run: {second}")),
            };
            let error =
                error.or_left("Nothing was changed: the site and its containers are as they were.");
            // If this cannot be written either, the next run removes the unfinished preparation.
            let _ = conclude(run, &error);
            Err(error)
        }
        Phase::Prepare => Err(error),
        Phase::Apply if interrupted => Err(error),
        Phase::Apply => Err(judge(run, stage.name, error).await?),
        // The site is updated; an incomplete cleanup does not fail the update.
        Phase::Clean if interrupted => {
            conclude(run, &error)?;
            Err(error)
        }
        Phase::Clean => {
            run.events
                .warn(format!("{}: {error}", stage.name.text()), error.hints().first().cloned());
            Ok(())
        }
    }
}

/// Handles a failure of the apply phase; a rollback depends on what has started. A stack that is
/// fully up ends the run. Otherwise the run stays unfinished, for `resume` or `rollback`.
async fn judge(run: &mut Run, stage: StageName, error: Error) -> Result<Error> {
    if stage < StageName::Start {
        return undo(run, error).await;
    }
    let error = verify::judge(run, stage, error).await;
    if error.exit_code() != Some(Exit::Unwell) {
        return undo(run, error).await;
    }
    if stage == StageName::Verify {
        conclude(run, &error)?;
    }
    Ok(error)
}

/// Rolls the site back after a failure of the apply phase and returns the error that reports it.
async fn undo(run: &mut Run, error: Error) -> Result<Error> {
    run.events.warn(error.summary(), Some("Rolling back the site.".to_owned()));
    let id = run.folder.id().to_owned();
    let told = match roll_back(run).await {
        Ok(()) => error
            .exit(Exit::RolledBack)
            .left("The site was rolled back to its state before the run.")
            .hint(format!("Details: `cowhand show {id}`.")),
        Err(second) => {
            let told = error
                .exit(Exit::Broken)
                .left("The rollback failed too: the site is between old and new.");
            let told = told.because(format!("rolling back: {second}"));
            let told = second.hints().iter().fold(told, Error::hint);
            return Ok(told.hint(format!(
                "Fix the problem above and run `cowhand rollback {id}` again. `cowhand status` \
                 shows the current state."
            )));
        }
    };
    conclude(run, &told)?;
    Ok(told)
}

fn conclude(run: &mut Run, error: &Error) -> Result<()> {
    let message = run.events.redactor().text(&error.summary());
    run.journal.end(error.exit_code().unwrap_or(Exit::Unexpected), &message)
}

/// Ends a successful run. A run that only prepared leaves nothing but what it fetched and pulled.
pub(super) async fn end(run: &mut Run, mut finished: Finished) -> Result<Finished> {
    if run.journal.record().state(StageName::Switch.text()).is_none() {
        abandon(run).await?;
        run.journal.end(finished.exit, &finished.message)?;
        let folder = run.folder.clone();
        run.store().forget(&folder)?;
        return Ok(finished);
    }
    run.journal.end(finished.exit, &finished.message).map_err(|error| {
        let error = error
            .left(format!("{} Only the end of the run could not be recorded.", finished.message));
        error.hint("Make the journal writable again, then run `cowhand resume`.")
    })?;
    finished.run = Some(run.folder.id().to_owned());
    Ok(finished)
}

fn ended_early(run: &Run) -> Finished {
    match run.options.goal {
        super::Goal::Update { until: Some(last) } => Finished::done(format!(
            "Stopped after {} as requested; nothing was changed.",
            last.text()
        )),
        super::Goal::Plan { .. } => {
            Finished::done("This is what `cowhand update` would do; nothing was changed.")
        }
        super::Goal::Prefetch => Finished::done(
            "Fetched everything for the next update; the running stack was not touched.",
        ),
        super::Goal::Update { until: None } | super::Goal::Prune => Finished::done("Done."),
    }
}

fn interrupted(run: &Run) -> Error {
    let record = run.journal.record();
    let error = Error::new("interrupted").exit(Exit::Interrupted);
    if record.state(StageName::Verify.text()) == Some(State::Done) {
        return error
            .left("The site is updated; only the cleanup was skipped.")
            .hint("`cowhand prune` removes superseded images.");
    }
    if record.state(StageName::Switch.text()).is_some() {
        return super::ways_out(record)
            .into_iter()
            .fold(error.left("The site is between old and new."), Error::hint);
    }
    error.left("Nothing was changed.")
}
