//! The project's containers as the engine has them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthConfig,
    HealthStatusEnum, MountPoint, NetworkSettings,
};
use bollard::query_parameters::ListContainersOptionsBuilder;
use futures_util::future::try_join_all;

use super::engine::Engine;
use crate::error::Result;

/// The labels that compose puts on what it makes.
pub mod label {
    /// The project's name.
    pub const PROJECT: &str = "com.docker.compose.project";
    /// The service's name.
    pub const SERVICE: &str = "com.docker.compose.service";
    /// `True` on containers of `compose run`.
    pub const ONE_OFF: &str = "com.docker.compose.oneoff";
    /// The hash of the service's configuration when the container was created.
    pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    /// The container that this one was created to replace.
    pub const REPLACE: &str = "com.docker.compose.replace";
    /// The directory that compose ran in; not set by compose before 1.25.
    pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    /// The version of compose that created it.
    pub const VERSION: &str = "com.docker.compose.version";
}

/// One container of a service of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// The image reference that it was created from, as written.
    pub image: String,
    /// The id of the image it runs.
    pub image_id: String,
    /// Its state.
    pub state: State,
    /// The result of its health check.
    pub health: Health,
    /// The parameters of its health check; `None` if it has none.
    pub check: Option<Check>,
    /// Its last exit code; 0 if it never ended.
    pub exit_code: i64,
    /// The number of restarts by the engine.
    pub restarts: i64,
    /// The time of its last start as the engine writes it, to be compared for equality.
    pub started_at: String,
    /// Its labels, compose's among them.
    pub labels: BTreeMap<String, String>,
    /// The mounts of volumes and host paths.
    pub mounts: Vec<ContainerMount>,
    /// Its networks by the engine's names, with its addresses there.
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    /// Its published ports.
    pub ports: Vec<PublishedPort>,
    /// The container whose network it shares, if any.
    pub network_of: Option<String>,
}

/// The state of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Created and never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Ended, and about to be started again by the engine.
    Restarting,
    /// Ended, or going away.
    #[default]
    Ended,
}

/// The result of a container's health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It has no health check.
    #[default]
    None,
    /// Not known yet.
    Starting,
    /// The check passes.
    Healthy,
    /// The check fails.
    Unhealthy,
}

/// The parameters of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The time after the start in which failures do not count.
    pub start_period: Duration,
    /// The time between two checks.
    pub interval: Duration,
    /// The number of failures in a row that make the container unhealthy.
    pub retries: u32,
}

impl Check {
    /// Returns the longest time until a healthy container is reported healthy.
    pub fn patience(&self) -> Duration {
        self.start_period + self.interval * (self.retries + 1)
    }
}

impl Default for Check {
    /// Returns the engine's defaults.
    fn default() -> Self {
        Self { start_period: Duration::ZERO, interval: Duration::from_secs(30), retries: 3 }
    }
}

/// A mount of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMount {
    /// The volume's name; `None` for a path of the host.
    pub volume: Option<String>,
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub target: String,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    /// The host's address; empty or `0.0.0.0` for all.
    pub host_ip: String,
    /// The host's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl Engine {
    /// Returns the containers of a project's services, running or not, sorted by service and name,
    /// without those of `compose run`.
    pub async fn containers(&self, project: &str) -> Result<Vec<Container>> {
        self.containers_of(project, |_| true).await
    }

    /// Returns the containers of some services. Only these are inspected.
    pub(super) async fn containers_of(
        &self,
        project: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<Container>> {
        let of_a_service = |labels: &HashMap<String, String>| {
            labels.get(label::SERVICE).is_some_and(|service| !service.is_empty() && wanted(service))
                && labels.get(label::ONE_OFF).is_none_or(|off| off != "True")
        };
        self.containers_that(Some(of(project)), of_a_service).await
    }

    /// Returns the names of the volumes that containers of the project mount, running or not,
    /// including those of `compose run`.
    pub async fn mounted_volumes(&self, project: &str) -> Result<BTreeSet<String>> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&of(project));
        let options = options.build();
        let listed = self
            .ask("could not list the containers", async || {
                self.docker().list_containers(Some(options.clone())).await
            })
            .await?;
        let mounts = listed.into_iter().flat_map(|summary| summary.mounts.unwrap_or_default());
        Ok(mounts.filter_map(|found| mount(found).volume).collect())
    }

    /// Returns all containers of the engine.
    pub async fn all_containers(&self) -> Result<Vec<Container>> {
        self.containers_that(None, |_| true).await
    }

    async fn containers_that(
        &self,
        filter: Option<HashMap<String, Vec<String>>>,
        wanted: impl Fn(&HashMap<String, String>) -> bool,
    ) -> Result<Vec<Container>> {
        let options = ListContainersOptionsBuilder::default().all(true);
        let options = filter.iter().fold(options, ListContainersOptionsBuilder::filters).build();
        let listed = self
            .ask("could not list the containers", async || {
                self.docker().list_containers(Some(options.clone())).await
            })
            .await?;
        let listed = listed
            .into_iter()
            .filter(|summary| wanted(summary.labels.as_ref().unwrap_or(&HashMap::new())));
        let ids = listed.filter_map(|summary| summary.id);
        let found = try_join_all(ids.map(async |id| self.container(&id).await)).await?;
        let mut containers: Vec<Container> = found.into_iter().flatten().collect();
        containers.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
        Ok(containers)
    }

    /// Returns a container by id or name; `None` if it does not exist, for instance because it was
    /// just replaced.
    pub async fn container(&self, id: &str) -> Result<Option<Container>> {
        let what = format!("could not inspect the container {id}");
        let found =
            self.find(&what, async || self.docker().inspect_container(id, None).await).await?;
        Ok(found.map(read))
    }
}

/// Returns the filter for the project's containers.
fn of(project: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{}={project}", label::PROJECT)])])
}

fn read(found: ContainerInspectResponse) -> Container {
    let config = found.config.unwrap_or_default();
    let labels: BTreeMap<String, String> = config.labels.unwrap_or_default().into_iter().collect();
    let state = found.state.unwrap_or_default();
    let settings = found.network_settings.unwrap_or_default();
    let mode = found.host_config.and_then(|host| host.network_mode).unwrap_or_default();
    Container {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        service: labels.get(label::SERVICE).cloned().unwrap_or_default(),
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        health: health(&state),
        check: config.healthcheck.map(|found| check(&found)),
        exit_code: state.exit_code.unwrap_or_default(),
        restarts: found.restart_count.unwrap_or_default(),
        started_at: state.started_at.clone().unwrap_or_default(),
        state: doing(&state),
        labels,
        mounts: found.mounts.unwrap_or_default().into_iter().map(mount).collect(),
        ports: ports(&settings),
        networks: networks(settings),
        network_of: mode.strip_prefix("container:").map(str::to_owned),
    }
}

fn doing(state: &ContainerState) -> State {
    match state.status {
        Some(ContainerStateStatusEnum::RUNNING) => State::Running,
        Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => State::Restarting,
        Some(ContainerStateStatusEnum::CREATED) => State::Created,
        _ => State::Ended,
    }
}

fn health(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::None,
    }
}

/// The engine writes nanoseconds, and 0 for its own choice.
fn check(found: &HealthConfig) -> Check {
    let usual = Check::default();
    let time = |nanoseconds: Option<i64>| {
        nanoseconds.and_then(|time| u64::try_from(time).ok()).filter(|time| *time > 0)
    };
    let retries = found
        .retries
        .and_then(|retries| u32::try_from(retries).ok())
        .filter(|retries| *retries > 0);
    Check {
        start_period: time(found.start_period).map_or(usual.start_period, Duration::from_nanos),
        interval: time(found.interval).map_or(usual.interval, Duration::from_nanos),
        retries: retries.unwrap_or(usual.retries),
    }
}

fn mount(found: MountPoint) -> ContainerMount {
    ContainerMount {
        volume: found.name.filter(|name| !name.is_empty()),
        source: found.source.unwrap_or_default(),
        target: found.destination.unwrap_or_default(),
    }
}

fn networks(settings: NetworkSettings) -> BTreeMap<String, Vec<IpAddr>> {
    let of = |endpoint: bollard::models::EndpointSettings| {
        let addresses = [endpoint.ip_address, endpoint.global_ipv6_address];
        addresses.into_iter().flatten().filter_map(|address| address.parse().ok()).collect()
    };
    settings
        .networks
        .unwrap_or_default()
        .into_iter()
        .map(|(name, endpoint)| (name, of(endpoint)))
        .collect()
}

fn ports(settings: &NetworkSettings) -> Vec<PublishedPort> {
    let mut ports = Vec::new();
    for (inside, bindings) in settings.ports.iter().flatten() {
        let (port, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
        for binding in bindings.iter().flatten() {
            let host_port = binding.host_port.as_deref().unwrap_or_default().parse();
            if let (Ok(host_port), Ok(container_port)) = (host_port, port.parse()) {
                let host_ip = binding.host_ip.clone().unwrap_or_default();
                ports.push(PublishedPort {
                    host_ip,
                    host_port,
                    container_port,
                    protocol: protocol.to_owned(),
                });
            }
        }
    }
    ports.sort();
    ports
}
