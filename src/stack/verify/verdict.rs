//! Judges services by their containers' states and the time they had. Sends no requests.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Limits;
use crate::stack::container::{Container, Health, State};
use crate::stack::resolved::{Resolved, Service};

/// The shortest time that a restarted container must stay up. Docker too considers it started only
/// then (its documentation, "Start containers automatically").
const STEADY: Duration = Duration::from_secs(10);

/// The verdict on a service or a container at one moment. A worse verdict is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Healthy.
    Well,
    /// Not healthy yet, with time left. The problem; `None` if it only needs more time.
    Wait(Option<String>),
    /// It cannot recover, or ran out of time.
    Ill(String),
}

/// The time of a look at the containers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// The time since the first look.
    pub(super) at: Duration,
    /// The engine's clock; `None` for a remote engine, whose clock may differ.
    pub(super) clock: Option<Timestamp>,
}

impl Look {
    /// Returns how long a container has been running by the engine's clock; zero if unknown.
    fn age(self, container: &Container) -> Duration {
        let started = container.started_at.parse::<Timestamp>().ok();
        let age = started.zip(self.clock).map(|(started, now)| now.duration_since(started));
        age.and_then(|age| age.try_into().ok()).unwrap_or_default()
    }
}

/// The state of a service between two looks.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) service: String,
    /// Its containers by name: a replaced container keeps its name.
    replicas: BTreeMap<String, Replica>,
}

impl Watched {
    pub(super) fn new(service: &str) -> Self {
        Self { service: service.to_owned(), replicas: BTreeMap::new() }
    }

    /// Returns when the last of its containers was first seen healthy; `None` if one never was.
    pub(super) fn up(&self) -> Option<Duration> {
        self.replicas.values().map(|replica| replica.up).max().flatten()
    }
}

/// The state of one container between two looks.
#[derive(Clone, Debug, Default)]
struct Replica {
    /// The id and start time seen last, and since when.
    seen: Option<(String, String, Duration)>,
    /// The time since which its health check has been failing.
    failing: Option<Duration>,
    /// The time when it was first seen healthy. The limit for its ports counts from then.
    up: Option<Duration>,
    /// The number of restarts seen.
    again: u32,
    /// The last exit code seen: the engine reports none while the container runs.
    code: Option<i64>,
}

impl Replica {
    /// Returns since when this start of the container has been seen.
    fn since(&mut self, container: &Container, now: Duration) -> Duration {
        match &self.seen {
            Some((id, start, since)) if *id == container.id && *start == container.started_at => {
                *since
            }
            seen => {
                self.again += u32::from(seen.is_some());
                self.up = None;
                self.seen = Some((container.id.clone(), container.started_at.clone(), now));
                now
            }
        }
    }
}

/// Judges a service by its worst container.
pub(super) fn judge(
    watched: &mut Watched,
    resolved: &Resolved,
    containers: &[Container],
    limits: &Limits,
    look: Look,
) -> Verdict {
    let Watched { service, replicas } = watched;
    let own: Vec<&Container> = containers.iter().filter(|one| one.service == *service).collect();
    let wanted = resolved.services.get(service).map_or(1, Service::replicas);
    if own.is_empty() {
        return Verdict::Ill("it has no container".to_owned());
    }
    if own.len() < wanted {
        return Verdict::Ill(format!("it has {} of {wanted} containers", own.len()));
    }
    replicas.retain(|name, _| own.iter().any(|one| one.name == *name));
    let end = may_end(resolved, service);
    let one = |container: &&Container| {
        let replica = replicas.entry(container.name.clone()).or_default();
        judge_one(replica, container, end, limits, look)
    };
    own.iter().map(one).max().unwrap_or(Verdict::Well)
}

fn judge_one(
    watched: &mut Replica,
    container: &Container,
    may_end: bool,
    limits: &Limits,
    look: Look,
) -> Verdict {
    let now = look.at;
    let since = watched.since(container, now);
    let ill = match container.state {
        State::Running => return running(watched, container, limits, look, since),
        State::Ended if container.exit_code == 0 && may_end => return Verdict::Well,
        State::Paused => return Verdict::Ill("its container is paused".to_owned()),
        State::Created => "its container was never started".to_owned(),
        State::Restarting | State::Ended => {
            watched.code = Some(container.exit_code);
            let again = if watched.again > 0 { "keeps ending, last" } else { "ended" };
            format!("its container {again} with code {}", container.exit_code)
        }
    };
    wait_until(limits.running, now, ill)
}

fn running(
    watched: &mut Replica,
    container: &Container,
    limits: &Limits,
    look: Look,
    since: Duration,
) -> Verdict {
    let now = look.at;
    // On a busy machine the engine notices late that a container has ended again.
    let again = watched.again > 0 || container.restarts > 0;
    let settle = if again { limits.settle.max(STEADY) } else { limits.settle };
    // A container that started before the first look has been up longer than it was watched.
    if look.age(container).max(now.saturating_sub(since)) < settle {
        return if again {
            wait_until(limits.running, now, restless(watched.code))
        } else {
            Verdict::Wait(None)
        };
    }
    match container.health {
        Health::None | Health::Healthy => {
            watched.failing = None;
            watched.up.get_or_insert(now);
            Verdict::Well
        }
        Health::Starting => {
            let patience = container.check.unwrap_or_default().patience() + limits.healthy;
            wait_until(since + patience, now, "its health check has not passed")
        }
        Health::Unhealthy => {
            let failing = *watched.failing.get_or_insert(now);
            wait_until(failing + limits.healthy, now, "its health check fails")
        }
    }
}

fn restless(code: Option<i64>) -> String {
    match code {
        Some(code) => format!("its container keeps ending, last with code {code}"),
        None => "its container keeps restarting".to_owned(),
    }
}

fn wait_until(limit: Duration, now: Duration, ill: impl Into<String>) -> Verdict {
    if now < limit { Verdict::Wait(Some(ill.into())) } else { Verdict::Ill(ill.into()) }
}

/// Returns true if the service may do its work once and end.
fn may_end(resolved: &Resolved, service: &str) -> bool {
    let awaited = resolved.services.values().any(|other| {
        other
            .depends_on
            .get(service)
            .is_some_and(|on| on.condition == "service_completed_successfully")
    });
    let restart = resolved.services.get(service).and_then(|service| service.restart.as_deref());
    awaited || matches!(restart, None | Some("" | "no" | "on-failure"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::container::Check;

    const LIMITS: Limits = Limits {
        settle: Duration::from_secs(5),
        running: Duration::from_mins(1),
        healthy: Duration::from_secs(30),
        ports: Duration::from_secs(10),
    };

    /// Each look as (second, container); the verdict of the last one.
    fn after(looks: &[(u64, Container)]) -> Verdict {
        let config = r#"{"name": "p", "services": {"a": {"image": "i", "restart": "always"}, "once": {"image": "i"}}}"#;
        let resolved = Resolved::parse(config, "").unwrap();
        let mut watched = Watched::new("a");
        let mut verdict = Verdict::Wait(None);
        for (second, container) in looks {
            watched.service.clone_from(&container.service);
            let containers = std::slice::from_ref(container);
            let look = Look { at: Duration::from_secs(*second), clock: None };
            verdict = judge(&mut watched, &resolved, containers, &LIMITS, look);
        }
        verdict
    }

    fn container(state: State, health: Health, start: &str) -> Container {
        let check = Some(Check {
            start_period: Duration::from_mins(6),
            interval: Duration::from_secs(10),
            retries: 2,
        });
        let (service, id, started_at) = ("a".to_owned(), "1".to_owned(), start.to_owned());
        Container {
            service,
            id,
            state,
            health,
            started_at,
            check,
            exit_code: 3,
            ..Container::default()
        }
    }

    fn waits(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Wait(_))
    }

    fn is_ill(verdict: &Verdict, part: &str) -> bool {
        matches!(verdict, Verdict::Ill(reason) if reason.contains(part))
    }

    #[test]
    fn a_running_container_must_stay_up() {
        let up = |start: &str| container(State::Running, Health::None, start);
        assert_eq!(after(&[(0, up("x"))]), Verdict::Wait(None), "no problem so far");
        assert_eq!(after(&[(0, up("x")), (5, up("x"))]), Verdict::Well);
        assert!(waits(&after(&[(0, up("x")), (5, up("y"))])));
        assert!(is_ill(&after(&[(0, up("x")), (58, up("y")), (61, up("z"))]), "keeps restarting"));
    }

    #[test]
    fn a_container_that_has_been_up_for_long_is_not_watched_for_long() {
        let time = |second: u8| format!("2026-01-01T00:00:{second:02}Z");
        let resolved =
            Resolved::parse(r#"{"name": "p", "services": {"a": {"image": "i"}}}"#, "").unwrap();
        let look = Look { at: Duration::ZERO, clock: time(30).parse().ok() };
        let at_first = |started: u8| {
            let up = container(State::Running, Health::None, &time(started));
            judge(&mut Watched::new("a"), &resolved, &[up], &LIMITS, look)
        };
        assert_eq!(at_first(25), Verdict::Well);
        assert_eq!(at_first(26), Verdict::Wait(None));
        assert_eq!(at_first(40), Verdict::Wait(None), "clocks that differ change nothing");
    }

    #[test]
    fn a_restarted_container_must_stay_up_for_longer() {
        let restarts = 1;
        let up = Container { restarts, ..container(State::Running, Health::None, "x") };
        assert!(waits(&after(&[(0, up.clone()), (9, up.clone())])));
        assert_eq!(after(&[(0, up.clone()), (10, up)]), Verdict::Well);
    }

    #[test]
    fn a_container_that_ends_gets_time_and_then_is_reported_with_its_code() {
        let ends = |start: &str| container(State::Restarting, Health::None, start);
        assert!(waits(&after(&[(0, ends("x")), (59, ends("y"))])));
        assert!(is_ill(
            &after(&[(0, ends("x")), (60, ends("y"))]),
            "keeps ending, last with code 3"
        ));
    }

    #[test]
    fn a_start_period_counts() {
        let starting = container(State::Running, Health::Starting, "x");
        let healthy = container(State::Running, Health::Healthy, "x");
        assert!(waits(&after(&[(0, starting.clone()), (400, starting.clone())])));
        assert!(is_ill(
            &after(&[(0, starting.clone()), (420, starting.clone())]),
            "has not passed"
        ));
        assert_eq!(after(&[(0, starting), (300, healthy)]), Verdict::Well);
    }

    #[test]
    fn a_health_check_may_fail_for_a_while() {
        let ill = container(State::Running, Health::Unhealthy, "x");
        let healthy = container(State::Running, Health::Healthy, "x");
        assert!(waits(&after(&[(0, ill.clone()), (10, ill.clone()), (39, ill.clone())])));
        assert!(is_ill(
            &after(&[(0, ill.clone()), (10, ill.clone()), (40, ill.clone())]),
            "its health check fails"
        ));
        assert_eq!(after(&[(0, ill.clone()), (10, ill), (30, healthy)]), Verdict::Well);
    }

    #[test]
    fn who_does_something_once_may_end_well() {
        let once = |exit_code| Container {
            service: "once".to_owned(),
            exit_code,
            ..container(State::Ended, Health::None, "x")
        };
        assert_eq!(after(&[(0, once(0))]), Verdict::Well);
        assert!(is_ill(&after(&[(0, once(1)), (60, once(1))]), "code 1"));
    }

    #[test]
    fn a_service_is_as_well_as_the_worst_of_its_containers() {
        let config = r#"{"name": "p", "services": {"a": {"image": "i", "restart": "always", "deploy": {"replicas": 2}}}}"#;
        let resolved = Resolved::parse(config, "").unwrap();
        let named = |name: &str, state| Container {
            name: name.to_owned(),
            ..container(state, Health::None, "x")
        };
        let mut watched = Watched::new("a");
        let mut look = |second, containers: &[Container]| {
            let look = Look { at: Duration::from_secs(second), clock: None };
            judge(&mut watched, &resolved, containers, &LIMITS, look)
        };
        let (one, two) = (named("a-1", State::Running), named("a-2", State::Running));
        let paused = named("a-2", State::Paused);
        assert_eq!(look(0, &[one.clone(), two.clone()]), Verdict::Wait(None));
        assert_eq!(look(5, &[one.clone(), two.clone()]), Verdict::Well);
        assert!(is_ill(&look(6, &[one.clone(), paused.clone()]), "paused"));
        assert!(is_ill(&look(6, &[paused, one.clone()]), "paused"));
        assert!(is_ill(&look(7, &[one]), "1 of 2 containers"));
    }

    #[test]
    fn a_service_needs_a_container() {
        let resolved = Resolved::default();
        let look = Look { at: Duration::ZERO, clock: None };
        let verdict = judge(&mut Watched::new("a"), &resolved, &[], &LIMITS, look);
        assert!(is_ill(&verdict, "no container"));
    }
}
