//! Tags of our own, so that neither `docker image prune` by hand nor a moved tag takes away an image that is still needed.

use std::collections::HashMap;

use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};

use super::tag;
use crate::error::Result;
use crate::stack::container::Container;
use crate::stack::engine::Engine;

/// A registry that nobody has: nothing below it can be pulled or pushed.
const REGISTRY: &str = "cowhand.local";
/// The label of what was fetched ahead for the next update.
pub const NEXT: &str = "next";
/// The longest tag that engines take.
const LONGEST: usize = 128;

/// What bears a tag of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Each service with the id of its image.
    pub images: Vec<(String, String)>,
    /// Services whose image the engine no longer has: there is nothing to go back to.
    pub missing: Vec<String>,
}

/// Gives the images of the project's containers a tag of ours: `cowhand.local/PROJECT:RUN-SERVICE`.
pub async fn hold_old(engine: &Engine, project: &str, run: &str, containers: &[Container]) -> Result<Held> {
    let images: Vec<_> = containers.iter().map(|one| (one.service.as_str(), one.image_id.as_str())).collect();
    hold(engine, project, run, &images).await
}

/// Gives each (service, image id) a tag of ours below this label: a run's id, or [`NEXT`].
pub async fn hold(engine: &Engine, project: &str, label: &str, images: &[(&str, &str)]) -> Result<Held> {
    let mut held = Held::default();
    for (service, image_id) in images {
        if engine.image(image_id).await?.is_none() {
            held.missing.push((*service).to_owned());
            continue;
        }
        tag(engine, &repository(project), &tag_of(label, service), image_id).await?;
        held.images.push(((*service).to_owned(), (*image_id).to_owned()));
    }
    Ok(held)
}

/// Takes our tags off, but for those below the labels in `keep`. An image that would have no tag left keeps ours: whether it goes is for prune.
pub async fn release(engine: &Engine, project: &str, keep: &[&str]) -> Result<()> {
    let filter = HashMap::from([("reference".to_owned(), vec![repository(project)])]);
    let options = ListImagesOptionsBuilder::default().filters(&filter).build();
    let what = "could not list the images";
    for image in engine.ask(what, async || engine.docker().list_images(Some(options.clone())).await).await? {
        // The filter hides the other tags of what it finds.
        let Some(image) = engine.image(&image.id).await? else { continue };
        let (ours, others): (Vec<_>, Vec<_>) = image.tags.iter().partition(|tag| is_ours(tag, project));
        let let_go: Vec<_> = ours.iter().filter(|tag| !keep.iter().any(|label| label_of(tag) == Some(label))).collect();
        let is_last = others.is_empty() && let_go.len() == ours.len();
        for tag in let_go.iter().skip(usize::from(is_last)) {
            untag(engine, tag).await?;
        }
    }
    Ok(())
}

/// Takes a tag off an image that has others.
async fn untag(engine: &Engine, tag: &str) -> Result<()> {
    let options = RemoveImageOptionsBuilder::default().noprune(true).build();
    let what = format!("could not take the tag {tag} off");
    engine.find(&what, async || engine.docker().remove_image(tag, Some(options.clone()), None).await).await.map(drop)
}

/// Whether a reference is a tag of ours for this project.
pub fn is_ours(reference: &str, project: &str) -> bool {
    reference.strip_prefix(&repository(project)).is_some_and(|rest| rest.starts_with(':'))
}

/// The label of a tag of ours: what stands before the service's name.
pub fn label_of(reference: &str) -> Option<&str> {
    let tag = reference.strip_prefix(REGISTRY)?.rsplit_once(':')?.1;
    tag.split_once("--").map(|(label, _)| label)
}

fn repository(project: &str) -> String {
    format!("{REGISTRY}/{project}")
}

/// Two dashes part the label from the service: neither a run's id nor a service's name has them side by side.
fn tag_of(label: &str, service: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&character);
    let text: String = format!("{label}--{service}").chars().map(|one| if allowed(one) { one } else { '_' }).collect();
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tags_say_what_they_are_for() {
        let reference = format!("{}:{}", repository("mail"), tag_of("20260101-000000", "nginx-mailcow"));
        assert_eq!(reference, "cowhand.local/mail:20260101-000000--nginx-mailcow");
        assert!(is_ours(&reference, "mail") && !is_ours(&reference, "mai") && !is_ours("mail:1", "mail"));
        assert_eq!(label_of(&reference), Some("20260101-000000"));
        assert_eq!(label_of("redis:7"), None);
    }
}
