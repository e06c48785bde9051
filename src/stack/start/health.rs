//! Waits for the dependencies of a service to be healthy. The service keeps running meanwhile.

use std::time::{Duration, Instant};

use super::Start;
use crate::error::{Error, Result};
use crate::stack::container::{Container, Health, State};
use crate::stack::resolved::Resolved;
use crate::stack::verify::{Unwell, failure};

/// The time between two requests to the engine.
const ROUND: Duration = Duration::from_millis(250);

/// Waits until every dependency that the service requires healthy is healthy.
pub(super) async fn wait(start: &Start<'_>, service: &str) -> Result<()> {
    let since = Instant::now();
    loop {
        let containers = needed(start, service).await?;
        let waits_for: Vec<&Container> =
            not_healthy(start.resolved, service, &containers).collect();
        let Some(late) =
            waits_for.iter().find(|one| since.elapsed() > patience(one, start.healthy))
        else {
            if waits_for.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(ROUND).await;
            continue;
        };
        let reason = format!("{service} needs it to be healthy, but it is not");
        let log = start.engine.last_lines(&late.id).await;
        let unwell = failure(&[Unwell { service: late.service.clone(), reason, log }]);
        return Err(
            unwell.unwrap_or_else(|| Error::new(format!("{} is not healthy", late.service)))
        );
    }
}

/// Returns true if all dependencies are met, so that compose need not start or await any of them.
pub(super) async fn is_met(start: &Start<'_>, service: &str) -> Result<bool> {
    Ok(meets(start.resolved, service, &needed(start, service).await?))
}

/// Returns the containers of the service's dependencies.
async fn needed(start: &Start<'_>, service: &str) -> Result<Vec<Container>> {
    let needed = |name: &str| start.resolved.needs_of(service).any(|(other, _)| other == name);
    start.engine.containers_of(&start.resolved.project, needed).await
}

/// Returns the running containers whose health the service waits for. Containers that do not run or
/// have no health check are left to compose.
pub(in crate::stack) fn not_healthy<'a>(
    resolved: &'a Resolved,
    service: &str,
    containers: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    let awaited = resolved.needs_of(service).filter(|(_, on)| on.needs_health());
    awaited.flat_map(|(name, _)| containers.iter().filter(move |one| one.service == name)).filter(
        |one| {
            one.state == State::Running
                && matches!(one.health, Health::Starting | Health::Unhealthy)
        },
    )
}

/// Returns true if these containers meet all dependencies of the service.
fn meets(resolved: &Resolved, service: &str, containers: &[Container]) -> bool {
    resolved.needs_of(service).all(|(name, on)| {
        let mut its = containers.iter().filter(|one| one.service == name).peekable();
        let well = |one: &Container| {
            one.state == State::Running
                && match on.condition.as_str() {
                    "service_started" => true,
                    "service_healthy" => one.health == Health::Healthy,
                    _ => false,
                }
        };
        its.peek().is_some() && its.all(well)
    })
}

/// Returns the time that its own health check allows, plus the site's limit.
fn patience(container: &Container, more: Duration) -> Duration {
    container.check.unwrap_or_default().patience() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_is_left_what_it_has_to_start_or_to_wait_for() {
        let met = |condition: &str, containers: &[(State, Health)]| {
            let config = serde_json::json!({"name": "p", "services": {
                "dns": {"image": "i"}, "mail": {"image": "i", "depends_on": {"dns": {"condition": condition}}},
            }});
            let resolved = Resolved::parse(&config.to_string(), "").unwrap();
            let container = |&(state, health)| Container {
                service: "dns".to_owned(),
                state,
                health,
                ..Container::default()
            };
            meets(&resolved, "mail", &containers.iter().map(container).collect::<Vec<_>>())
        };
        let (up, ended) = ((State::Running, Health::None), (State::Ended, Health::None));
        assert!(
            met("service_started", &[up])
                && met("service_healthy", &[(State::Running, Health::Healthy)])
        );
        assert!(!met("service_started", &[]) && !met("service_started", &[up, ended]));
        assert!(!met("service_healthy", &[up]), "compose complains of a check that is missing");
        assert!(!met("service_completed_successfully", &[ended]));
    }
}
