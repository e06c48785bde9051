//! Cowhand's own tags, so that neither a manual `docker image prune` nor a moved tag loses an image
//! that is still needed.

use std::collections::HashMap;

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use futures_util::future::try_join_all;

use super::{Image, Pulled, tag};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::stack::container::Container;
use crate::stack::engine::Engine;

/// A registry that does not exist: nothing below it can be pulled or pushed.
const REGISTRY: &str = "cowhand.local";
/// The label of images that were prefetched for the next update.
const NEXT: &str = "next";
/// The longest tag that engines accept.
const LONGEST: usize = 128;

/// The images that got a tag of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The containers' references with the ids of their images:
    /// [`crate::stack::start::Start`] restores the old images with them.
    pub images: Vec<(String, String)>,
    /// Services whose image the engine no longer has, so that it cannot be restored.
    pub missing: Vec<String>,
}

/// Tags the images of the project's containers as `cowhand.local/PROJECT:RUN--SERVICE`.
pub async fn hold(
    engine: &Engine,
    project: &str,
    run: &str,
    containers: &[Container],
) -> Result<Held> {
    let held = containers.iter().map(async |container| {
        let there = engine.image(&container.image_id).await?.is_some();
        if there {
            tag(
                engine,
                &repository(project),
                &tag_of(run, &container.service),
                &container.image_id,
            )
            .await?;
        }
        Ok::<_, Error>((container, there))
    });
    let (held, missing): (Vec<_>, Vec<_>) =
        try_join_all(held).await?.into_iter().partition(|(_, there)| *there);
    Ok(Held {
        images: held
            .into_iter()
            .map(|(one, _)| (one.image.clone(), one.image_id.clone()))
            .collect(),
        missing: missing.into_iter().map(|(one, _)| one.service.clone()).collect(),
    })
}

/// Gives prefetched images a tag of ours, by which [`prefetched`] finds them. Removes the tags of
/// earlier prefetches.
pub async fn hold_prefetched(engine: &Engine, project: &str, pulled: &[Pulled]) -> Result<()> {
    let wanted: Vec<String> = pulled.iter().map(|one| next_tag(&one.reference)).collect();
    for found in ours(engine, project).await? {
        for tag in found.tags.iter().filter(|tag| is_prefetched(tag, project)) {
            if !wanted.iter().any(|wanted| tag.ends_with(wanted)) {
                untag(engine, tag).await?;
            }
        }
    }
    let repository = repository(project);
    let tags = pulled
        .iter()
        .zip(&wanted)
        .map(|(one, wanted)| tag(engine, &repository, wanted, &one.image_id));
    try_join_all(tags).await.map(drop)
}

/// Returns the prefetched image of a reference; `None` if there is none.
pub(super) async fn prefetched(
    engine: &Engine,
    project: &str,
    reference: &str,
) -> Result<Option<Image>> {
    engine.image(&format!("{}:{}", repository(project), next_tag(reference))).await
}

/// Removes our tags, except those of the runs in `keep` and of prefetched images. An image without
/// another name keeps one of ours: prune decides about it.
pub async fn release(engine: &Engine, project: &str, keep: &[&str]) -> Result<()> {
    for image in ours(engine, project).await? {
        let (ours, others): (Vec<_>, Vec<_>) =
            image.tags.iter().partition(|tag| is_ours(tag, project));
        let kept =
            |tag: &str| label_of(tag).is_some_and(|label| label == NEXT || keep.contains(&label));
        let let_go: Vec<_> = ours.iter().filter(|tag| !kept(tag)).collect();
        let is_last = others.is_empty() && image.digests.is_empty() && let_go.len() == ours.len();
        for tag in let_go.iter().skip(usize::from(is_last)) {
            untag(engine, tag).await?;
        }
    }
    Ok(())
}

/// Returns the images with a tag of ours.
async fn ours(engine: &Engine, project: &str) -> Result<Vec<Image>> {
    let filter = HashMap::from([("reference".to_owned(), vec![repository(project)])]);
    let options = ListImagesOptionsBuilder::default().filters(&filter).build();
    let what = "could not list the images";
    let listed =
        engine.ask(what, async || engine.docker().list_images(Some(options.clone())).await).await?;
    // The filter hides the images' other tags.
    let found =
        try_join_all(listed.iter().map(async |image| engine.image(&image.id).await)).await?;
    Ok(found.into_iter().flatten().collect())
}

/// Removes a tag from an image that has other names.
async fn untag(engine: &Engine, tag: &str) -> Result<()> {
    let options = RemoveImageOptionsBuilder::default().noprune(true).build();
    let what = format!("could not remove the tag {tag}");
    engine
        .find(&what, async || engine.docker().remove_image(tag, Some(options.clone()), None).await)
        .await
        .map(drop)
}

/// Returns true if a reference is a tag of ours for this project.
pub fn is_ours(reference: &str, project: &str) -> bool {
    reference.strip_prefix(&repository(project)).is_some_and(|rest| rest.starts_with(':'))
}

/// Returns the label of a tag of ours: the part before the service's name.
pub fn label_of(reference: &str) -> Option<&str> {
    let tag = reference.strip_prefix(REGISTRY)?.rsplit_once(':')?.1;
    tag.split_once("--").map(|(label, _)| label)
}

/// Returns true if a reference is our tag of a prefetched image.
pub fn is_prefetched(reference: &str, project: &str) -> bool {
    is_ours(reference, project) && label_of(reference) == Some(NEXT)
}

/// Returns the tag for a prefetched reference: a hash, because references are longer than tags may
/// be and contain other characters.
fn next_tag(reference: &str) -> String {
    tag_of(NEXT, &Digest::of(reference.as_bytes()).hex()[..16])
}

fn repository(project: &str) -> String {
    format!("{REGISTRY}/{project}")
}

/// Returns the tag for a label and a service. Two dashes separate them: neither a run's id nor a
/// service's name contains two in a row.
fn tag_of(label: &str, service: &str) -> String {
    let allowed =
        |character: char| character.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&character);
    let text: String = format!("{label}--{service}")
        .chars()
        .map(|one| if allowed(one) { one } else { '_' })
        .collect();
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tags_say_what_they_are_for() {
        let reference =
            format!("{}:{}", repository("mail"), tag_of("20260101-000000", "nginx-mailcow"));
        assert_eq!(reference, "cowhand.local/mail:20260101-000000--nginx-mailcow");
        assert!(
            is_ours(&reference, "mail")
                && !is_ours(&reference, "mai")
                && !is_ours("mail:1", "mail")
        );
        assert_eq!(label_of(&reference), Some("20260101-000000"));
        assert_eq!(label_of("redis:7"), None);
        assert!(is_prefetched(&format!("{}:{}", repository("mail"), next_tag("redis:7")), "mail"));
        assert_ne!(next_tag("redis:7"), next_tag("redis:8"));
    }
}
