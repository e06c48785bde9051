//! Checks that the stack is healthy: every container stays up, passes its health check, and serves
//! its ports.

mod ports;
mod verdict;

use std::time::{Duration, Instant};

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use futures_util::future::join_all;
use jiff::Timestamp;

use self::verdict::{Look, Verdict, judge};
use super::container::{Container, label};
use super::engine::Engine;
use super::failure::words;
use super::resolved::Resolved;
use crate::error::{Error, Result};
use crate::event::{Events, Unit};
use crate::printable::{MOST_OF_A_TEXT, cut};

/// The time between two requests to the engine.
const ROUND: Duration = Duration::from_millis(250);
/// The number of log lines shown of a container.
const LOG_LINES: usize = 20;
/// The time limit for reading a log.
const LOG_TIME: Duration = Duration::from_secs(10);

/// The timeouts from `[verify]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time that a container must stay up.
    pub settle: Duration,
    /// The time until a container must stay up: some end until their database answers.
    pub running: Duration,
    /// The time that a health check may need beyond its start period and its retries, and the time
    /// that it may fail in between.
    pub healthy: Duration,
    /// The time until a published port must be served.
    pub ports: Duration,
}

/// A service that is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell {
    /// The service.
    pub service: String,
    /// The problem.
    pub reason: String,
    /// The end of its log.
    pub log: Vec<String>,
}

/// Returns one error for all unhealthy services; `None` if there are none.
pub fn failure(unwell: &[Unwell]) -> Option<Error> {
    let first = unwell.first()?;
    let names: Vec<&str> = unwell.iter().map(|one| one.service.as_str()).collect();
    let error = Error::new(format!("unhealthy after the start: {}", names.join(", ")));
    let explained = unwell.iter().fold(error, |error, one| {
        let error = error.because(format!("{}: {}", one.service, one.reason));
        one.log
            .iter()
            .fold(error, |error, line| error.because(format!("{} says: {line}", one.service)))
    });
    Some(explained.hint(format!("See `docker compose logs {}`.", first.service)))
}

/// Watches until every wanted service is healthy or one runs out of time. Returns the services that
/// are not healthy by then.
pub async fn check(
    engine: &Engine,
    resolved: &Resolved,
    limits: &Limits,
    events: &Events,
) -> Result<Vec<Unwell>> {
    let began = Instant::now();
    let wanted: Vec<_> = resolved.wanted().collect();
    let total = wanted.len() as u64;
    let mut watched: Vec<verdict::Watched> =
        wanted.iter().map(|(name, _)| verdict::Watched::new(name)).collect();
    let reachable = ports::reachable(engine).await?;
    ports::tell_unchecked(resolved, reachable, events);
    loop {
        // The clock is read first, so that no container appears to have run longer than it has.
        let clock = engine.endpoint().is_local().then(Timestamp::now);
        let containers = engine.containers(&resolved.project).await?;
        let look = Look { at: began.elapsed(), clock };
        let judging = watched.iter_mut().map(async |one| {
            match judge(one, resolved, &containers, limits, look) {
                Verdict::Well if reachable => {
                    ports::judge(one, resolved, &containers, limits, began.elapsed()).await
                }
                verdict => verdict,
            }
        });
        let verdicts = join_all(judging).await;
        let well = verdicts.iter().filter(|verdict| **verdict == Verdict::Well).count() as u64;
        events.progress("services healthy", well, Some(total), Unit::Items);
        if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Ill(_))) || well == total {
            events.finished("services healthy", well, Unit::Items);
            let services = watched.into_iter().map(|one| one.service);
            return Ok(unwell(engine, &containers, services.zip(verdicts)).await);
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// Returns the failed services, and those with time left but a problem so far, with the end of
/// their logs.
async fn unwell(
    engine: &Engine,
    containers: &[Container],
    verdicts: impl Iterator<Item = (String, Verdict)>,
) -> Vec<Unwell> {
    let mut unwell = Vec::new();
    for (service, verdict) in verdicts {
        let reason = match verdict {
            Verdict::Ill(reason) => reason,
            Verdict::Wait(Some(reason)) => format!("so far, {reason}"),
            Verdict::Well | Verdict::Wait(None) => continue,
        };
        let mut log = Vec::new();
        for container in containers.iter().filter(|one| one.service == service) {
            log.extend(engine.last_lines(&container.id).await);
        }
        unwell.push(Unwell { service, reason, log });
    }
    unwell
}

impl Engine {
    /// Returns the last lines of a container's log, or the reason why they are missing.
    pub async fn last_lines(&self, id: &str) -> Vec<String> {
        let tail = LOG_LINES.to_string();
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail).build();
        let mut lines = Vec::new();
        let mut log = self.docker().logs(id, Some(options));
        let deadline = tokio::time::Instant::now() + LOG_TIME;
        loop {
            let entry = match tokio::time::timeout_at(deadline, log.next()).await {
                Ok(Some(entry)) => entry,
                Ok(None) => break,
                Err(_) => {
                    lines.push("(the rest of the log did not arrive in time)".to_owned());
                    break;
                }
            };
            match entry {
                Ok(entry) => {
                    let entry = entry.to_string();
                    let line = |line: &str| cut(line.trim_end().to_owned(), MOST_OF_A_TEXT);
                    lines.extend(entry.lines().map(line));
                }
                Err(error) => {
                    lines.push(format!("(the rest of the log is missing: {})", words(&error)));
                    break;
                }
            }
        }
        lines.split_off(lines.len().saturating_sub(LOG_LINES))
    }
}

/// Returns the wanted services without any container in the project.
pub fn without_container<'a>(resolved: &'a Resolved, containers: &[Container]) -> Vec<&'a str> {
    let has = |name: &str| {
        containers.iter().any(|one| {
            one.service == name && one.labels.get(label::PROJECT) == Some(&resolved.project)
        })
    };
    resolved.wanted().map(|(name, _)| name).filter(|name| !has(name)).collect()
}
