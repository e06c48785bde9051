//! Chooses the candidates to keep.

use std::collections::HashMap;

use crate::bindings::exports::cowhand::hooks::pre_prune::{
    Candidate, Candidates, Cause, Keep, Kind,
};
use crate::settings::Settings;

/// Returns the candidates to keep, each with the reason.
pub fn keep(settings: &Settings, candidates: &Candidates) -> Vec<Keep> {
    let (named, others): (Vec<_>, Vec<_>) =
        candidates.items.iter().partition(|candidate| is_named(settings, candidate));
    let named = named.into_iter().map(|candidate| kept(candidate, "matches `names`"));
    let images =
        others.into_iter().filter(|candidate| matches!(candidate.kind, Kind::Image)).collect();
    named.chain(limited(settings, wanted(settings, images, &candidates.in_use))).collect()
}

fn kept(candidate: &Candidate, reason: impl Into<String>) -> Keep {
    Keep { id: candidate.id.clone(), reason: reason.into() }
}

fn is_named(settings: &Settings, candidate: &Candidate) -> bool {
    let matches = |name: &str| settings.names.iter().any(|pattern| pattern.matches(name));
    match candidate.kind {
        Kind::Image => candidate.references.iter().any(|reference| matches(reference)),
        _ => matches(&candidate.id),
    }
}

/// Returns the images to keep before the limits apply, each with the reason. Those of the previous
/// release come first, then the newest.
fn wanted<'a>(
    settings: &Settings,
    images: Vec<&'a Candidate>,
    in_use: &[String],
) -> Vec<(&'a Candidate, &'static str)> {
    let (previous, mut others): (Vec<_>, Vec<_>) = images
        .into_iter()
        .partition(|image| settings.previous && matches!(image.cause, Cause::Previous));
    others.sort_by_key(|image| std::cmp::Reverse(image.created));
    let mut left: HashMap<&str, usize> =
        in_use.iter().map(|name| (repository(name), settings.older)).collect();
    let older = others.into_iter().filter(|image| {
        let used = image
            .references
            .iter()
            .map(|name| repository(name))
            .find(|name| left.contains_key(name));
        used.and_then(|name| left.get_mut(name)).is_some_and(|left| {
            let some = *left > 0;
            *left = left.saturating_sub(1);
            some
        })
    });
    let older: Vec<_> =
        older.map(|image| (image, "among the `older` images of a repository in use")).collect();
    previous.into_iter().map(|image| (image, "used by the previous release")).chain(older).collect()
}

/// Drops every image that exceeds `max-size`, or `max-total` together with the images before it.
fn limited(settings: &Settings, wanted: Vec<(&Candidate, &'static str)>) -> Vec<Keep> {
    let mut total = 0;
    let within = |(image, _): &(&Candidate, &'static str)| {
        let size = image.size.unwrap_or(0);
        let fits = settings.max_size.is_none_or(|most| size <= most.as_u64())
            && settings.max_total.is_none_or(|most| total + size <= most.as_u64());
        total += if fits { size } else { 0 };
        fits
    };
    wanted.into_iter().filter(within).map(|(image, why)| kept(image, why)).collect()
}

/// Returns a reference without its tag and digest.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    match name.rsplit_once(':') {
        // A colon before a slash is a registry's port.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::cowhand::hooks::types::Moment;

    fn image(id: &str, reference: &str, cause: Cause, created: i64, size: u64) -> Candidate {
        Candidate {
            kind: Kind::Image,
            id: id.to_owned(),
            references: vec![reference.to_owned()],
            size: Some(size),
            created: Some(created),
            labels: Vec::new(),
            cause,
            reason: String::new(),
        }
    }

    fn candidates() -> Candidates {
        let sogo = "ghcr.io/mailcow/sogo";
        let volume = Candidate {
            kind: Kind::Volume,
            references: Vec::new(),
            ..image("old-mail", "", Cause::Dangling, 0, 9)
        };
        Candidates {
            now: Moment { seconds: 0, offset_minutes: 0, zone: None },
            items: vec![
                image("sogo-1", &format!("{sogo}:1"), Cause::Superseded, 1, 200),
                image("sogo-2", &format!("{sogo}:2"), Cause::Superseded, 2, 200),
                image("sogo-3", &format!("{sogo}:3"), Cause::Previous, 3, 300),
                image("solr-7", "ghcr.io/mailcow/solr:7", Cause::Superseded, 1, 900),
                volume,
            ],
            in_use: vec![format!("{sogo}:4@sha256:00"), "localhost:5000/redis".to_owned()],
        }
    }

    fn keeps(json: &str) -> Vec<String> {
        let settings = guest::settings(json).unwrap();
        keep(&settings, &candidates()).into_iter().map(|keep| keep.id).collect()
    }

    #[test]
    fn the_previous_release_is_kept_unless_switched_off() {
        assert_eq!(keeps("{}"), ["sogo-3"]);
        assert!(keeps(r#"{"previous": false}"#).is_empty());
    }

    #[test]
    fn older_images_of_repositories_in_use_are_kept_newest_first() {
        assert_eq!(keeps(r#"{"older": 1}"#), ["sogo-3", "sogo-2"]);
        assert_eq!(keeps(r#"{"older": 9}"#), ["sogo-3", "sogo-2", "sogo-1"]);
    }

    #[test]
    fn named_candidates_are_kept_whatever_their_size() {
        assert_eq!(keeps(r#"{"names": ["*/solr:*"], "max-size": "1B"}"#), ["solr-7"]);
        assert_eq!(keeps(r#"{"names": ["old-*"]}"#), ["old-mail", "sogo-3"]);
    }

    #[test]
    fn sizes_limit_the_rest() {
        assert_eq!(keeps(r#"{"older": 2, "max-size": "250B"}"#), ["sogo-2", "sogo-1"]);
        assert_eq!(keeps(r#"{"older": 2, "max-total": "500B"}"#), ["sogo-3", "sogo-2"]);
    }

    #[test]
    fn a_repository_is_the_part_before_tag_and_digest() {
        assert_eq!(repository("ghcr.io/mailcow/sogo:1.2@sha256:00"), "ghcr.io/mailcow/sogo");
        assert_eq!(repository("localhost:5000/redis"), "localhost:5000/redis");
        assert_eq!(repository("redis:7-alpine"), "redis");
    }
}
