//! Brings the new stack up with as little interruption as possible. Changed services are replaced
//! one by one in the order of their dependencies; unchanged services keep running. Compose creates
//! the new container, the engine starts it.
//!
//! A changed service runs until it is replaced. Only a service that reads changed files live stops
//! just before they change ([`stop_first`]): the old program must not read the new files.

mod half;
mod health;
mod missing;
mod turn;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;

pub use turn::Turn;

pub(super) use health::not_healthy;

use super::change::{Action, ReasonKind, ServiceChange};
use super::changes::Changes;
use super::compose::{Compose, ComposeFiles};
use super::container::{Container, State};
use super::engine::Engine;
use super::images::retag;
use super::order;
use super::resolved::Resolved;
use crate::error::Result;
use crate::event::{Events, Unit};

/// The number of services replaced in parallel. More would only lengthen the downtime of each.
const AT_A_TIME: usize = 5;

/// The input for bringing the stack up.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The compose command.
    pub compose: &'a Compose,
    /// The engine.
    pub engine: &'a Engine,
    /// The running configuration, for taking the stack down.
    pub old: &'a ComposeFiles,
    /// The configuration to bring up.
    pub new: &'a ComposeFiles,
    /// The new configuration, resolved.
    pub resolved: &'a Resolved,
    /// The changes, of an update or of a rollback.
    pub changes: &'a Changes,
    /// References with the image ids to tag: the pulled images or, for a rollback, those that ran
    /// before.
    pub images: &'a [(String, String)],
    /// The time in which the changed files differed from now.
    pub outdated: Outdated,
    /// The time that a service may take to become healthy, beyond what its own check allows.
    pub healthy: Duration,
    /// The lock file for changing the project's containers.
    pub turn: &'a Path,
}

/// A time in which files differed from now. A container started in it must restart to see them.
#[derive(Clone, Copy, Debug)]
pub struct Outdated {
    /// The time when they were changed away from the present content; `None` if they never had it
    /// before.
    pub from: Option<Timestamp>,
    /// The time when they got the present content.
    pub until: Timestamp,
}

impl Outdated {
    fn has(&self, container: &Container) -> bool {
        container.started_at.parse::<Timestamp>().map_or(true, |started| {
            started < self.until && self.from.is_none_or(|from| started >= from)
        })
    }
}

/// Takes the old stack down, as a changed network requires. Must not run again once it succeeded:
/// then the new stack runs.
pub async fn down(start: &Start<'_>, events: &Events) -> Result<()> {
    let turn = Turn::take(start.turn, events).await?;
    events.info(format!(
        "taking the stack down: the definition of {} changed",
        start.changes.down.join(", ")
    ));
    start.compose.down(start.old, &turn).await
}

/// Brings the new stack up. Can be repeated after a crash at any point.
pub async fn apply(start: &Start<'_>, events: &Events) -> Result<()> {
    let turn = Turn::take(start.turn, events).await?;
    try_join_all(
        start.images.iter().map(|(reference, image_id)| retag(start.engine, reference, image_id)),
    )
    .await?;
    events.info("starting the new stack");
    half::mend(start.engine, &start.resolved.project, events).await?;
    let containers = start.engine.containers(&start.resolved.project).await?;
    if !containers.is_empty() {
        if missing::any(start, &containers).await? {
            start.compose.create(start.new, &turn).await?;
        }
        one_by_one(start, &turn, events).await?;
    }
    // Let compose do now whatever it still finds to do, not at the operator's next `up`.
    start.compose.up(start.new, &turn).await
}

/// Stops the running services that must not read the other files, just before the files change.
/// [`apply`] starts them again, after an update and after a rollback.
pub async fn stop_first(
    engine: &Engine,
    project: &str,
    changes: &[ServiceChange],
    turn: &Path,
    events: &Events,
) -> Result<()> {
    let first = |service: &str| {
        changes.iter().any(|change| change.stops_first && change.service == service)
    };
    let _turn = Turn::take(turn, events).await?;
    let containers = engine.containers_of(project, first).await?;
    let running = containers.iter().filter(|one| one.state == State::Running);
    try_join_all(running.map(|container| engine.stop(container))).await.map(drop)
}

/// One step of a service that changes. The most urgent step is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step<'a> {
    what: What,
    /// The number of services that wait for it, directly or indirectly: most goes first.
    awaited_by: Reverse<usize>,
    service: &'a str,
}

/// The part of a replacement that a step does. Stopped services come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// Start the service as configured, or remove it.
    Finish,
    /// Replace its container without starting the new one, or stop the one to restart.
    Make,
}

/// The means of bringing a service to its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// Its containers are removed.
    Gone,
    /// Its container is restarted.
    Again,
    /// Compose creates its new container, and the engine starts it.
    Made,
    /// Compose does everything, because it takes part in the start.
    ByCompose,
}

impl Means {
    /// Returns the means for this configuration, in an update and in a rollback.
    fn of(resolved: &Resolved, change: &ServiceChange) -> Self {
        match resolved.wanted_as(&change.service) {
            None => Self::Gone,
            Some(_) if change.action == Action::Restart => Self::Again,
            Some(service) if service.is_started_by_compose() => Self::ByCompose,
            Some(_) => Self::Made,
        }
    }
}

/// Changes each service as soon as its dependencies are done.
async fn one_by_one(start: &Start<'_>, turn: &Turn, events: &Events) -> Result<()> {
    let changed = start.changes.services.iter().filter(|change| change.action != Action::Keep);
    let changes: BTreeMap<&str, &ServiceChange> =
        changed.map(|change| (change.service.as_str(), change)).collect();
    let (mut done, total) = (0, changes.len() as u64);
    let act = async |Step { what, service, .. }: Step<'_>| {
        let means = Means::of(start.resolved, changes[service]);
        match what {
            What::Make => make(start, turn, service, means).await,
            What::Finish => finish(start, turn, service, means).await,
        }
    };
    order::follow(steps(start.resolved, &changes), AT_A_TIME, act, |step| {
        if step.what == What::Finish {
            done += 1;
            events.progress("services changed", done, Some(total), Unit::Items);
        }
    })
    .await?;
    if total > 0 {
        events.finished("services changed", done, Unit::Items);
    }
    Ok(())
}

/// Returns the steps, each with its prerequisites: the steps of its dependencies and, if its
/// configuration is new, of removed services, which may hold its port or address. A service is
/// started after its dependencies are started, and created as soon as they are created: waiting
/// for their start first would lengthen its downtime.
fn steps<'a>(
    resolved: &'a Resolved,
    changes: &BTreeMap<&'a str, &'a ServiceChange>,
) -> BTreeMap<Step<'a>, BTreeSet<Step<'a>>> {
    let names: BTreeSet<&str> = changes.keys().copied().collect();
    let goes = |name: &str| Means::of(resolved, changes[name]) == Means::Gone;
    let going: BTreeSet<&str> = names.iter().copied().filter(|name| goes(name)).collect();
    let prerequisites = order::prerequisites(resolved, &names);
    let step = |what, service| {
        let awaited_by = prerequisites.values().filter(|needs| needs.contains(service)).count();
        Step { what, awaited_by: Reverse(awaited_by), service }
    };
    let mut steps = BTreeMap::new();
    for (&name, prerequisites) in &prerequisites {
        let mut needs = BTreeSet::new();
        // A removed service waits for no other; others may wait for it.
        if !going.contains(name) {
            needs.extend(prerequisites);
            let takes_over = |kind| matches!(kind, ReasonKind::Config | ReasonKind::Network);
            if changes[name].reasons.iter().any(|reason| takes_over(reason.kind)) {
                needs.extend(&going);
            }
        }
        let to_be_made = |other: &&'a str| {
            let healthy =
                resolved.needs_of(name).any(|(needed, on)| needed == *other && on.needs_health());
            step(if healthy || going.contains(other) { What::Finish } else { What::Make }, other)
        };
        steps.insert(step(What::Make, name), needs.iter().map(to_be_made).collect());
        let finished = needs.iter().map(|other| step(What::Finish, other));
        steps.insert(step(What::Finish, name), finished.chain([step(What::Make, name)]).collect());
    }
    steps
}

/// Does everything before the service's start, once its dependencies are as healthy as required.
/// Until then the old container keeps running.
async fn make(start: &Start<'_>, turn: &Turn, service: &str, means: Means) -> Result<()> {
    if means != Means::Gone {
        health::wait(start, service).await?;
    }
    match means {
        Means::Gone | Means::ByCompose => Ok(()),
        Means::Made => start.compose.create_alone(start.new, service, turn).await,
        Means::Again => {
            let containers = containers(start, service).await?;
            let outdated = containers
                .iter()
                .filter(|one| one.state != State::Ended && start.outdated.has(one));
            try_join_all(outdated.map(|container| start.engine.stop(container))).await.map(drop)
        }
    }
}

/// Starts one service as configured, or removes it.
async fn finish(start: &Start<'_>, turn: &Turn, service: &str, means: Means) -> Result<()> {
    let by_compose = match means {
        Means::ByCompose => true,
        Means::Made => !health::is_met(start, service).await?,
        Means::Gone | Means::Again => false,
    };
    if by_compose {
        return start.compose.up_alone(start.new, service, turn).await;
    }
    let containers = containers(start, service).await?;
    if means == Means::Gone {
        return try_join_all(containers.iter().map(|container| start.engine.remove(container)))
            .await
            .map(drop);
    }
    let idle = containers.iter().filter(|one| matches!(one.state, State::Created | State::Ended));
    let due = idle.filter(|one| means != Means::Again || start.outdated.has(one));
    try_join_all(due.map(|container| start.engine.start(container))).await.map(drop)
}

async fn containers(start: &Start<'_>, service: &str) -> Result<Vec<Container>> {
    start.engine.containers_of(&start.resolved.project, |name| name == service).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stack::change::Reason;

    /// Returns the steps of these services, all of which change, in their order if done one at a
    /// time: `make web`, `finish web`.
    fn in_order(services: &serde_json::Value, why: ReasonKind) -> Vec<String> {
        let resolved =
            Resolved::parse(&json!({"name": "p", "services": services}).to_string(), "").unwrap();
        let change = |service: &String| ServiceChange {
            service: service.clone(),
            action: Action::Recreate,
            reasons: vec![Reason { kind: why, detail: String::new() }],
            stops_first: false,
        };
        let changes: Vec<ServiceChange> = resolved.services.keys().map(change).collect();
        let changes = changes.iter().map(|change| (change.service.as_str(), change)).collect();
        let (mut waiting, mut done) = (steps(&resolved, &changes), Vec::new());
        while let Some(next) =
            waiting.iter().find(|(_, needs)| needs.is_empty()).map(|(step, _)| *step)
        {
            waiting.remove(&next);
            for needs in waiting.values_mut() {
                needs.remove(&next);
            }
            done.push(format!("{:?} {}", next.what, next.service).to_lowercase());
        }
        assert!(waiting.is_empty(), "a circle: {waiting:?}");
        done
    }

    #[test]
    fn who_is_awaited_most_comes_first_and_what_was_stopped_is_started_at_once() {
        let services = json!({
            "alone": {"image": "i"}, "db": {"image": "i"},
            "php": {"image": "i", "depends_on": {"db": {"condition": "service_started"}}},
            "web": {"image": "i", "depends_on": {"php": {"condition": "service_started"}}},
        });
        let expected = [
            "make db",
            "finish db",
            "make php",
            "finish php",
            "make alone",
            "finish alone",
            "make web",
            "finish web",
        ];
        assert_eq!(in_order(&services, ReasonKind::Image), expected);
    }

    #[test]
    fn what_goes_away_goes_before_what_may_take_its_port_also_where_it_needs_that() {
        let services = json!({
            "db": {"image": "i"},
            "old": {"image": "i", "scale": 0, "depends_on": {"db": {"condition": "service_started"}}},
        });
        let order = in_order(&services, ReasonKind::Config);
        let at = |step: &str| order.iter().position(|done| done == step);
        assert!(at("finish old") < at("make db"), "{order:?}");
    }

    #[test]
    fn only_what_was_started_with_other_files_is_outdated() {
        let time =
            |second: &str| format!("2026-01-01T00:00:{second}Z").parse::<Timestamp>().unwrap();
        let started = |at: &str| Container {
            started_at: format!("2026-01-01T00:00:{at}Z"),
            ..Container::default()
        };
        let forward = Outdated { from: None, until: time("10") };
        assert!(forward.has(&started("09.999999999")) && !forward.has(&started("10.5")));
        let back = Outdated { from: Some(time("10")), until: time("20") };
        assert!(!back.has(&started("09")) && back.has(&started("11")) && !back.has(&started("21")));
        assert!(back.has(&Container::default()), "who knows");
    }
}
