//! What a service's container says about it, and how long that may go on. Asks nobody.

use std::time::Duration;

use super::Limits;
use crate::stack::container::{Container, Health, State};
use crate::stack::resolved::Resolved;

/// What is thought of a service at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong with it.
    Well,
    /// It may need more time; what it lacks, where that would be an illness later on.
    Wait(Option<String>),
    /// It will not get well, or had all the time it may take.
    Ill(String),
}

/// What is remembered of a service between two looks.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) service: String,
    /// The container and its start that were seen last, and since when.
    seen: Option<(String, String, Duration)>,
    /// Since when its health check has been failing.
    failing: Option<Duration>,
    /// When its container was first seen to be well: from then on its ports may take their time.
    pub(super) up: Option<Duration>,
    /// How often it has been seen to be started again.
    again: u32,
    /// The code with which it was last seen to have ended: while it runs, the engine tells none.
    code: Option<i64>,
}

impl Watched {
    pub(super) fn new(service: &str) -> Self {
        Self { service: service.to_owned(), seen: None, failing: None, up: None, again: 0, code: None }
    }

    /// Since when this start of the container has been seen.
    fn since(&mut self, container: &Container, now: Duration) -> Duration {
        match &self.seen {
            Some((id, start, since)) if *id == container.id && *start == container.started_at => *since,
            seen => {
                self.again += u32::from(seen.is_some());
                self.up = None;
                self.seen = Some((container.id.clone(), container.started_at.clone(), now));
                now
            }
        }
    }
}

/// Judges a service by its container alone. `now` counts from the first look.
pub(super) fn judge(
    watched: &mut Watched,
    resolved: &Resolved,
    containers: &[Container],
    limits: &Limits,
    now: Duration,
) -> Verdict {
    let Some(container) = containers.iter().find(|one| one.service == watched.service) else {
        return Verdict::Ill("it has no container".to_owned());
    };
    let since = watched.since(container, now);
    let ill = match container.state {
        State::Running => return running(watched, container, limits, now, since),
        State::Ended if container.exit_code == 0 && may_end(resolved, &watched.service) => return Verdict::Well,
        State::Paused => return Verdict::Ill("its container is paused".to_owned()),
        State::Created => "its container was never started".to_owned(),
        State::Restarting | State::Ended => {
            watched.code = Some(container.exit_code);
            let again = if watched.again > 0 { " again and again" } else { "" };
            format!("its container ends{again}, last with code {}", container.exit_code)
        }
    };
    wait_until(limits.running, now, ill)
}

fn running(watched: &mut Watched, container: &Container, limits: &Limits, now: Duration, since: Duration) -> Verdict {
    if now.saturating_sub(since) < limits.settle {
        return match watched.again {
            0 => Verdict::Wait(None),
            _ => wait_until(limits.running, now, restless(watched.code)),
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
            wait_until(since + patience, now, "its health check does not say that it is well")
        }
        Health::Unhealthy => {
            let failing = *watched.failing.get_or_insert(now);
            wait_until(failing + limits.healthy, now, "its health check says that it is not well")
        }
    }
}

fn restless(code: Option<i64>) -> String {
    match code {
        Some(code) => format!("its container ends again and again, last with code {code}"),
        None => "its container is started again and again".to_owned(),
    }
}

fn wait_until(limit: Duration, now: Duration, ill: impl Into<String>) -> Verdict {
    if now < limit { Verdict::Wait(Some(ill.into())) } else { Verdict::Ill(ill.into()) }
}

/// Services that do something once and end.
fn may_end(resolved: &Resolved, service: &str) -> bool {
    let awaited = resolved
        .services
        .values()
        .any(|other| other.depends_on.get(service).is_some_and(|on| on.condition == "service_completed_successfully"));
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
            verdict = judge(&mut watched, &resolved, containers, &LIMITS, Duration::from_secs(*second));
        }
        verdict
    }

    fn container(state: State, health: Health, start: &str) -> Container {
        let check = Some(Check { start_period: Duration::from_mins(6), interval: Duration::from_secs(10), retries: 2 });
        let (service, id, started_at) = ("a".to_owned(), "1".to_owned(), start.to_owned());
        Container { service, id, state, health, started_at, check, exit_code: 3, ..Container::default() }
    }

    fn waits(verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Wait(_))
    }

    fn is_ill(verdict: &Verdict, part: &str) -> bool {
        matches!(verdict, Verdict::Ill(reason) if reason.contains(part))
    }

    #[test]
    fn what_runs_has_to_stay_up() {
        let up = |start: &str| container(State::Running, Health::None, start);
        assert_eq!(after(&[(0, up("x"))]), Verdict::Wait(None), "nothing is wrong with it so far");
        assert_eq!(after(&[(0, up("x")), (5, up("x"))]), Verdict::Well);
        assert!(waits(&after(&[(0, up("x")), (5, up("y"))])));
        assert!(is_ill(&after(&[(0, up("x")), (58, up("y")), (61, up("z"))]), "again and again"));
    }

    #[test]
    fn what_ends_is_given_time_and_then_told_with_its_code() {
        let ends = |start: &str| container(State::Restarting, Health::None, start);
        assert!(waits(&after(&[(0, ends("x")), (59, ends("y"))])));
        assert!(is_ill(&after(&[(0, ends("x")), (60, ends("y"))]), "again and again, last with code 3"));
    }

    #[test]
    fn a_start_period_counts() {
        let starting = container(State::Running, Health::Starting, "x");
        let healthy = container(State::Running, Health::Healthy, "x");
        assert!(waits(&after(&[(0, starting.clone()), (400, starting.clone())])));
        assert!(is_ill(&after(&[(0, starting.clone()), (420, starting.clone())]), "does not say"));
        assert_eq!(after(&[(0, starting), (300, healthy)]), Verdict::Well);
    }

    #[test]
    fn a_health_check_may_fail_for_a_while() {
        let ill = container(State::Running, Health::Unhealthy, "x");
        let healthy = container(State::Running, Health::Healthy, "x");
        assert!(waits(&after(&[(0, ill.clone()), (10, ill.clone()), (39, ill.clone())])));
        assert!(is_ill(&after(&[(0, ill.clone()), (10, ill.clone()), (40, ill.clone())]), "not well"));
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
    fn a_service_needs_a_container() {
        let resolved = Resolved::default();
        let verdict = judge(&mut Watched::new("a"), &resolved, &[], &LIMITS, Duration::ZERO);
        assert!(is_ill(&verdict, "no container"));
    }
}
