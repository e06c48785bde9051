//! Starts, stops, renames and removes single containers without compose.

use std::time::Duration;

use bollard::query_parameters::{
    RemoveContainerOptions, RenameContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptions,
};

use super::container::Container;
use super::engine::Engine;
use super::failure::not_found;
use crate::error::Result;

/// The time limit for stopping a container, including its own grace period.
const STOP: Duration = Duration::from_mins(15);
/// The time limit for starting a container, including its mounts and its network.
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

    /// Stops a container within its own grace period.
    pub(super) async fn stop(&self, container: &Container) -> Result<()> {
        let stopped = self
            .docker_within(STOP)
            .stop_container(&container.id, None::<StopContainerOptions>)
            .await;
        stopped
            .map_err(|error| self.failed(&format!("could not stop {}", container.service), &error))
    }

    /// Stops a container within its own grace period and removes it. Its volumes stay.
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

    /// Renames a container.
    pub(super) async fn rename(&self, id: &str, name: &str) -> Result<()> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let what = format!("could not rename the container {id} to {name}");
        self.docker()
            .rename_container(id, options)
            .await
            .map_err(|error| self.failed(&what, &error))
    }
}
