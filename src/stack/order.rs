//! The order in which services depend on each other.

use std::collections::BTreeSet;

use super::resolved::Resolved;

/// The services in steps: each depends only on services of earlier steps, directly or through others that are not named. Those of
/// a circle, which compose would refuse, come last together.
pub fn steps<'a>(resolved: &'a Resolved, services: &BTreeSet<&'a str>) -> Vec<Vec<&'a str>> {
    let mut left: BTreeSet<&str> = services.clone();
    let mut steps = Vec::new();
    while !left.is_empty() {
        let ready: Vec<&str> =
            left.iter().copied().filter(|name| below(resolved, name).is_disjoint(&without(&left, name))).collect();
        let step = if ready.is_empty() { left.iter().copied().collect() } else { ready };
        left.retain(|name| !step.contains(name));
        steps.push(step);
    }
    steps
}

fn without<'a>(names: &BTreeSet<&'a str>, name: &str) -> BTreeSet<&'a str> {
    names.iter().copied().filter(|other| *other != name).collect()
}

/// All that a service depends on, near and far.
fn below<'a>(resolved: &'a Resolved, service: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = direct(resolved, service).collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(direct(resolved, name));
        }
    }
    found
}

fn direct<'a>(resolved: &'a Resolved, service: &str) -> impl Iterator<Item = &'a str> {
    let service = resolved.services.get(service);
    service.into_iter().flat_map(|service| service.depends_on.keys().map(String::as_str).chain(service.shares_with()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn dependencies_come_first_also_through_others() {
        let needs = |names: &[&str]| {
            let map: serde_json::Map<_, _> =
                names.iter().map(|name| ((*name).to_owned(), json!({"condition": "service_started"}))).collect();
            json!({"image": "i", "depends_on": map})
        };
        let config = json!({"name": "p", "services": {
            "db": needs(&[]), "cache": needs(&[]), "web": needs(&["php", "cache"]), "php": needs(&["db"]),
            "side": {"image": "i", "network_mode": "service:web"},
            "x": needs(&["y"]), "y": needs(&["x"]),
        }});
        let resolved = Resolved::parse(&config.to_string(), "").unwrap();
        let steps = |names: &[&'static str]| steps(&resolved, &names.iter().copied().collect());
        assert_eq!(steps(&["web", "db", "cache", "side"]), [vec!["cache", "db"], vec!["web"], vec!["side"]]);
        assert_eq!(steps(&["x", "y", "db"]), [vec!["db"], vec!["x", "y"]]);
    }
}
