//! `prune`: the clean phase on its own, with a preview.

use super::{Call, typed};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::exit::Exit;
use crate::pipeline::{self, Finished, Goal, Options, Run, counted};
use crate::plan::PrunePlan;
use crate::stack::change::PruneAction;

/// `cowhand prune`
pub async fn prune(call: &mut Call, dry_run: bool) -> Result<Finished> {
    let site = call.site()?;
    let run = Run::begin(site, Options::new(Goal::Prune), call.company.clone(), &typed())?;
    call.start(&run.site, Some(run.folder.id()));
    let run = call.run.insert(run);
    let items = pipeline::prune_candidates(run).await;
    let outcome = match items {
        Ok(items) => remove(run, items, dry_run).await,
        Err(error) => Err(error.or_exit(Exit::Refused).or_left("Nothing was removed.")),
    };
    let folder = run.folder.clone();
    run.store().forget(&folder)?;
    outcome
}

async fn remove(
    run: &mut Run,
    items: Vec<crate::stack::change::PruneItem>,
    dry_run: bool,
) -> Result<Finished> {
    let count = items.iter().filter(|item| item.action == PruneAction::Remove).count();
    run.events.emit(Event::Prune(PrunePlan { items: items.clone() }));
    if count == 0 {
        return Ok(Finished::done("Nothing to remove."));
    }
    if dry_run {
        return Ok(Finished::done(format!(
            "Would remove {}; nothing was removed.",
            counted(count, "item")
        )));
    }
    if !run.person.agrees(&format!("Remove {}?", counted(count, "item"))).await? {
        return Err(Error::new("prune cancelled")
            .exit(Exit::Declined)
            .left("Nothing was removed."));
    }
    let removed = pipeline::prune_remove(run, &items).await?;
    Ok(Finished::done(format!("Removed {}.", counted(removed, "item"))))
}
