//! Bringing the new stack up: networks first where they changed, then tags, then compose, then restarts for changed files.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard::query_parameters::RestartContainerOptions;
use futures_util::future::try_join_all;

use super::change::Action;
use super::changes::Changes;
use super::compose::{Compose, ComposeFiles};
use super::container::Container;
use super::engine::Engine;
use super::images::retag;
use super::order::steps;
use super::resolved::Resolved;
use crate::error::Result;
use crate::event::{Events, Unit};

/// How long a container may take to be restarted: its own time to stop is part of it.
const RESTART: Duration = Duration::from_mins(15);

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
    /// What must change.
    pub changes: &'a Changes,
    /// What each reference shall mean, by image id: what was pulled, or on the way back what ran before.
    pub images: &'a [(String, String)],
}

/// Does it. May be done again from the start after a crash at any point.
pub async fn apply(start: &Start<'_>, events: &Events) -> Result<()> {
    let before = start.engine.containers(&start.resolved.project).await?;
    if !start.changes.down.is_empty() {
        events.info(format!("taking the stack down: the definition of {} changed", start.changes.down.join(", ")));
        start.compose.down(start.old).await?;
    }
    for (reference, image_id) in start.images {
        retag(start.engine, reference, image_id).await?;
    }
    events.info("starting the new stack");
    start.compose.up(start.new).await?;
    restart(start, &before, events).await
}

/// Restarts what mounts changed files, unless it was started anew already.
async fn restart(start: &Start<'_>, before: &[Container], events: &Events) -> Result<()> {
    let wanted: BTreeSet<&str> = start.changes.with(Action::Restart).collect();
    let now = start.engine.containers(&start.resolved.project).await?;
    let is_old = |one: &&Container| before.iter().any(|old| old.id == one.id && old.started_at == one.started_at);
    let old: Vec<&Container> = now.iter().filter(|one| wanted.contains(one.service.as_str())).filter(is_old).collect();
    let mut done = 0;
    for step in steps(start.resolved, &old.iter().map(|one| one.service.as_str()).collect()) {
        let members = old.iter().filter(|one| step.contains(&one.service.as_str()));
        try_join_all(members.map(|one| restart_one(start.engine, one))).await?;
        done += step.len() as u64;
        events.progress("restart for changed files", done, Some(wanted.len() as u64), Unit::Items);
    }
    if done > 0 {
        events.finished("restart for changed files", done, Unit::Items);
    }
    Ok(())
}

async fn restart_one(engine: &Engine, container: &Container) -> Result<()> {
    let restarted =
        engine.docker_within(RESTART).restart_container(&container.id, None::<RestartContainerOptions>).await;
    restarted.map_err(|error| engine.failed(&format!("could not restart {}", container.service), &error))
}
