//! Plans the images of the merged stack: which ones it needs, which run now, which must be pulled.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::hold::prefetched;
use super::{Image, Refusal};
use crate::error::Result;
use crate::event::Events;
use crate::stack::change::ImageChange;
use crate::stack::container::Container;
use crate::stack::engine::Engine;
use crate::stack::reference::Reference;
use crate::stack::resolved::{Resolved, Service};

/// The number of parallel requests to registries.
const AT_A_TIME: usize = 16;

/// Plans the images of all wanted services, without pulling or moving a tag. With `offline` no
/// registry is asked: the prefetched image, or else the local one, counts as the registry's.
pub async fn plan(
    engine: &Engine,
    resolved: &Resolved,
    containers: &[Container],
    offline: bool,
    events: &Events,
) -> Result<Vec<ImageChange>> {
    let images = resolved.images();
    let planned = images.iter().map(|(reference, services)| async move {
        let built = services.iter().any(|name| resolved.services.get(*name).is_some_and(is_built));
        let running = running(engine, containers, services).await?;
        let wanted = Wanted { project: &resolved.project, reference, services, built, running };
        wanted.plan(engine, offline, events).await
    });
    let mut planned: Vec<ImageChange> =
        stream::iter(planned).buffer_unordered(AT_A_TIME).try_collect().await?;
    planned.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(planned)
}

fn is_built(service: &Service) -> bool {
    service.build.is_some()
}

/// Returns the images that the containers of these services run.
async fn running(
    engine: &Engine,
    containers: &[Container],
    services: &[&str],
) -> Result<Vec<Image>> {
    let mut found = Vec::new();
    for container in
        containers.iter().filter(|container| services.contains(&container.service.as_str()))
    {
        let image = engine.image(&container.image_id).await?;
        // The engine may have lost the image of a running container, but its id is known.
        found.push(
            image.unwrap_or_else(|| Image { id: container.image_id.clone(), ..Image::default() }),
        );
    }
    Ok(found)
}

/// One reference of the new stack.
struct Wanted<'a> {
    project: &'a str,
    reference: &'a str,
    services: &'a [&'a str],
    built: bool,
    running: Vec<Image>,
}

impl Wanted<'_> {
    async fn plan(&self, engine: &Engine, offline: bool, events: &Events) -> Result<ImageChange> {
        let reference =
            Reference::parse(self.reference).map_err(|error| error.because(self.wanted_by()))?;
        let local = engine.image(self.reference).await?;
        let (to, pull) = match reference.digest() {
            Some(digest) => (Some(digest.to_owned()), local.is_none()),
            None if offline => {
                let here = self.ahead(engine).await?.or(local);
                (here.as_ref().map(|image| image.name_at(&reference).to_owned()), here.is_none())
            }
            None => self.ask(engine, &reference, local.as_ref(), events).await?,
        };
        // If any of several containers runs another image, it decides: it is the one that changes.
        let have = |image: &Image| {
            to.as_deref().is_some_and(|to| image.name_at(&reference) == to || image.id == to)
        };
        let running = self.running.iter().find(|image| !have(image)).or(self.running.first());
        let from = running.map(|image| match &to {
            Some(to) if have(image) => to.clone(),
            _ => image.name_at(&reference).to_owned(),
        });
        let services = self.services.iter().map(|name| (*name).to_owned()).collect();
        Ok(ImageChange { reference: self.reference.to_owned(), services, from, to, pull })
    }

    /// Returns the registry's digest, and true if the image must be pulled.
    async fn ask(
        &self,
        engine: &Engine,
        reference: &Reference,
        local: Option<&Image>,
        events: &Events,
    ) -> Result<(Option<String>, bool)> {
        let refusal = match engine.registry_digest(reference).await {
            Ok(digest) => {
                let here = engine.image(&reference.at(&digest)).await?.is_some();
                return Ok((Some(digest), !here));
            }
            Err(refusal) => refusal,
        };
        if let Some(ahead) = self.ahead(engine).await? {
            events.warn(
                format!("{}; using the prefetched image", refusal.into_error().summary()),
                None,
            );
            return Ok((Some(ahead.name_at(reference).to_owned()), false));
        }
        match local {
            Some(local)
                if matches!(refusal, Refusal::Unknown(_))
                    || self.built
                    || local.digests.is_empty() =>
            {
                Ok((Some(self.kept(reference, local, events)), false))
            }
            _ => Err(refusal.into_error().because(self.wanted_by())),
        }
    }

    /// Returns the prefetched image of this reference.
    async fn ahead(&self, engine: &Engine) -> Result<Option<Image>> {
        prefetched(engine, self.project, self.reference).await
    }

    /// Uses the local image: the site may have built it.
    fn kept(&self, reference: &Reference, local: &Image, events: &Events) -> String {
        events.info(format!(
            "no registry has {reference}; using the local image ({})",
            self.services.join(", ")
        ));
        local.name_at(reference).to_owned()
    }

    fn wanted_by(&self) -> String {
        format!("wanted by {}", self.services.join(", "))
    }
}
