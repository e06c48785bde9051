//! Computes the changes of the stack and their reasons from the old and the new configuration, the
//! containers, and the changed files. Sends no requests.

mod diff;
mod spread;

use std::collections::BTreeMap;
use std::path::Path;

use super::change::{Action, ImageChange, Reason, ReasonKind, ServiceChange};
use super::container::{Container, label};
use super::images::short;
use super::resolved::{Resolved, Service};
use crate::path::SitePath;

/// The input for the computation.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The site's current configuration.
    pub old: &'a Resolved,
    /// The configuration after the switch, resolved with the site as project directory.
    pub new: &'a Resolved,
    /// The project's containers.
    pub containers: &'a [Container],
    /// The images of the new configuration.
    pub images: &'a [ImageChange],
    /// The files that the merge, migrations and plugins change.
    pub changed_paths: &'a [SitePath],
    /// The site's directory.
    pub site_root: &'a Path,
    /// Directories, relative to the site, that services read at each use. A change below them does
    /// not restart a service that mounts a directory.
    pub read_live: &'a [&'a str],
}

/// The changes of the stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Every service of the old and the new stack, sorted by name.
    pub services: Vec<ServiceChange>,
    /// The networks in use whose definition changed, by their keys in the compose file: the stack
    /// must go down first.
    pub down: Vec<String>,
}

impl Changes {
    /// Returns true if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.down.is_empty() && self.services.iter().all(|service| service.action == Action::Keep)
    }

    /// Returns the services with this action.
    pub fn with(&self, action: Action) -> impl Iterator<Item = &str> {
        self.services
            .iter()
            .filter(move |change| change.action == action)
            .map(|change| change.service.as_str())
    }
}

/// Computes the changes.
pub fn compute(situation: &Situation<'_>) -> Changes {
    let down = diff::networks(situation);
    let mut changes: BTreeMap<&str, ServiceChange> = BTreeMap::new();
    for (name, service) in situation.new.wanted() {
        changes.insert(name, one(situation, name, service, &down));
    }
    for container in situation.containers {
        changes.entry(&container.service).or_insert_with(|| removed(situation, &container.service));
    }
    spread::to_dependents(situation.new, &mut changes);
    Changes { services: changes.into_values().collect(), down }
}

/// Returns the change of one service for reasons of its own.
fn one(situation: &Situation<'_>, name: &str, service: &Service, down: &[String]) -> ServiceChange {
    let containers: Vec<&Container> =
        situation.containers.iter().filter(|container| container.service == name).collect();
    if containers.is_empty() {
        return change(
            name,
            Action::Create,
            vec![reason(ReasonKind::Config, "it has no container yet")],
        );
    }
    let mut reasons: Vec<Reason> = Vec::new();
    reasons.extend(containers.iter().find_map(|one| image(situation, name, service, one)));
    reasons.extend(config(situation, name, service, &containers));
    let networks: Vec<&str> =
        service.networks.iter().filter(|key| down.contains(key)).map(String::as_str).collect();
    if !networks.is_empty() {
        reasons.push(reason(
            ReasonKind::Network,
            format!("the definition of {} changed", networks.join(", ")),
        ));
    } else if !down.is_empty() {
        reasons.push(reason(
            ReasonKind::Network,
            format!("the stack goes down because {} changed", down.join(", ")),
        ));
    }
    let recreate = !reasons.is_empty();
    let other =
        reasons.iter().any(|reason| matches!(reason.kind, ReasonKind::Image | ReasonKind::Config));
    let live =
        situation.old.services.get(name).and_then(|old| live(situation, old)).filter(|_| other);
    if let Some(folder) = live {
        reasons.push(reason(
            ReasonKind::Files,
            format!("it reads {folder} live, so it stops before the files change"),
        ));
    }
    let files = files(situation, service);
    if !files.is_empty() {
        reasons.push(reason(ReasonKind::Files, list(&files)));
    }
    let action = match (recreate, files.is_empty()) {
        (true, _) => Action::Recreate,
        (false, false) => Action::Restart,
        (false, true) => Action::Keep,
    };
    ServiceChange { stops_first: live.is_some(), ..change(name, action, reasons) }
}

fn removed(situation: &Situation<'_>, name: &str) -> ServiceChange {
    let why = if situation.new.services.contains_key(name) {
        "the configuration asks for no containers"
    } else {
        "no compose file names it any more"
    };
    change(name, Action::Remove, vec![reason(ReasonKind::Config, why)])
}

/// Returns a reason if the image changes, by reference or by content.
fn image(
    situation: &Situation<'_>,
    name: &str,
    service: &Service,
    container: &Container,
) -> Option<Reason> {
    let reference = service.image.as_deref()?;
    let planned = situation.images.iter().find(|image| image.reference == reference)?;
    let moved = container.image != reference && old_reference(situation, name) != Some(reference);
    let content = |digest: &Option<String>| {
        digest.as_deref().map_or_else(|| "not known yet".to_owned(), short)
    };
    let other = planned.to.is_some() && planned.from != planned.to;
    match (moved, other) {
        (true, _) => {
            let (from, to) = (content(&planned.from), content(&planned.to));
            Some(reason(
                ReasonKind::Image,
                format!("{} ({from}) to {reference} ({to})", container.image),
            ))
        }
        (false, true) => {
            let (from, to) = (content(&planned.from), content(&planned.to));
            Some(reason(ReasonKind::Image, format!("{reference} from {from} to {to}")))
        }
        (false, false) => None,
    }
}

fn old_reference<'a>(situation: &Situation<'a>, name: &str) -> Option<&'a str> {
    situation.old.services.get(name)?.image.as_deref()
}

/// Returns a reason if the configuration changes, so that compose would recreate the container.
fn config(
    situation: &Situation<'_>,
    name: &str,
    service: &Service,
    containers: &[&Container],
) -> Option<Reason> {
    let new_hash = situation.new.hashes.get(name);
    // For shared namespaces or mounts, compose also hashes the other container's id, which no file
    // contains.
    let differs = if service.shares_with().next().is_some() {
        situation.old.hashes.get(name) != new_hash
    } else {
        containers.iter().any(|container| container.labels.get(label::CONFIG_HASH) != new_hash)
    };
    if !differs {
        return None;
    }
    let old = situation.old.services.get(name);
    let keys = old.map(|old| diff::keys(&old.raw, &service.raw)).unwrap_or_default();
    let only_image = keys == ["image"];
    let keys: Vec<&str> = keys.iter().map(String::as_str).filter(|key| *key != "image").collect();
    match (only_image, keys.is_empty()) {
        (true, _) => None,
        (false, false) => Some(reason(ReasonKind::Config, keys.join("; "))),
        (false, true) => {
            let version = containers.first().and_then(|one| one.labels.get(label::VERSION));
            let by = version.map(|version| format!(" (compose {version})")).unwrap_or_default();
            let text = format!(
                "its container was created{by} from a configuration that differs from the site's \
                 current files"
            );
            Some(reason(ReasonKind::Config, text))
        }
    }
}

/// Returns the changed files that the service would not see or use without a restart.
fn files(situation: &Situation<'_>, service: &Service) -> Vec<String> {
    let mut seen = Vec::new();
    for mount in service.mounts.iter().filter_map(super::resolved::Mount::host_path) {
        for path in situation.changed_paths {
            let full = situation.site_root.join(path.as_path());
            let below_live =
                situation.read_live.iter().any(|folder| path.as_path().starts_with(folder));
            // A mounted directory shows its current content. A mounted file stays the one that
            // existed when the container started.
            if full == mount || (full.starts_with(&mount) && !below_live) {
                seen.push(path.to_string());
            }
        }
    }
    seen.sort();
    seen.dedup();
    seen
}

/// Returns a directory with changed files that the running service reads at each use.
fn live<'a>(situation: &Situation<'a>, old: &Service) -> Option<&'a str> {
    let mounted = |path: &Path| {
        let full = situation.site_root.join(path);
        old.mounts
            .iter()
            .filter_map(super::resolved::Mount::host_path)
            .any(|mount| full != mount && full.starts_with(mount))
    };
    let changes = |folder: &&&str| {
        let paths = situation.changed_paths.iter().map(SitePath::as_path);
        paths.into_iter().any(|path| path.starts_with(folder) && mounted(path))
    };
    situation.read_live.iter().find(changes).copied()
}

/// Lists the first paths and counts the rest.
fn list(paths: &[String]) -> String {
    const SHOWN: usize = 4;
    match paths.len().checked_sub(SHOWN) {
        None | Some(0) => paths.join(", "),
        Some(more) => format!("{} and {more} more", paths[..SHOWN].join(", ")),
    }
}

fn change(service: &str, action: Action, reasons: Vec<Reason>) -> ServiceChange {
    ServiceChange { service: service.to_owned(), action, reasons, stops_first: false }
}

fn reason(kind: ReasonKind, detail: impl Into<String>) -> Reason {
    Reason { kind, detail: detail.into() }
}

#[cfg(test)]
mod tests;
