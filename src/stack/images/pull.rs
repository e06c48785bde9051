//! Pulls images by digest, so that no tag of the old stack moves.

use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{CreateImageOptions, CreateImageOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Refusal;
use super::progress::Layers;
use crate::error::{Error, Result};
use crate::event::{Events, Unit};
use crate::stack::change::ImageChange;
use crate::stack::engine::Engine;
use crate::stack::failure::{PAUSES, patiently, words};
use crate::stack::reference::Reference;

/// The number of parallel pulls. The engine itself limits the number of parallel layers.
const AT_A_TIME: usize = 16;
/// The time without a message from the engine after which a pull is retried.
const SILENCE: Duration = Duration::from_mins(5);

/// An image of the new stack, present on the engine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pulled {
    /// The reference as the compose file has it.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// The requested digest or image id; `None` for an image that only the engine has.
    pub digest: Option<String>,
    /// The engine's image id. The reference is tagged with it in the start stage.
    pub image_id: String,
    /// The number of bytes downloaded.
    pub bytes: u64,
}

/// Pulls the images that the plan names and the engine lacks. The first failure ends it and names
/// the services that want the image.
pub async fn pull(
    engine: &Engine,
    changes: &[ImageChange],
    events: &Events,
) -> Result<Vec<Pulled>> {
    let pulls = changes.iter().map(|change| pull_one(engine, change, events));
    let mut pulled: Vec<Pulled> =
        stream::iter(pulls).buffer_unordered(AT_A_TIME).try_collect().await?;
    pulled.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(pulled)
}

async fn pull_one(engine: &Engine, change: &ImageChange, events: &Events) -> Result<Pulled> {
    let reference = Reference::parse(&change.reference)?;
    let wanted_by = || format!("wanted by {}", change.services.join(", "));
    let target = match &change.to {
        Some(digest) if change.pull || engine.image(&reference.at(digest)).await?.is_some() => {
            reference.at(digest)
        }
        // An id, or unknown to any registry: the local image of the reference.
        _ => change.reference.clone(),
    };
    let mut bytes = 0;
    if change.pull {
        bytes = fetch(engine, &reference, &target, events)
            .await
            .map_err(|error| error.because(wanted_by()))?;
    }
    let found = engine.image(&target).await?;
    let image = found.ok_or_else(|| {
        Error::new(format!("the engine does not have the image {target}"))
            .because(wanted_by())
            .hint("Run the update with network access.")
    })?;
    Ok(Pulled {
        reference: change.reference.clone(),
        services: change.services.clone(),
        digest: change.to.clone(),
        image_id: image.id,
        bytes,
    })
}

/// Pulls `target`, retries temporary failures, and returns the number of bytes downloaded.
async fn fetch(
    engine: &Engine,
    reference: &Reference,
    target: &str,
    events: &Events,
) -> Result<u64> {
    let task = format!("pull {reference}");
    let credentials = engine.credentials().of(reference.registry()).await?;
    let options = CreateImageOptionsBuilder::default().from_image(target).build();
    let attempt = async || {
        let layers = stream_pull(engine, &options, credentials.clone(), &task, events).await?;
        Ok(layers.sum().0)
    };
    let retrying = |error: &EngineError, pause: Duration| {
        let seconds = pause.as_secs();
        events.warn(
            format!("pulling {reference} failed: {}; retrying in {seconds} s", words(error)),
            None,
        );
    };
    match patiently(PAUSES, attempt, retrying).await {
        Ok(bytes) => {
            events.finished(&task, bytes, Unit::Bytes);
            Ok(bytes)
        }
        Err(error) => Err(explained(engine, reference, &error)),
    }
}

async fn stream_pull(
    engine: &Engine,
    options: &CreateImageOptions,
    credentials: Option<bollard::auth::DockerCredentials>,
    task: &str,
    events: &Events,
) -> Result<Layers, EngineError> {
    let docker = engine.docker_within(SILENCE);
    let mut messages = docker.create_image(Some(options.clone()), None, credentials);
    let mut layers = Layers::default();
    loop {
        let next = tokio::time::timeout(SILENCE, messages.next()).await;
        let Some(message) = next.map_err(|_| EngineError::RequestTimeoutError)? else {
            return Ok(layers);
        };
        if layers.take(&message?) {
            let (done, total) = layers.sum();
            events.progress_of_parts(task, done, total, Unit::Bytes, layers.parts());
        }
    }
}

fn explained(engine: &Engine, reference: &Reference, error: &EngineError) -> Error {
    if words(error).contains("no space left") {
        return engine
            .failed(&format!("could not pull {reference}"), error)
            .hint("Free disk space where Docker keeps its images: see `docker system df`.");
    }
    let refusal = Refusal::of(engine, reference, error).into_error();
    let renamed = Error::new(format!("could not pull {reference}"));
    let renamed = refusal.causes().iter().fold(renamed, Error::because);
    refusal.hints().iter().fold(renamed, |error, hint| error.hint(hint.as_str()))
}
