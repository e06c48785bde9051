//! Start, the second commit point: `down` only where networks changed, then only what must change.

use super::facts::{self, OldImage};
use super::{Progress, Run, counted, scratch};
use crate::error::Result;
use crate::site::mailcow;
use crate::stack::ComposeFiles;
use crate::stack::change::{Action, Reason, ReasonKind};
use crate::stack::changes::Changes;
use crate::stack::images::{self, Pulled};
use crate::stack::start::{self, Start};

/// Lets the tags mean what was pulled and brings the new stack up.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if run.options.skip_start {
        return Ok(Progress::Skipped("as asked".to_owned()));
    }
    // Recorded before the first new container: from then on going back does not undo what it does to its data.
    run.journal.set(facts::DATA_MIGRATED, &migrates_data(run))?;
    let pulled: Vec<Pulled> = run.journal.record().need(facts::PULLED)?;
    let images = pulled.into_iter().map(|image| (image.reference, image.image_id)).collect();
    bring_up(run, &scratch::old_stack(run), images).await?;
    let changed = run.plan.services.iter().filter(|change| change.action != Action::Keep).count();
    Ok(Progress::Done(format!("{} changed", counted(changed, "service"))))
}

/// Lets the tags mean what ran before. [`old_stack`] brings it up once its files are back.
pub async fn undo(run: &mut Run) -> Result<Progress> {
    if !run.options.skip_start {
        for (reference, image_id) in old_images(run)? {
            images::retag(&run.stack().await?.engine, &reference, &image_id).await?;
        }
    }
    Ok(Progress::Done(String::new()))
}

/// Brings the old stack up again, once its files are back.
pub async fn old_stack(run: &mut Run) -> Result<()> {
    if run.options.skip_start {
        return Ok(());
    }
    let images = old_images(run)?;
    bring_up(run, &scratch::new_stack(run), images).await
}

/// From the configuration that runs to the one in the site.
async fn bring_up(run: &mut Run, from: &ComposeFiles, images: Vec<(String, String)>) -> Result<()> {
    let changes = Changes { services: run.plan.services.clone(), down: run.plan.down.clone() };
    let (to, events) = (scratch::on_disk(run), run.events.clone());
    let stack = run.stack().await?;
    let resolved = stack.compose.resolve(&to).await?;
    let start = Start {
        compose: &stack.compose,
        engine: &stack.engine,
        old: from,
        new: &to,
        resolved: &resolved,
        changes: &changes,
        images: &images,
    };
    start::apply(&start, &events).await
}

fn old_images(run: &Run) -> Result<Vec<(String, String)>> {
    let old: Vec<OldImage> = run.journal.record().need(facts::OLD_IMAGES)?;
    Ok(old.into_iter().map(|image| (image.reference, image.image_id)).collect())
}

fn migrates_data(run: &Run) -> bool {
    let new_image = |reasons: &[Reason]| reasons.iter().any(|reason| reason.kind == ReasonKind::Image);
    let migrates = |service: &str| mailcow::MIGRATES_DATA.contains(&service);
    run.plan.services.iter().any(|change| migrates(&change.service) && new_image(&change.reasons))
}
