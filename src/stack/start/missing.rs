//! Finds parts of the new stack that do not exist yet: services that are replaced in parallel must
//! not each create the same network.

use std::collections::BTreeSet;

use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions};

use super::Start;
use crate::error::Result;
use crate::stack::container::Container;
use crate::stack::verify::without_container;

/// Returns true if a container, a network or a volume is missing.
pub(super) async fn any(start: &Start<'_>, containers: &[Container]) -> Result<bool> {
    let (resolved, engine) = (start.resolved, start.engine);
    if !without_container(resolved, containers).is_empty() {
        return Ok(true);
    }
    let list = async || engine.docker().list_networks(None::<ListNetworksOptions>).await;
    let networks = engine.ask("could not list the networks", list).await?;
    let list = async || engine.docker().list_volumes(None::<ListVolumesOptions>).await;
    let volumes = engine.ask("could not list the volumes", list).await?;
    let networks: BTreeSet<String> =
        networks.into_iter().filter_map(|network| network.name).collect();
    let volumes: BTreeSet<String> =
        volumes.volumes.into_iter().flatten().map(|volume| volume.name).collect();
    let made = resolved.networks.values().all(|network| networks.contains(&network.name))
        && resolved.volumes.values().all(|volume| volumes.contains(&volume.name));
    Ok(!made)
}
