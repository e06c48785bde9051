//! Removes superseded images and dangling volumes once the new stack is up. The host's own guard
//! decides before any plugin is asked.

mod guard;

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{
    ListImagesOptionsBuilder, ListVolumesOptionsBuilder, RemoveImageOptionsBuilder,
    RemoveVolumeOptions,
};

use super::change::{PruneAction, PruneItem, PruneKind};
use super::container::Container;
use super::engine::Engine;
use super::images::Image;
use super::resolved::Resolved;
use super::verify::without_container;
use crate::error::{Error, Result};
use crate::event::{Events, Unit};

/// The time that an image may exist before its pull names it: the engine writes its list of names
/// for one pull after the other. Until then the image looks dangling.
const NAMING: Duration = Duration::from_secs(3);

/// The objects that belong to the project, and those that must stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The project's name.
    pub project: &'a str,
    /// References to images that the project's compose files named before.
    pub named_before: &'a [String],
    /// References that the compose files name now.
    pub named_now: &'a [String],
    /// The ids of the images that a rollback needs.
    pub way_back: &'a [String],
    /// The ids of containers that will be gone by then, for a plan. Empty if prune runs now.
    pub leaving: &'a [String],
    /// The names of the volumes that the compose files name or that a container of the project ever
    /// mounted. They are never candidates, whatever created them.
    pub own_volumes: &'a [String],
    /// True if volumes are candidates too.
    pub volumes: bool,
}

/// The result of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The ids of the removed objects.
    pub gone: Vec<String>,
    /// The total size of the removed images in bytes. Layers shared with other images stay.
    pub bytes: u64,
    /// The objects that the engine refused to remove, with its reasons.
    pub stayed: Vec<(String, String)>,
}

/// Returns every candidate with the host's decision and its reason. Removes nothing.
pub async fn candidates(engine: &Engine, scope: &Scope<'_>) -> Result<Vec<PruneItem>> {
    let containers = engine.all_containers().await?;
    let images = images(engine).await?;
    let mut items = guard::images(scope, &containers, &images);
    if scope.volumes {
        items.extend(guard::volumes(scope, &volumes(engine).await?));
    }
    Ok(items)
}

/// Fails if a service of the project has no container: its image and volumes would look unused.
pub fn only_while_up(resolved: &Resolved, containers: &[Container]) -> Result<()> {
    match without_container(resolved, containers).as_slice() {
        [] => Ok(()),
        missing => Err(Error::new("not pruning: some services have no container")
            .because(format!("no container: {}", missing.join(", ")))
            .hint("First start the stack with `docker compose up -d`.")),
    }
}

/// Removes the items with that action. Items that the engine refuses to remove stay and are
/// reported.
pub async fn remove(engine: &Engine, items: &[PruneItem], events: &Events) -> Result<Removed> {
    let going: Vec<&PruneItem> =
        items.iter().filter(|item| item.action == PruneAction::Remove).collect();
    let mut removed = Removed::default();
    if going.iter().any(|item| is_untagged(item)) {
        tokio::time::sleep(NAMING).await;
    }
    for (done, item) in going.iter().enumerate() {
        events.progress("prune", done as u64, Some(going.len() as u64), Unit::Items);
        let refused = match item.kind {
            PruneKind::Image => remove_image(engine, item).await?,
            PruneKind::Volume => remove_volume(engine, &item.id).await?,
        };
        match refused {
            None => {
                removed.gone.push(item.id.clone());
                removed.bytes += item.size.unwrap_or_default();
            }
            Some(words) => removed.stayed.push((item.id.clone(), words)),
        }
    }
    if !going.is_empty() {
        events.finished("prune", going.len() as u64, Unit::Items);
    }
    Ok(removed)
}

/// Returns true if it is an image without a tag. A pull of it may be under way.
fn is_untagged(item: &PruneItem) -> bool {
    item.kind == PruneKind::Image && item.references.iter().all(|name| name.contains('@'))
}

/// Removes the planned tags, then the image. Never forces: the engine decides what is in use.
/// Returns its refusal, if any.
async fn remove_image(engine: &Engine, item: &PruneItem) -> Result<Option<String>> {
    let Some(image) = engine.image(&item.id).await? else { return Ok(None) };
    if let Some(name) = image.names().iter().find(|name| !item.references.contains(name)) {
        return Ok(Some(format!("it has the new name {name}")));
    }
    for name in image.tags.iter().chain([&image.id]) {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let removing =
            async || engine.docker().remove_image(name, Some(options.clone()), None).await;
        if let Err(words) =
            refusable(engine, &format!("could not remove the image {name}"), removing).await?
        {
            return Ok(Some(words));
        }
    }
    Ok(None)
}

async fn remove_volume(engine: &Engine, name: &str) -> Result<Option<String>> {
    let removing = async || engine.docker().remove_volume(name, None::<RemoveVolumeOptions>).await;
    Ok(refusable(engine, &format!("could not remove the volume {name}"), removing).await?.err())
}

/// Separates the engine's refusal, which concerns one object, from a failure, which ends the prune.
/// An object that does not exist counts as removed.
async fn refusable<T>(
    engine: &Engine,
    what: &str,
    removing: impl AsyncFnMut() -> Result<T, bollard::errors::Error>,
) -> Result<Result<(), String>> {
    let answer = super::failure::patiently(super::failure::PAUSES, removing, |_, _| {}).await;
    match answer {
        Ok(_) => Ok(Ok(())),
        Err(error) if super::failure::not_found(&error) => Ok(Ok(())),
        Err(error @ bollard::errors::Error::DockerResponseServerError { .. }) => {
            Ok(Err(super::failure::words(&error)))
        }
        Err(error) => Err(engine.failed(what, &error)),
    }
}

async fn images(engine: &Engine) -> Result<Vec<Image>> {
    let options = ListImagesOptionsBuilder::default().build();
    let listed = engine
        .ask("could not list the images", async || {
            engine.docker().list_images(Some(options.clone())).await
        })
        .await?;
    let real =
        |names: Vec<String>| names.into_iter().filter(|name| !name.contains("<none>")).collect();
    let image = |summary: bollard::models::ImageSummary| Image {
        id: summary.id,
        tags: real(summary.repo_tags),
        digests: real(summary.repo_digests),
        size: summary.size.try_into().unwrap_or_default(),
        labels: summary.labels.into_iter().collect(),
        created: None,
    };
    Ok(listed.into_iter().map(image).collect())
}

/// An unused volume.
#[derive(Clone, Debug, Default)]
struct Dangling {
    name: String,
    labels: HashMap<String, String>,
}

async fn volumes(engine: &Engine) -> Result<Vec<Dangling>> {
    let filter = HashMap::from([("dangling", vec!["true"])]);
    let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
    let listed = engine
        .ask("could not list the volumes", async || {
            engine.docker().list_volumes(Some(options.clone())).await
        })
        .await?;
    let found = listed.volumes.unwrap_or_default().into_iter();
    Ok(found.map(|volume| Dangling { name: volume.name, labels: volume.labels }).collect())
}
