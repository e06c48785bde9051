//! Pulling by digest, so that no tag that the old stack uses moves.

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

/// How many images are pulled side by side; the engine itself limits how many layers it fetches at a time.
const AT_A_TIME: usize = 16;
/// How long the engine may say nothing during a pull before it is tried again.
const SILENCE: Duration = Duration::from_mins(5);

/// An image of the new stack, present on the engine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pulled {
    /// The reference as the compose file has it.
    pub reference: String,
    /// The services that use it.
    pub services: Vec<String>,
    /// The digest or image id that was asked for; none for an image that is only here.
    pub digest: Option<String>,
    /// The engine's id of it: what the reference shall mean from the start stage on.
    pub image_id: String,
    /// How many bytes came over the network.
    pub bytes: u64,
}

/// Brings every image of the plan here. What is here already is not pulled again. The first that fails ends it, with the services that want it.
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
        // An id, or nothing that a registry would know: what is here under the reference.
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
        Error::new(format!("the image {target} is not here"))
            .because(wanted_by())
            .hint("Run the update with the network.")
    })?;
    Ok(Pulled {
        reference: change.reference.clone(),
        services: change.services.clone(),
        digest: change.to.clone(),
        image_id: image.id,
        bytes,
    })
}

/// Pulls `target`, trying again what may pass, and gives the bytes that arrived.
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
    let told = |error: &EngineError, pause: Duration| {
        let seconds = pause.as_secs();
        events.warn(
            format!("pulling {reference} failed: {}; trying again in {seconds} s", words(error)),
            None,
        );
    };
    match patiently(PAUSES, attempt, told).await {
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
            .hint("Free some space where Docker keeps its images: see `docker system df`.");
    }
    let told = Refusal::of(engine, reference, error).into_error();
    let renamed = Error::new(format!("could not pull {reference}"));
    let renamed = told.causes().iter().fold(renamed, Error::because);
    told.hints().iter().fold(renamed, |error, hint| error.hint(hint.as_str()))
}
