//! The host's guard: the candidates for prune, and those of them that must stay. Sends no requests.

use std::collections::BTreeSet;

use super::{Dangling, Scope};
use crate::stack::change::{PruneAction, PruneItem, PruneKind};
use crate::stack::container::{Container, label};
use crate::stack::images::{Image, is_ours, is_prefetched};
use crate::stack::reference::Reference;

/// Judges every image that prune could remove.
pub(super) fn images(
    scope: &Scope<'_>,
    containers: &[Container],
    images: &[Image],
) -> Vec<PruneItem> {
    let names = Names::of(scope);
    let mut items: Vec<PruneItem> = images
        .iter()
        .filter_map(|image| {
            let because = names.candidate(image, scope.project)?;
            let keep = names.stays(image, scope, containers);
            Some(item(image, keep, because))
        })
        .collect();
    items.sort_by(|a, b| (&a.references, &a.id).cmp(&(&b.references, &b.id)));
    items
}

fn item(image: &Image, keep: Option<String>, because: String) -> PruneItem {
    let action = if keep.is_some() { PruneAction::Keep } else { PruneAction::Remove };
    PruneItem {
        kind: PruneKind::Image,
        id: image.id.clone(),
        references: image.names().to_vec(),
        size: Some(image.size),
        action,
        reason: keep.unwrap_or(because),
    }
}

/// The images that the compose files name, normalised: repository, and tag or digest.
struct Names {
    now: BTreeSet<(String, String)>,
    before: BTreeSet<(String, String)>,
}

impl Names {
    fn of(scope: &Scope<'_>) -> Self {
        let read = |texts: &[String]| -> Vec<Reference> {
            texts.iter().filter_map(|text| Reference::parse(text).ok()).collect()
        };
        let (now, before) = (read(scope.named_now), read(scope.named_before));
        let key = |reference: &Reference| {
            let version = reference.digest().or(reference.tag()).unwrap_or_default();
            (reference.repository(), version.to_owned())
        };
        Self { now: now.iter().map(key).collect(), before: before.iter().map(key).collect() }
    }

    /// Returns true if the compose files name, or named, an image of this repository.
    fn has(&self, repository: &str) -> bool {
        self.now.iter().chain(&self.before).any(|(known, _)| known == repository)
    }

    /// Returns the reason why an image could be removed; `None` if it is not a candidate.
    fn candidate(&self, image: &Image, project: &str) -> Option<String> {
        let keys: Vec<_> =
            image.tags.iter().chain(&image.digests).filter_map(|name| key(name)).collect();
        if keys.iter().any(|key| self.now.contains(key)) {
            return None;
        }
        if keys.iter().any(|key| self.before.contains(key)) {
            return Some("the compose files no longer name it".to_owned());
        }
        if image.tags.iter().any(|tag| is_ours(tag, project)) {
            return Some("it was kept for a rollback that is no longer possible".to_owned());
        }
        // As for the engine's own prune, an image with only digests is dangling too and can be
        // pulled again. But another project may be pulling its images by digest right now.
        let mine = image
            .digests
            .iter()
            .all(|digest| key(digest).is_some_and(|(repository, _)| self.has(&repository)));
        (image.tags.is_empty() && mine).then(|| "it has no tag any more".to_owned())
    }

    /// Returns the reason why a candidate stays; `None` if it goes.
    fn stays(&self, image: &Image, scope: &Scope<'_>, containers: &[Container]) -> Option<String> {
        let user = containers
            .iter()
            .find(|one| one.image_id == image.id && !scope.leaving.contains(&one.id));
        if let Some(user) = user {
            return Some(format!("used by the container {}", user.name));
        }
        if scope.way_back.contains(&image.id) {
            return Some("the previous release, for a rollback".to_owned());
        }
        if image.tags.iter().any(|tag| is_prefetched(tag, scope.project)) {
            return Some("fetched for the next update".to_owned());
        }
        let foreign = |tag: &&String| {
            let named = key(tag).is_some_and(|key| self.before.contains(&key));
            !named && !is_ours(tag, scope.project)
        };
        if let Some(tag) = image.tags.iter().find(foreign) {
            return Some(format!("also tagged {tag}"));
        }
        let owner = image.labels.get(label::PROJECT).filter(|owner| *owner != scope.project)?;
        Some(format!("built for the project {owner}"))
    }
}

fn key(name: &str) -> Option<(String, String)> {
    let reference = Reference::parse(name).ok()?;
    let version = reference.digest().or(reference.tag())?.to_owned();
    Some((reference.repository(), version))
}

/// Judges every unused volume. Volumes with a name of their own are not listed: they have an owner.
pub(super) fn volumes(scope: &Scope<'_>, dangling: &[Dangling]) -> Vec<PruneItem> {
    let candidates = dangling
        .iter()
        .filter(|volume| is_anonymous(&volume.name) && !scope.own_volumes.contains(&volume.name));
    let mut items: Vec<PruneItem> = candidates.map(volume).collect();
    items.sort_by(|a, b| a.id.cmp(&b.id));
    items
}

fn volume(volume: &Dangling) -> PruneItem {
    let owner = volume.labels.get(label::PROJECT);
    let foreign = volume.labels.keys().find(|name| *name != ANONYMOUS);
    let (action, reason) = match (owner, foreign) {
        (Some(project), _) => (PruneAction::Keep, format!("a volume of the project {project}")),
        (None, Some(label)) => (PruneAction::Keep, format!("it has the label {label}")),
        (None, None) => (
            PruneAction::Remove,
            "no container uses it, and it has neither a name nor an owner".to_owned(),
        ),
    };
    PruneItem {
        kind: PruneKind::Volume,
        id: volume.name.clone(),
        references: Vec::new(),
        size: None,
        action,
        reason,
    }
}

/// The label that newer engines put on anonymous volumes.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

fn is_anonymous(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image(id: &str, tags: &[&str], digests: &[&str]) -> Image {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Image { id: id.to_owned(), tags: own(tags), digests: own(digests), ..Image::default() }
    }

    /// Returns the decision on one image, in a project that named `r/a:1` and names `r/a:2` and
    /// `r/pin@DIGEST`.
    fn judged(
        image: &Image,
        containers: &[Container],
        way_back: &[&str],
        leaving: &[&str],
    ) -> Option<(PruneAction, String)> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let pinned = format!("r/pin@{DIGEST}");
        let scope = Scope {
            project: "mail",
            named_before: &own(&["r/a:1", "r/a:2"]),
            named_now: &own(&["r/a:2", &pinned]),
            way_back: &own(way_back),
            leaving: &own(leaving),
            ..Scope::default()
        };
        let items = images(&scope, containers, std::slice::from_ref(image));
        items.into_iter().next().map(|item| (item.action, item.reason))
    }

    fn running(image_id: &str) -> Container {
        let (id, name) = ("c".to_owned(), "other-1".to_owned());
        Container { id, name, image_id: image_id.to_owned(), ..Container::default() }
    }

    #[test]
    fn what_is_named_now_or_never_was_is_no_candidate() {
        let digest = format!("docker.io/r/pin@{DIGEST}");
        for image in [
            image("i", &["r/a:2"], &[]),
            image("i", &["docker.io/r/a:2", "r/a:1"], &[]),
            image("i", &["other:1"], &[]),
            image("i", &[], &[&digest]),
            image("i", &[], &[&format!("r/another-project-pulls-it@{DIGEST}")]),
            image("i", &["cowhand.local/mail2:r--a"], &[]),
        ] {
            assert_eq!(judged(&image, &[], &[], &[]), None, "{image:?}");
        }
    }

    #[test]
    fn superseded_dangling_and_once_held_images_go() {
        for image in [
            image("i", &["r/a:1"], &[]),
            image("i", &["r/a:1", "cowhand.local/mail:run--a"], &[]),
            image("i", &["cowhand.local/mail:run--a"], &[]),
            image("i", &[], &[]),
            image("i", &[], &[&format!("r/a@{DIGEST}")]),
        ] {
            assert_eq!(judged(&image, &[], &[], &[]).unwrap().0, PruneAction::Remove, "{image:?}");
        }
    }

    #[test]
    fn what_somebody_needs_stays() {
        let old = image("i", &["r/a:1"], &[]);
        let kept = |image: &Image, containers: &[Container], way_back: &[&str]| {
            let (action, reason) = judged(image, containers, way_back, &[]).unwrap();
            assert_eq!(action, PruneAction::Keep);
            reason
        };
        assert_eq!(kept(&old, &[running("i")], &[]), "used by the container other-1");
        assert_eq!(kept(&old, &[], &["i"]), "the previous release, for a rollback");
        assert_eq!(kept(&image("i", &["r/a:1", "mine:1"], &[]), &[], &[]), "also tagged mine:1");
        assert_eq!(
            kept(&image("i", &["cowhand.local/mail:next--a"], &[]), &[], &[]),
            "fetched for the next update"
        );
        let labels = [(label::PROJECT.to_owned(), "shop".to_owned())].into();
        assert_eq!(
            kept(&Image { labels, ..image("i", &[], &[]) }, &[], &[]),
            "built for the project shop"
        );
    }

    #[test]
    fn a_plan_looks_past_containers_that_will_be_gone() {
        let old = image("i", &["r/a:1"], &[]);
        assert_eq!(judged(&old, &[running("i")], &[], &["c"]).unwrap().0, PruneAction::Remove);
    }

    #[test]
    fn only_anonymous_volumes_without_an_owner_go() {
        let volume = |name: &str, labels: &[(&str, &str)]| Dangling {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<HashMap<_, _>>(),
        };
        let [one, two, three, four] = ["1", "2", "3", "4"].map(|digit| digit.repeat(64));
        let dangling = [
            volume("mail_vmail-vol-1", &[(label::PROJECT, "mail")]),
            volume("backup", &[]),
            volume(&one, &[(ANONYMOUS, "")]),
            volume(&two, &[(label::PROJECT, "mail")]),
            volume(&three, &[("keep", "yes")]),
            volume(&four, &[]),
        ];
        let scope = Scope { own_volumes: &[four], ..Scope::default() };
        let judged: Vec<_> =
            volumes(&scope, &dangling).into_iter().map(|item| (item.id, item.action)).collect();
        assert_eq!(
            judged,
            [(one, PruneAction::Remove), (two, PruneAction::Keep), (three, PruneAction::Keep)]
        );
    }
}
