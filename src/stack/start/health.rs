//! Waiting for what a service needs to be healthy, before the service is touched: it goes on running meanwhile.

use std::time::{Duration, Instant};

use super::Start;
use crate::error::{Error, Result};
use crate::stack::container::{Container, Health, State};
use crate::stack::resolved::Resolved;
use crate::stack::verify::{Unwell, failure};

/// How often the engine is asked.
const ROUND: Duration = Duration::from_millis(250);

/// Returns when all is healthy that the service wants to be.
pub(super) async fn wait(start: &Start<'_>, service: &str) -> Result<()> {
    let since = Instant::now();
    loop {
        let containers = start.engine.containers(&start.resolved.project).await?;
        let waits_for: Vec<&Container> = not_healthy(start.resolved, service, &containers).collect();
        let Some(late) = waits_for.iter().find(|one| since.elapsed() > patience(one, start.healthy)) else {
            if waits_for.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(ROUND).await;
            continue;
        };
        let reason = format!("{service} needs it to be healthy, and it is not");
        let log = start.engine.last_lines(&late.id).await;
        let unwell = failure(&[Unwell { service: late.service.clone(), reason, log }]);
        return Err(unwell.unwrap_or_else(|| Error::new(format!("{} is not healthy", late.service))));
    }
}

/// The containers whose health the service waits for. Those that are not running, or have no check, are for compose to start and to judge.
pub(in crate::stack) fn not_healthy<'a>(
    resolved: &'a Resolved,
    service: &str,
    containers: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    let depends_on = resolved.services.get(service).map(|service| &service.depends_on);
    let awaited = depends_on.into_iter().flatten().filter(|(_, on)| on.condition == "service_healthy");
    awaited
        .flat_map(|(name, _)| containers.iter().filter(move |one| one.service == *name))
        .filter(|one| one.state == State::Running && matches!(one.health, Health::Starting | Health::Unhealthy))
}

/// What its own check allows it, and what the site's limits add.
fn patience(container: &Container, more: Duration) -> Duration {
    container.check.unwrap_or_default().patience() + more
}
