//! Prune: removes what is no longer needed, only while the whole stack is up, and never a volume of
//! the project.

use super::facts::{self, OldImage};
use super::{Goal, Progress, Run, adapt, mounted, preflight, scratch, standing};
use crate::error::Result;
use crate::plugin::types::{Candidate, PrePrune};
use crate::stack::ComposeFiles;
use crate::stack::change::{Action, PruneAction, PruneItem};
use crate::stack::images::{self, Pulled};
use crate::stack::prune::{self, Scope};

/// Prunes after an update.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if run.options.skip_start {
        return Ok(Progress::Skipped("nothing is pruned while the stack is not up".to_owned()));
    }
    // Prefetched images now run under their own tags.
    let project: String = run.journal.record().need(facts::PROJECT)?;
    images::hold_prefetched(&run.stack().await?.engine, &project, &[]).await?;
    let items = candidates(run).await?;
    run.plan.prune.clone_from(&items);
    run.save_plan()?;
    match remove(run, &items).await? {
        0 => Ok(Progress::Skipped("nothing to remove".to_owned())),
        removed => Ok(Progress::Done(format!("{removed} removed"))),
    }
}

/// Returns the candidates for removal, after the plugins chose what to keep.
pub async fn candidates(run: &mut Run) -> Result<Vec<PruneItem>> {
    let mut items = preview(run).await?;
    let previous: Vec<OldImage> = run.journal.record().fact(facts::OLD_IMAGES)?.unwrap_or_default();
    let go = items.iter().filter(|item| item.action == PruneAction::Remove);
    let candidates: Vec<Candidate> = go.map(|item| adapt::candidate(item, &previous)).collect();
    if candidates.is_empty() {
        return Ok(items);
    }
    let in_use = run.plan.images.iter().map(|image| image.reference.clone()).collect();
    if run.plugins.is_none() {
        preflight::load_plugins(run).await?;
    }
    let Some(plugins) = &mut run.plugins else { return Ok(items) };
    for kept in plugins.pre_prune(&PrePrune { now: run.now.clone(), candidates, in_use }).await? {
        for item in items.iter_mut().filter(|item| item.id == kept.id) {
            item.action = PruneAction::Keep;
            item.reason = format!("{} keeps it: {}", kept.plugin, kept.reason);
        }
    }
    Ok(items)
}

/// Returns what the host's own guard releases, before any plugin is asked. A plan looks ahead to
/// what the update would replace.
pub async fn preview(run: &mut Run) -> Result<Vec<PruneItem>> {
    let known = Known::gather(run)?;
    let (new, volumes) = (newest_files(run)?, run.site.config().prune.volumes);
    let ahead = matches!(run.options.goal, Goal::Plan { .. });
    let changing: Vec<String> = run
        .plan
        .services
        .iter()
        .filter(|change| replaces(change.action))
        .map(|change| change.service.clone())
        .collect();
    let stack = run.stack().await?.clone();
    let resolved = stack.compose.resolve(&new).await?;
    let mounted = mounted::volumes(run, &resolved.project).await?;
    let containers = stack.engine.containers(&resolved.project).await?;
    if !ahead {
        prune::only_while_up(&resolved, &containers)?;
    }
    let leaving = containers.iter().filter(|one| ahead && changing.contains(&one.service));
    let own = resolved.volumes.values().map(|volume| volume.name.clone()).chain(mounted);
    let scope = Scope {
        project: &resolved.project,
        named_before: &[known.references, containers.iter().map(|one| one.image.clone()).collect()]
            .concat(),
        named_now: &resolved.images().into_keys().map(str::to_owned).collect::<Vec<_>>(),
        way_back: &[
            known.way_back,
            containers.iter().filter(|_| ahead).map(|one| one.image_id.clone()).collect(),
        ]
        .concat(),
        leaving: &leaving.map(|one| one.id.clone()).collect::<Vec<_>>(),
        own_volumes: &own.collect::<Vec<_>>(),
        volumes,
    };
    prune::candidates(&stack.engine, &scope).await
}

/// The configuration that the stack has, or for a plan the one that it would have.
fn newest_files(run: &Run) -> Result<ComposeFiles> {
    if matches!(run.options.goal, Goal::Plan { .. }) {
        Ok(scratch::new_stack(run))
    } else {
        scratch::on_disk(run)
    }
}

fn replaces(action: Action) -> bool {
    matches!(action, Action::Recreate | Action::Remove)
}

/// The images in the journals of the site's runs.
struct Known {
    /// Every reference that a run found or brought.
    references: Vec<String>,
    /// The images that the newest run that changed the site can go back to.
    way_back: Vec<String>,
}

impl Known {
    fn gather(run: &Run) -> Result<Self> {
        let mut references = Vec::new();
        let mut way_back = Vec::new();
        for record in run.store().runs()? {
            let old: Vec<OldImage> = record.fact(facts::OLD_IMAGES)?.unwrap_or_default();
            let pulled: Vec<Pulled> = record.fact(facts::PULLED)?.unwrap_or_default();
            references.extend(old.iter().map(|image| image.reference.clone()));
            references.extend(pulled.into_iter().map(|image| image.reference));
            if standing::changed_the_site(&record) {
                way_back = old.into_iter().map(|image| image.image_id).collect();
            }
        }
        Ok(Self { references, way_back })
    }
}

/// Removes the candidates and returns the number of removed items.
pub async fn remove(run: &mut Run, items: &[PruneItem]) -> Result<usize> {
    let events = run.events.clone();
    let removed = prune::remove(&run.stack().await?.engine, items, &events).await?;
    for (id, words) in &removed.stayed {
        events.warn(format!("kept {id}: {words}"), None);
    }
    Ok(removed.gone.len())
}
