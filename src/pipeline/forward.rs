//! Going forward: stage after stage, each recorded before and after, and what a failure comes to.

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

/// Walks the stages from this phase on that the run's goal includes and that are not done yet.
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

/// Finishes a run that was killed: goes on where its journal ends, forward or, if a rollback had begun, backward.
pub async fn resume(run: &mut Run) -> Result<Finished> {
    run.journal.reopen()?;
    let record = run.journal.record();
    if super::goes_back(record) {
        backward::finish(run).await?;
        return end(
            run,
            Finished::done(
                "The rollback that was interrupted is finished: the site is the old one.",
            ),
        )
        .await;
    }
    if record.state(StageName::Switch.text()).is_none() {
        abandon(run).await?;
        let finished = Finished::done("The run had changed nothing yet; it is cleared away.")
            .hint("Start again with `cowhand update`.");
        return end(run, finished).await;
    }
    walk_from(run, Phase::Apply).await
}

/// One stage: recorded, announced, done, recorded, announced.
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
    // The stage's own failure says more than that it could not be written down (a full disk causes both).
    let progress = progress?;
    recorded.and_then(|()| failpoint::hit(name, Point::Recorded)).map(|()| progress)
}

/// While the site is untouched, any moment is a safe point to end at; later, only the end of a stage.
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

/// What a failure comes to, by the phase in which it happened. Comes back only where the run goes on all the same.
async fn fail(run: &mut Run, stage: &Stage, error: Error) -> Result<()> {
    let untouched = run.journal.record().state(StageName::Switch.text()).is_none();
    let fails = if untouched && stage.phase == Phase::Apply { Exit::Prepare } else { stage.fails };
    let error = error.or_exit(fails);
    let interrupted = error.exit_code() == Some(Exit::Interrupted);
    match stage.phase {
        _ if untouched => {
            let error = match abandon(run).await {
                Ok(()) => error,
                Err(second) => error.because(format!("clearing up after the run: {second}")),
            };
            let error =
                error.or_left("Nothing was changed: the site and its containers are as they were.");
            // Where even this cannot be written down, the next run finds a preparation without an end and clears it away.
            let _ = conclude(run, &error);
            Err(error)
        }
        Phase::Prepare => Err(error),
        Phase::Apply if interrupted => Err(error),
        Phase::Apply => Err(judge(run, stage.name, error).await?),
        // The site is the new one; that not all is cleared up is no failure of the update.
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

/// The apply phase failed: whether that is undone depends on what has started. A stack that is wholly up ends the run; one that is not leaves it
/// unfinished, so that both ways out stay open.
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

/// The apply phase failed: back to the old site, and the error that says so.
async fn undo(run: &mut Run, error: Error) -> Result<Error> {
    run.events.warn(error.summary(), Some("Rolling back to the old site.".to_owned()));
    let id = run.folder.id().to_owned();
    let told = match roll_back(run).await {
        Ok(()) => error
            .exit(Exit::RolledBack)
            .left("It was rolled back: the site is as before.")
            .hint(format!("`cowhand show {id}` tells what happened.")),
        Err(second) => {
            let told = error
                .exit(Exit::Broken)
                .left("Rolling back failed too: the site is between old and new.");
            let told = told.because(format!("rolling back: {second}"));
            let told = second.hints().iter().fold(told, Error::hint);
            return Ok(told.hint(format!("Mend what is named above, then run `cowhand rollback {id}` again; `cowhand status` tells where the site stands.")));
        }
    };
    conclude(run, &told)?;
    Ok(told)
}

fn conclude(run: &mut Run, error: &Error) -> Result<()> {
    let message = run.events.redactor().text(&error.summary());
    run.journal.end(error.exit_code().unwrap_or(Exit::Unexpected), &message)
}

/// The run is over and that is no failure. What only prepared leaves nothing behind but what it fetched and pulled.
pub(super) async fn end(run: &mut Run, mut finished: Finished) -> Result<Finished> {
    if run.journal.record().state(StageName::Switch.text()).is_none() {
        abandon(run).await?;
        run.journal.end(finished.exit, &finished.message)?;
        let folder = run.folder.clone();
        run.store().forget(&folder)?;
        return Ok(finished);
    }
    run.journal.end(finished.exit, &finished.message).map_err(|error| {
        let error = error.left(format!(
            "{} Only the end of the run could not be written down.",
            finished.message
        ));
        error.hint("Once that can be written again, `cowhand resume` ends the run.")
    })?;
    finished.run = Some(run.folder.id().to_owned());
    Ok(finished)
}

fn ended_early(run: &Run) -> Finished {
    match run.options.goal {
        super::Goal::Update { until: Some(last) } => {
            Finished::done(format!("Ended after {} as asked; nothing was changed.", last.text()))
        }
        super::Goal::Plan { .. } => {
            Finished::done("This is what `cowhand update` would do; nothing was changed.")
        }
        super::Goal::Prefetch => {
            Finished::done("What the next update needs is here; the running stack was not touched.")
        }
        super::Goal::Update { until: None } | super::Goal::Prune => Finished::done("Done."),
    }
}

fn interrupted(run: &Run) -> Error {
    let record = run.journal.record();
    let error = Error::new("interrupted").exit(Exit::Interrupted);
    if record.state(StageName::Verify.text()) == Some(State::Done) {
        return error
            .left("The site is the new one; only clearing up was left out.")
            .hint("`cowhand prune` removes superseded images.");
    }
    if record.state(StageName::Switch.text()).is_some() {
        return super::ways_out(record)
            .into_iter()
            .fold(error.left("The site is between old and new."), Error::hint);
    }
    error.left("Nothing was changed.")
}
