//! Images of the engine and of registries: pulling them without moving a tag, and moving tags.

mod hold;
mod plan;
mod progress;
mod pull;

use std::collections::BTreeMap;

use bollard::query_parameters::TagImageOptionsBuilder;

use super::engine::Engine;
use super::failure::{PAUSES, patiently};
use super::reference::Reference;
use crate::error::{Error, Result};

pub use hold::{Held, hold, hold_prefetched, is_ours, is_prefetched, label_of, release};
pub use plan::plan;
pub use pull::{Pulled, pull};

/// An image that the engine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Its id: `sha256:…`.
    pub id: String,
    /// Its references with tags.
    pub tags: Vec<String>,
    /// Its references with digests: `name@sha256:…`. Empty for what was built here.
    pub digests: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, as the engine writes times.
    pub created: Option<String>,
}

impl Image {
    /// Returns its tags, or its digests if it has no tag.
    pub fn names(&self) -> &[String] {
        if self.tags.is_empty() { &self.digests } else { &self.tags }
    }

    /// Returns its digest in the repository of `reference`.
    pub fn digest_at(&self, reference: &Reference) -> Option<&str> {
        let repository = reference.repository();
        self.digests.iter().find_map(|text| {
            let (name, digest) = text.split_once('@')?;
            (Reference::parse(name).ok()?.repository() == repository).then_some(digest)
        })
    }

    /// Returns its digest in that repository, or else its id.
    pub fn name_at(&self, reference: &Reference) -> &str {
        self.digest_at(reference).unwrap_or(&self.id)
    }
}

impl Engine {
    /// Returns the engine's image with this reference or id; `None` if it has none.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>> {
        let what = format!("could not inspect the image {reference}");
        let found = self.find(&what, async || self.docker().inspect_image(reference).await).await?;
        Ok(found.map(|found| Image {
            id: found.id.unwrap_or_default(),
            tags: found.repo_tags.unwrap_or_default(),
            digests: found.repo_digests.unwrap_or_default(),
            size: found.size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
            labels: found
                .config
                .and_then(|config| config.labels)
                .unwrap_or_default()
                .into_iter()
                .collect(),
            created: found.created,
        }))
    }

    /// Asks the registry for the current digest of a reference, without a pull. A pinned reference
    /// has its own digest.
    pub async fn registry_digest(&self, reference: &Reference) -> Result<String, Refusal> {
        if let Some(digest) = reference.digest() {
            return Ok(digest.to_owned());
        }
        let text = format!("{}:{}", reference.name(), reference.tag().unwrap_or("latest"));
        let credentials =
            self.credentials().of(reference.registry()).await.map_err(Refusal::Failed)?;
        let ask = async || self.docker().inspect_registry_image(&text, credentials.clone()).await;
        match patiently(PAUSES, ask, |_, _| {}).await {
            Ok(found) => found.descriptor.digest.ok_or_else(|| {
                Refusal::Failed(Error::new(format!("the registry sent no digest for {text}")))
            }),
            Err(error) => Err(match Refusal::of(self, reference, &error) {
                Refusal::Unknown(told) => {
                    Refusal::Unknown(self.with_mirrors(reference, told).await)
                }
                failed @ Refusal::Failed(_) => failed,
            }),
        }
    }

    /// Adds a hint that names the engine's mirrors: the engine passes their answers on as if they
    /// were the registry's.
    async fn with_mirrors(&self, reference: &Reference, told: Error) -> Error {
        let info = if reference.may_be_mirrored() { self.docker().info().await.ok() } else { None };
        let mirrors = info.and_then(|info| info.registry_config?.mirrors).unwrap_or_default();
        if mirrors.is_empty() {
            return told;
        }
        let mirrors = mirrors.join(", ");
        told.hint(format!(
            "Check the engine's mirrors ({mirrors}). Before version 24 it asks only the first that \
             answers."
        ))
    }
}

/// The reason why a registry did not return an image's digest.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// The registry says that it does not have the image.
    Unknown(Error),
    /// Something else failed.
    Failed(Error),
}

impl Refusal {
    fn of(engine: &Engine, reference: &Reference, error: &bollard::errors::Error) -> Self {
        let text = super::failure::words(error).to_lowercase();
        let registry = reference.registry();
        let told = engine.failed(&format!("could not ask {registry} for {reference}"), error);
        let unknown = ["not found", "manifest unknown", "name unknown", "does not exist"];
        if text.contains("no such host") {
            Self::Failed(
                told.hint(format!(
                    "Check that this machine resolves {registry}: /etc/resolv.conf."
                )),
            )
        } else if unknown.iter().any(|word| text.contains(word)) {
            Self::Unknown(told.hint(format!(
                "Check that {reference} exists. If {registry} requires a login, run \
                 `docker login {registry}`."
            )))
        } else if ["denied", "unauthorized", "authentication", "auth credentials"]
            .iter()
            .any(|word| text.contains(word))
        {
            Self::Failed(told.hint(format!(
                "Log in with `docker login {registry}` as the user that runs Cowhand."
            )))
        } else {
            Self::Failed(
                told.hint(format!(
                    "Check that this machine reaches {registry}, and try again later."
                )),
            )
        }
    }

    /// Returns the error of either case.
    pub fn into_error(self) -> Error {
        match self {
            Self::Unknown(error) | Self::Failed(error) => error,
        }
    }
}

/// Moves the tag `reference` to the image with this id. Pinned references are left alone.
pub async fn retag(engine: &Engine, reference: &str, image_id: &str) -> Result<()> {
    let parsed = Reference::parse(reference)?;
    if parsed.digest().is_some()
        || engine.image(reference).await?.is_some_and(|image| image.id == image_id)
    {
        return Ok(());
    }
    tag(engine, parsed.name(), parsed.tag().unwrap_or("latest"), image_id).await
}

/// Shortens a digest or an id to 12 hexadecimal digits, for display.
pub fn short(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, digits)) => format!("{algorithm}:{}", digits.get(..12).unwrap_or(digits)),
        None => digest.to_owned(),
    }
}

async fn tag(engine: &Engine, name: &str, tag: &str, image_id: &str) -> Result<()> {
    let options = TagImageOptionsBuilder::default().repo(name).tag(tag).build();
    let what = format!("could not tag {image_id} as {name}:{tag}");
    engine
        .ask(&what, async || engine.docker().tag_image(image_id, Some(options.clone())).await)
        .await
}
