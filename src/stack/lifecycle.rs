//! What is done with single containers without compose: starting, stopping, renaming and removing them as they are.

use std::time::Duration;

use bollard::query_parameters::{
    RemoveContainerOptions, RenameContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptions,
};

use super::container::Container;
use super::engine::Engine;
use super::failure::not_found;
use crate::error::Result;

/// How long a container may take to stop, at most: its own time for it is part of it.
const STOP: Duration = Duration::from_mins(15);
/// How long the engine may take to start one: its mounts and its network are part of it.
const START: Duration = Duration::from_mins(5);

impl Engine {
    /// Starts a container.
    pub(super) async fn start(&self, container: &Container) -> Result<()> {
        let started = self
            .docker_within(START)
            .start_container(&container.id, None::<StartContainerOptions>)
            .await;
        started
            .map_err(|error| self.failed(&format!("could not start {}", container.service), &error))
    }

    /// Stops a container; it is given its own time for it.
    pub(super) async fn stop(&self, container: &Container) -> Result<()> {
        let stopped = self
            .docker_within(STOP)
            .stop_container(&container.id, None::<StopContainerOptions>)
            .await;
        stopped
            .map_err(|error| self.failed(&format!("could not stop {}", container.service), &error))
    }

    /// Stops a container, which is given its own time for it, and removes it. Its volumes stay.
    pub(super) async fn remove(&self, container: &Container) -> Result<()> {
        let engine = self.docker_within(STOP);
        let mut done = engine.stop_container(&container.id, None::<StopContainerOptions>).await;
        if done.is_ok() {
            done = engine.remove_container(&container.id, None::<RemoveContainerOptions>).await;
        }
        match done {
            Err(error) if !not_found(&error) => {
                Err(self
                    .failed(&format!("could not remove the container {}", container.name), &error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a container another name.
    pub(super) async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let what = format!("could not name the container {id} {name}");
        self.docker()
            .rename_container(id, options)
            .await
            .map_err(|error| self.failed(&what, &error))
    }
}
