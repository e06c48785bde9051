//! Start, the second commit point: `down` only where networks changed, then only what must change.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::{self, OldImage};
use super::{Progress, Run, StageName, counted, mounted, scratch, verify};
use crate::error::Result;
use crate::site::journal::State;
use crate::site::mailcow;
use crate::stack::change::{Action, Reason, ReasonKind};
use crate::stack::changes::Changes;
use crate::stack::container;
use crate::stack::images::{self, Pulled};
use crate::stack::start::{self, Outdated, Start};

/// The stack that the containers change to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// The old stack.
    Old,
    /// The new stack.
    New,
}

/// The lock file, in the run's directory, of processes that change containers.
const TURN: &str = "compose.lock";

/// Points the tags at the pulled images and starts the new stack.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if run.options.skip_start {
        return Ok(Progress::Skipped("as requested".to_owned()));
    }
    // Recorded before the first new container: from then on going back does not undo what it does
    // to its data.
    run.journal.set(facts::DATA_MIGRATED, &!migrating(run).is_empty())?;
    let pulled: Vec<Pulled> = run.journal.record().need(facts::PULLED)?;
    let images = pulled.into_iter().map(|image| (image.reference, image.image_id)).collect();
    let outdated =
        Outdated { from: None, until: switched(run, State::Done).unwrap_or_else(Timestamp::now) };
    bring_up(run, Way::New, images, outdated).await?;
    let changed = run.plan.services.iter().filter(|change| change.action != Action::Keep).count();
    Ok(Progress::Done(format!("{} changed", counted(changed, "service"))))
}

/// Points the tags at the old images. [`old_stack`] starts them once its files are back.
pub async fn undo(run: &mut Run) -> Result<Progress> {
    if !run.options.skip_start {
        for (reference, image_id) in old_images(run)? {
            images::retag(&run.stack().await?.engine, &reference, &image_id).await?;
        }
    }
    Ok(Progress::Done(String::new()))
}

/// Starts the old stack again, once its files are back.
pub async fn old_stack(run: &mut Run) -> Result<()> {
    if run.options.skip_start {
        return Ok(());
    }
    let images = old_images(run)?;
    let until = switched(run, State::Undone).unwrap_or_else(Timestamp::now);
    // The first time: a switch that was resumed began twice, and what started in between may have
    // seen new files.
    let from = of_switch(run, State::Started).next();
    bring_up(run, Way::Old, images, Outdated { from, until }).await
}

/// Returns when the switch last reached this state.
fn switched(run: &Run, state: State) -> Option<Timestamp> {
    of_switch(run, state).next_back()
}

/// Returns every time that the switch reached this state.
fn of_switch(run: &Run, state: State) -> impl DoubleEndedIterator<Item = Timestamp> {
    let steps = run.journal.record().steps.iter();
    steps
        .filter(move |step| step.stage == StageName::Switch.text() && step.state == state)
        .map(|step| step.at)
}

/// Stops, just before the files change, the services that would read them with the wrong program:
/// the old ones in an update, the new ones in a rollback.
pub async fn stop_first(run: &mut Run) -> Result<()> {
    if run.options.skip_start || !run.plan.services.iter().any(|change| change.stops_first) {
        return Ok(());
    }
    run.journal.set(facts::STOPPED_FIRST, &true)?;
    let project: String = run.journal.record().need(facts::PROJECT)?;
    let (changes, events) = (run.plan.services.clone(), run.events.clone());
    let turn = run.folder.path().join(TURN);
    start::stop_first(&run.stack().await?.engine, &project, &changes, &turn, &events).await
}

/// From the configuration that runs to the one in the site.
async fn bring_up(
    run: &mut Run,
    way: Way,
    images: Vec<(String, String)>,
    outdated: Outdated,
) -> Result<()> {
    let changes = Changes { services: run.plan.services.clone(), down: run.plan.down.clone() };
    let from = match way {
        Way::New => scratch::old_stack(run),
        Way::Old => scratch::new_stack(run),
    };
    let (to, events, healthy) =
        (scratch::on_disk(run)?, run.events.clone(), verify::limits(run).healthy);
    let turn = run.folder.path().join(TURN);
    let stack = run.stack().await?.clone();
    let resolved = stack.compose.resolve(&to).await?;
    mounted::volumes(run, &resolved.project).await?;
    let start = Start {
        compose: &stack.compose,
        engine: &stack.engine,
        old: &from,
        new: &to,
        resolved: &resolved,
        changes: &changes,
        images: &images,
        outdated,
        healthy,
        turn: &turn,
    };
    // After a kill, what is up by then stays up.
    if !changes.down.is_empty() && run.journal.record().fact(facts::TAKEN_DOWN)? != Some(way) {
        start::down(&start, &events).await?;
        run.journal.set(facts::TAKEN_DOWN, &way)?;
    }
    start::apply(&start, &events).await
}

fn old_images(run: &Run) -> Result<Vec<(String, String)>> {
    let old: Vec<OldImage> = run.journal.record().need(facts::OLD_IMAGES)?;
    Ok(old.into_iter().map(|image| (image.reference, image.image_id)).collect())
}

/// Returns true if a service that migrates its data has, or may have, started from its new image.
pub async fn has_migrated(run: &mut Run) -> bool {
    // Without the fact no new container was started, or none that migrates.
    let possible =
        run.journal.record().fact(facts::DATA_MIGRATED).map_or(true, |fact| fact.unwrap_or(false));
    possible && migrated(run).await.unwrap_or(true)
}

async fn migrated(run: &mut Run) -> Result<bool> {
    let project: String = run.journal.record().need(facts::PROJECT)?;
    let pulled: Vec<Pulled> = run.journal.record().need(facts::PULLED)?;
    let containers = run.stack().await?.engine.containers(&project).await?;
    let services = migrating(run);
    Ok(containers.iter().any(|container| {
        let new = pulled.iter().any(|image| image.image_id == container.image_id);
        new && container.state != container::State::Created
            && services.contains(&container.service.as_str())
    }))
}

/// Lists the services that start from a new image and then migrate their data.
pub fn migrating(run: &Run) -> Vec<&str> {
    let new_image =
        |reasons: &[Reason]| reasons.iter().any(|reason| reason.kind == ReasonKind::Image);
    let services = run.plan.services.iter().filter(|change| new_image(&change.reasons));
    services
        .map(|change| change.service.as_str())
        .filter(|service| mailcow::MIGRATES_DATA.contains(service))
        .collect()
}
