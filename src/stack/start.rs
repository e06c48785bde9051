//! Bringing the new stack up with as little interruption as can be: each service that changes is replaced by itself, in the order of the
//! dependencies; what does not change goes on running. Compose makes the new container, the engine starts it.
//!
//! A changed service runs until the moment it is replaced. Only who reads files live that change with it is stopped just before they do
//! ([`stop_first`]): it would be the old program on the new files.

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

/// How many services are replaced side by side. More would only make each of them wait longer between its end and its start.
const AT_A_TIME: usize = 5;

/// What is brought up, and how.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The compose command.
    pub compose: &'a Compose,
    /// The engine.
    pub engine: &'a Engine,
    /// The configuration that runs: with it the stack goes down where it has to.
    pub old: &'a ComposeFiles,
    /// The configuration that shall run.
    pub new: &'a ComposeFiles,
    /// The same, resolved.
    pub resolved: &'a Resolved,
    /// What must change, on the way there or on the way back.
    pub changes: &'a Changes,
    /// What each reference shall mean, by image id: what was pulled, or on the way back what ran before.
    pub images: &'a [(String, String)],
    /// When the changed files were not what they are now.
    pub outdated: Outdated,
    /// How long a service may take until it is healthy, beyond what its own check allows it.
    pub healthy: Duration,
    /// The lock file of those who change the project's containers.
    pub turn: &'a Path,
}

/// A time in which files were not what they are now: what was started in it has to be started again to see them.
#[derive(Clone, Copy, Debug)]
pub struct Outdated {
    /// When they ceased to be what they are now; none where they never were it before.
    pub from: Option<Timestamp>,
    /// When they became it.
    pub until: Timestamp,
}

impl Outdated {
    fn has(&self, container: &Container) -> bool {
        container.started_at.parse::<Timestamp>().map_or(true, |started| {
            started < self.until && self.from.is_none_or(|from| started >= from)
        })
    }
}

/// Takes the old stack down, which has to be where a network changes. Once done it is not to be done again: what runs then is the new stack.
pub async fn down(start: &Start<'_>, events: &Events) -> Result<()> {
    let turn = Turn::take(start.turn, events).await?;
    events.info(format!(
        "taking the stack down: the definition of {} changed",
        start.changes.down.join(", ")
    ));
    start.compose.down(start.old, &turn).await
}

/// Brings the new stack up. May be done again from the start after a crash at any point.
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
    // Whatever compose itself still finds to do is done now, not when somebody starts the stack by hand.
    start.compose.up(start.new, &turn).await
}

/// Stops what runs of the services that must not meet the other files, just before those change. What is new in it stays for
/// [`apply`], which starts it again whichever way is gone.
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

/// One step of a service that changes, in the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step<'a> {
    what: What,
    /// How many others wait for the service, near and far: who holds up most goes first.
    awaited_by: Reverse<usize>,
    service: &'a str,
}

/// What a step does. Who has been stopped is started first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The service runs as the configuration wants it, or is gone.
    Finish,
    /// Its new container takes the place of the old one and is not started yet, or the one that is to be started again is stopped.
    Make,
}

/// How a service comes to where the configuration wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// It shall have no container.
    Gone,
    /// Its container is stopped and started again.
    Again,
    /// Compose makes its new container, and the engine starts it.
    Made,
    /// Compose does all of it, since it has a part in the start.
    ByCompose,
}

impl Means {
    /// What the configuration asks for, whether the plan was made for it or for the way back from it.
    fn of(resolved: &Resolved, change: &ServiceChange) -> Self {
        match resolved.wanted_as(&change.service) {
            None => Self::Gone,
            Some(_) if change.action == Action::Restart => Self::Again,
            Some(service) if service.is_started_by_compose() => Self::ByCompose,
            Some(_) => Self::Made,
        }
    }
}

/// Each service that changes, as soon as those that it depends on are done.
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

/// The steps, each with those that have to be done before: those of what it depends on and, where its configuration is new, of what goes
/// away, which may have had the port or the address that the new configuration asks for. To be started, a service needs the others started;
/// to be made, it needs them made, since that takes as long as the start of the others: it is not gone for longer.
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
        // What goes away needs nobody, and others may wait for it.
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

/// Does what comes before the service's start, once all is healthy that it needs to be. Until then it runs as it is.
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

/// Brings one service to where the configuration wants it.
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

    /// The steps of these services, all of which change, in the order in which they are done one at a time: `make web`, `finish web`.
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
