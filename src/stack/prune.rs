//! What may be taken away once the new stack is up, with the host's own guard before any plugin is asked.

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

/// How long an image may be there before a pull names it: the engine writes its list of names, on a busy machine after those of other pulls.
/// Until then it looks like one to which nothing leads.
const NAMING: Duration = Duration::from_secs(3);

/// What belongs to the project, and what has to stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The project's name.
    pub project: &'a str,
    /// References to images that the project's compose files named before.
    pub named_before: &'a [String],
    /// Those that they name now.
    pub named_now: &'a [String],
    /// The ids of the images that the way back needs.
    pub way_back: &'a [String],
    /// The ids of containers that will be gone by then: for a plan, which looks ahead. Empty for what is done now.
    pub leaving: &'a [String],
    /// The names of the volumes that the compose files name, and of those that a container of the
    /// project ever mounted: never candidates, whoever made them.
    pub own_volumes: &'a [String],
    /// Whether volumes are looked at.
    pub volumes: bool,
}

/// What was taken away, and what could not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The ids of what is gone.
    pub gone: Vec<String>,
    /// The sizes of the images that are gone, in bytes; layers that others share stay.
    pub bytes: u64,
    /// What stayed although it should have gone, and the engine's words.
    pub stayed: Vec<(String, String)>,
}

/// Everything that could go, each with the host's decision and its reason. Nothing is removed.
pub async fn candidates(engine: &Engine, scope: &Scope<'_>) -> Result<Vec<PruneItem>> {
    let containers = engine.all_containers().await?;
    let images = images(engine).await?;
    let mut items = guard::images(scope, &containers, &images);
    if scope.volumes {
        items.extend(guard::volumes(scope, &volumes(engine).await?));
    }
    Ok(items)
}

/// The guard of the whole: nothing goes while a service of the project lacks its container, because what it would run or mount then
/// looks unused.
pub fn only_while_up(resolved: &Resolved, containers: &[Container]) -> Result<()> {
    match without_container(resolved, containers).as_slice() {
        [] => Ok(()),
        missing => Err(Error::new("nothing is pruned while a service lacks its container")
            .because(format!("no container of {}", missing.join(", ")))
            .hint("Start the stack with `docker compose up -d` first.")),
    }
}

/// Takes away what is to go. What the engine refuses to remove, because it is used after all, stays and is told.
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

/// Whether it is an image to which at most digests lead. Somebody may just be pulling it.
fn is_untagged(item: &PruneItem) -> bool {
    item.kind == PruneKind::Image && item.references.iter().all(|name| name.contains('@'))
}

/// Takes off each tag that was planned to go, then the image. Never by force: the engine has the last word on what is used. Gives its
/// refusal, if it refuses.
async fn remove_image(engine: &Engine, item: &PruneItem) -> Result<Option<String>> {
    let Some(image) = engine.image(&item.id).await? else { return Ok(None) };
    if let Some(name) = image.names().iter().find(|name| !item.references.contains(name)) {
        return Ok(Some(format!("by now it is called {name}")));
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

/// Tells the engine's refusal, which concerns one thing, from a failure, which ends all. What is gone already is removed.
async fn refusable<T>(
    engine: &Engine,
    what: &str,
    removing: impl AsyncFnMut() -> Result<T, bollard::errors::Error>,
) -> Result<Result<(), String>> {
    let told = super::failure::patiently(super::failure::PAUSES, removing, |_, _| {}).await;
    match told {
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

/// A volume that nothing uses: its name and its labels.
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
