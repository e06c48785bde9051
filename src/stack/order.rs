//! Runs steps in the order of the services' dependencies.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::resolved::{Resolved, Service};
use crate::error::{Error, Result};

/// Returns for each of the services those of them that it depends on, directly or through services
/// that are not among them.
pub fn prerequisites<'a>(
    resolved: &'a Resolved,
    services: &BTreeSet<&'a str>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let of = |name: &'a str| {
        below(resolved, name)
            .intersection(services)
            .copied()
            .filter(|other| *other != name)
            .collect()
    };
    services.iter().map(|name| (*name, of(name))).collect()
}

/// Calls `act` with each key as soon as its prerequisites are done, up to `at_a_time` in parallel,
/// in their order. Calls `finished` with each key that is done. After a failure it starts nothing
/// more, waits for what is under way, and returns the first failure. Keys of a cycle, which compose
/// would refuse, come last.
pub async fn follow<K: Copy + Ord>(
    mut waiting: BTreeMap<K, BTreeSet<K>>,
    at_a_time: usize,
    act: impl AsyncFn(K) -> Result<()>,
    mut finished: impl FnMut(K),
) -> Result<()> {
    let mut under_way = FuturesUnordered::new();
    let mut failure: Option<Error> = None;
    loop {
        while failure.is_none() && under_way.len() < at_a_time {
            let free = waiting.iter().find(|(_, needs)| needs.is_empty()).map(|(name, _)| *name);
            let cycle = || waiting.keys().next_back().copied().filter(|_| under_way.is_empty());
            let Some(next) = free.or_else(cycle) else { break };
            waiting.remove(&next);
            let act = &act;
            under_way.push(async move { (next, act(next).await) });
        }
        match under_way.next().await {
            None => return failure.map_or(Ok(()), Err),
            Some((_, Err(error))) => failure = failure.or(Some(error)),
            Some((done, Ok(()))) => {
                finished(done);
                for needs in waiting.values_mut() {
                    needs.remove(&done);
                }
            }
        }
    }
}

/// Returns the direct and indirect dependencies of a service.
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
    let shared = resolved.services.get(service).into_iter().flat_map(Service::shares_with);
    resolved.needs_of(service).map(|(name, _)| name).chain(shared)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn resolved() -> Resolved {
        let needs = |names: &[&str]| {
            let map: serde_json::Map<_, _> = names
                .iter()
                .map(|name| ((*name).to_owned(), json!({"condition": "service_started"})))
                .collect();
            json!({"image": "i", "depends_on": map})
        };
        let config = json!({"name": "p", "services": {
            "db": needs(&[]), "cache": needs(&[]), "web": needs(&["php", "cache"]), "php": needs(&["db"]),
            "side": {"image": "i", "network_mode": "service:web"},
            "x": needs(&["y"]), "y": needs(&["x"]),
        }});
        Resolved::parse(&config.to_string(), "").unwrap()
    }

    /// `(name, milliseconds)`; returns the starts and ends in their order. A step of 0 ms fails.
    fn followed(services: &[(&'static str, u64)], at_a_time: usize) -> (Vec<String>, bool) {
        let (resolved, log) = (resolved(), RefCell::new(Vec::new()));
        let names = services.iter().map(|(name, _)| *name).collect();
        let act = async |name: &str| {
            log.borrow_mut().push(format!("{name} begins"));
            let time = services.iter().find(|(known, _)| *known == name).unwrap().1;
            tokio::time::sleep(Duration::from_millis(time)).await;
            log.borrow_mut().push(format!("{name} ends"));
            if time > 0 { Ok(()) } else { Err(Error::new(name)) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let result =
            runtime.block_on(follow(prerequisites(&resolved, &names), at_a_time, act, |_| {}));
        (log.into_inner(), result.is_ok())
    }

    #[test]
    fn dependencies_come_first_also_through_others() {
        let needs = |names: &[&'static str]| {
            prerequisites(&resolved(), &names.iter().copied().collect())["web"].len()
        };
        assert_eq!(needs(&["web", "db", "cache", "side"]), 2);
        let (log, _) = followed(&[("web", 10), ("db", 100), ("cache", 10), ("side", 10)], 4);
        assert_eq!(log[2..4], ["cache ends", "db ends"]);
        assert_eq!(log[4..], ["web begins", "web ends", "side begins", "side ends"]);
    }

    #[test]
    fn who_is_slow_holds_up_only_those_who_need_it() {
        let (log, _) = followed(&[("cache", 300), ("db", 10), ("php", 10)], 4);
        assert_eq!(log[2..], ["db ends", "php begins", "php ends", "cache ends"]);
    }

    #[test]
    fn after_a_failure_nothing_more_begins_and_what_is_under_way_ends() {
        let (log, well) = followed(&[("cache", 50), ("db", 0), ("php", 10)], 4);
        assert!(!well);
        assert_eq!(log, ["cache begins", "db begins", "db ends", "cache ends"]);
    }

    #[test]
    fn a_circle_comes_last_and_ends() {
        let (log, well) = followed(&[("x", 10), ("y", 10), ("db", 10)], 1);
        assert!(well);
        assert_eq!(log, ["db begins", "db ends", "y begins", "y ends", "x begins", "x ends"]);
    }
}
