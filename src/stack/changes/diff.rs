//! Differences between two configurations, without values: they may be secrets.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Situation;

/// The keys whose own keys are named.
const MAPS: &[&str] =
    &["environment", "labels", "networks", "depends_on", "sysctls", "ulimits", "extra_hosts"];

/// Returns the keys of a service that differ: `environment (REDISPASS added)`, `ports`, ….
pub(super) fn keys(old: &Value, new: &Value) -> Vec<String> {
    let named = |key: &str| {
        let (before, after) = (&old[key], &new[key]);
        if before == after {
            None
        } else if MAPS.contains(&key) && !(before.is_null() && after.is_null()) {
            Some(format!("{key} ({})", entries(before, after).join(", ")))
        } else {
            Some(key.to_owned())
        }
    };
    all_keys(old, new).into_iter().filter_map(named).collect()
}

/// Returns the difference of each entry of a map.
fn entries(old: &Value, new: &Value) -> Vec<String> {
    let difference = |key: &str| match (old.get(key), new.get(key)) {
        (before, after) if before == after => None,
        (None, _) => Some(format!("{key} added")),
        (_, None) => Some(format!("{key} removed")),
        _ => Some(format!("{key} changed")),
    };
    all_keys(old, new).into_iter().filter_map(difference).collect()
}

fn all_keys<'a>(old: &'a Value, new: &'a Value) -> BTreeSet<&'a str> {
    let keys = |value: &'a Value| {
        value.as_object().into_iter().flat_map(|map| map.keys().map(String::as_str))
    };
    keys(old).chain(keys(new)).collect()
}

/// Returns the networks in use whose definition changed: compose can recreate them only after
/// `down`.
pub(super) fn networks(situation: &Situation<'_>) -> Vec<String> {
    let in_use = |name: &str| {
        situation.containers.iter().any(|container| container.networks.contains_key(name))
    };
    let added = situation.new.networks.keys().any(|key| !situation.old.networks.contains_key(key));
    let old = situation
        .old
        .networks
        .iter()
        .filter(|(_, network)| !network.external && in_use(&network.name));
    old.filter(|(key, network)| match situation.new.networks.get(*key) {
        Some(new) => new.raw != network.raw,
        // Probably renamed: the new one cannot be created while the old one holds its addresses.
        None => added,
    })
    .map(|(key, _)| key.clone())
    .collect()
}
