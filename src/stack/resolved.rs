//! A resolved compose configuration: files merged, variables replaced, paths absolute.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{Context, Result};

/// The output of `docker compose config`, as far as Cowhand needs it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The project's name.
    pub project: String,
    /// The services by name, without those of inactive profiles.
    pub services: BTreeMap<String, Service>,
    /// The networks by their key in the file.
    pub networks: BTreeMap<String, Network>,
    /// The volumes by their key in the file.
    pub volumes: BTreeMap<String, Volume>,
    /// Compose's hash of each service's configuration, which it compares with a container's label.
    pub hashes: BTreeMap<String, String>,
    /// Compose's warnings, for instance about unset variables.
    pub warnings: Vec<String>,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Service {
    /// The image's reference; `None` for services that are only built.
    pub image: Option<String>,
    /// Its build configuration; `None` if it is not built.
    pub build: Option<Value>,
    /// The services that it depends on.
    pub depends_on: BTreeMap<String, Dependency>,
    /// Its mounts.
    #[serde(rename = "volumes")]
    pub mounts: Vec<Mount>,
    /// The keys of its networks.
    #[serde(deserialize_with = "keys")]
    pub networks: Vec<String>,
    /// `host`, `none`, `service:NAME` or `container:NAME`; `None` if it has networks of its own.
    pub network_mode: Option<String>,
    /// Like `network_mode`, for inter-process communication.
    pub ipc: Option<String>,
    /// Like `network_mode`, for processes.
    pub pid: Option<String>,
    /// The services or containers whose mounts it takes over, as `NAME[:MODE]` or
    /// `container:NAME[:MODE]`.
    pub volumes_from: Vec<String>,
    /// The ports it publishes.
    pub ports: Vec<Port>,
    /// Its health check in the file; the image may have another.
    pub healthcheck: Option<Healthcheck>,
    /// The time that it may take to stop.
    #[serde(deserialize_with = "duration")]
    pub stop_grace_period: Option<Duration>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its restart policy.
    pub restart: Option<String>,
    /// The number of containers from `scale`.
    pub scale: Option<u32>,
    /// The number of containers from `deploy`.
    pub deploy: Option<Deploy>,
    /// Its whole configuration.
    #[serde(skip)]
    pub raw: Value,
}

impl Service {
    /// Returns true if it has any containers: a site disables a service by setting none.
    pub fn is_wanted(&self) -> bool {
        self.replicas() > 0
    }

    /// Returns the configured number of containers.
    pub fn replicas(&self) -> usize {
        let deployed = self.deploy.as_ref().and_then(|deploy| deploy.replicas);
        self.scale.or(deployed).map_or(1, |replicas| replicas as usize)
    }

    /// Returns true if only compose can start its containers, because it adds files to them or runs
    /// commands.
    pub fn is_started_by_compose(&self) -> bool {
        ["configs", "secrets", "pre_start", "post_start"]
            .iter()
            .any(|key| self.raw.get(key).is_some())
    }

    /// Returns the services whose namespaces or mounts it shares. It must be recreated with them.
    pub fn shares_with(&self) -> impl Iterator<Item = &str> {
        let modes = [&self.network_mode, &self.ipc, &self.pid];
        let namespaces =
            modes.into_iter().flatten().filter_map(|mode| mode.strip_prefix("service:"));
        let mounts = self.volumes_from.iter().filter(|from| !from.starts_with("container:"));
        namespaces.chain(mounts.map(|from| from.split(':').next().unwrap_or(from)))
    }

    /// Returns the service whose network it shares; `None` if it has its own.
    pub fn network_of(&self) -> Option<&str> {
        self.network_mode.as_deref().and_then(|mode| mode.strip_prefix("service:"))
    }
}

/// A dependency on another service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dependency {
    /// `service_started`, `service_healthy` or `service_completed_successfully`.
    pub condition: String,
    /// True if it restarts when the other service is replaced.
    pub restart: bool,
}

impl Dependency {
    /// Returns true if the other service must be healthy.
    pub fn needs_health(&self) -> bool {
        self.condition == "service_healthy"
    }
}

/// A mount of a service.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, ….
    #[serde(rename = "type")]
    pub kind: String,
    /// The path on the host or the key of the volume; `None` for an anonymous volume.
    pub source: Option<String>,
    /// The path in the container.
    pub target: String,
    /// The options of a bind mount.
    pub bind: Option<Bind>,
}

impl Mount {
    /// Returns the mounted path of the host; `None` for other kinds.
    pub fn host_path(&self) -> Option<PathBuf> {
        if self.kind == "bind" { self.source.as_ref().map(PathBuf::from) } else { None }
    }

    /// Returns the key of the mounted volume; `None` for other kinds.
    pub fn volume(&self) -> Option<&str> {
        if self.kind == "volume" { self.source.as_deref() } else { None }
    }
}

/// The options of a bind mount.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Bind {
    /// True if the engine creates a directory if the path does not exist.
    pub create_host_path: bool,
}

/// A port that a service publishes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Port {
    /// The host's address; `None` for all.
    pub host_ip: Option<String>,
    /// The host's port; `None` if the engine chooses one.
    #[serde(deserialize_with = "number")]
    pub published: Option<u16>,
    /// The container's port.
    pub target: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A service's own health check.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// True if the image's check is disabled.
    pub disable: bool,
    /// The time after the start in which failures do not count.
    #[serde(deserialize_with = "duration")]
    pub start_period: Option<Duration>,
    /// The time between two checks.
    #[serde(deserialize_with = "duration")]
    pub interval: Option<Duration>,
    /// The number of failures in a row that make the container unhealthy.
    pub retries: Option<u32>,
}

/// The part of `deploy` that Cowhand reads.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Deploy {
    /// The number of containers.
    pub replicas: Option<u32>,
}

/// A network of the project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Its name on the engine.
    pub name: String,
    /// True if it is not managed by the project.
    pub external: bool,
    /// Its whole configuration.
    pub raw: Value,
}

/// A volume of the project.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// Its name on the engine.
    pub name: String,
    /// True if it is not managed by the project.
    pub external: bool,
}

#[derive(Deserialize)]
struct File {
    name: String,
    #[serde(default)]
    services: BTreeMap<String, Value>,
    #[serde(default)]
    networks: BTreeMap<String, Value>,
    #[serde(default)]
    volumes: BTreeMap<String, Value>,
}

impl Resolved {
    /// Parses the output of `config --format json` and `config --hash '*'`.
    pub fn parse(json: &str, hashes: &str) -> Result<Self> {
        let what = "could not read the output of `docker compose config`";
        let file: File = serde_json::from_str(json).what(what)?;
        let mut services = BTreeMap::new();
        for (name, raw) in file.services {
            let read = Service::deserialize(&raw)
                .what_with(|| format!("{what} for the service {name}"))?;
            services.insert(name, Service { raw, ..read });
        }
        let network = |raw: Value| Network {
            name: text(&raw, "name"),
            external: is_true(&raw, "external"),
            raw,
        };
        let volume =
            |raw: Value| Volume { name: text(&raw, "name"), external: is_true(&raw, "external") };
        let hash = |line: &str| {
            line.split_once(' ').map(|(name, hash)| (name.to_owned(), hash.trim().to_owned()))
        };
        Ok(Self {
            project: file.name,
            services,
            networks: file.networks.into_iter().map(|(key, raw)| (key, network(raw))).collect(),
            volumes: file.volumes.into_iter().map(|(key, raw)| (key, volume(raw))).collect(),
            hashes: hashes.lines().filter_map(hash).collect(),
            warnings: Vec::new(),
        })
    }

    /// Returns a service's configuration; `None` if it has no containers.
    pub fn wanted_as(&self, service: &str) -> Option<&Service> {
        self.services.get(service).filter(|service| service.is_wanted())
    }

    /// Returns the dependencies of a service.
    pub fn needs_of(&self, service: &str) -> impl Iterator<Item = (&str, &Dependency)> {
        let service = self.services.get(service);
        service
            .into_iter()
            .flat_map(|service| &service.depends_on)
            .map(|(name, on)| (name.as_str(), on))
    }

    /// Returns the services with containers.
    pub fn wanted(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.services
            .iter()
            .filter(|(_, service)| service.is_wanted())
            .map(|(name, service)| (name.as_str(), service))
    }

    /// Returns the image references of the wanted services, each with the services that use it.
    pub fn images(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut images: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, service) in self.wanted() {
            if let Some(image) = &service.image {
                images.entry(image).or_default().push(name);
            }
        }
        images
    }
}

fn text(raw: &Value, key: &str) -> String {
    raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_true(raw: &Value, key: &str) -> bool {
    raw.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

/// Reads a port. Compose writes it as text, other programs as a number.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| number.try_into().ok()),
    }))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.as_deref().and_then(parse_duration))
}

/// Parses a duration as Go writes it: `1m30s`, `500ms`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits =
            rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [
            ("ms", 1e-3),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("ns", 1e-9),
            ("h", 3600.0),
            ("m", 60.0),
            ("s", 1.0),
        ];
        let (unit, factor) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        seconds += amount * factor;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{
        "name": "mail",
        "networks": {"default": {"name": "mail_default", "ipam": {}}, "far": {"name": "far", "external": true}},
        "services": {
            "db": {"command": null, "image": "mariadb:10.11", "networks": {"default": null}, "stop_grace_period": "1m30s",
                "healthcheck": {"test": ["CMD", "x"], "start_period": "6m0s", "interval": "500ms", "retries": 3},
                "ports": [{"mode": "ingress", "host_ip": "127.0.0.1", "target": 3306, "published": "13306", "protocol": "tcp"}],
                "volumes": [{"type": "bind", "source": "/site/my.cnf", "target": "/etc/my.cnf", "bind": {"create_host_path": true}},
                    {"type": "volume", "source": "db-vol", "target": "/var/lib/mysql", "volume": {}},
                    {"type": "volume", "target": "/anonymous", "volume": {}}]},
            "web": {"image": "nginx", "depends_on": {"db": {"condition": "service_healthy", "required": true, "restart": true}},
                "networks": {"default": {"aliases": ["w"]}, "far": null}},
            "side": {"image": "nginx", "network_mode": "service:web", "volumes_from": ["db:ro", "container:x"]},
            "off": {"image": "solr:1", "deploy": {"replicas": 0}}
        },
        "volumes": {"db-vol": {"name": "mail_db-vol"}}
    }"#;

    #[test]
    fn what_compose_says_is_read() {
        let resolved = Resolved::parse(CONFIG, "db 12ab\nweb 34cd\n").unwrap();
        let db = &resolved.services["db"];
        assert_eq!(db.stop_grace_period, Some(Duration::from_secs(90)));
        let check = db.healthcheck.as_ref().unwrap();
        assert_eq!(
            (check.start_period, check.interval),
            (Some(Duration::from_mins(6)), Some(Duration::from_millis(500)))
        );
        assert_eq!(db.ports[0].published, Some(13306));
        assert_eq!(db.mounts[0].host_path(), Some(PathBuf::from("/site/my.cnf")));
        assert_eq!((db.mounts[1].volume(), db.mounts[2].volume()), (Some("db-vol"), None));
        assert!(resolved.services["web"].depends_on["db"].restart);
        assert_eq!(resolved.services["web"].networks, ["default", "far"]);
        assert_eq!(resolved.services["side"].shares_with().collect::<Vec<_>>(), ["web", "db"]);
        assert!(resolved.networks["far"].external && !resolved.networks["default"].external);
        assert_eq!(resolved.volumes["db-vol"].name, "mail_db-vol");
        assert_eq!(resolved.hashes["web"], "34cd");
    }

    #[test]
    fn services_that_are_switched_off_need_no_image() {
        let resolved = Resolved::parse(CONFIG, "").unwrap();
        let images = resolved.images();
        assert_eq!(images["nginx"], ["side", "web"]);
        assert!(!images.contains_key("solr:1"));
    }

    #[test]
    fn durations_are_go_s() {
        let cases =
            [("45s", 45.0), ("1h0m10s", 3610.0), ("1.5s", 1.5), ("250ms", 0.25), ("0s", 0.0)];
        for (text, seconds) in cases {
            assert_eq!(parse_duration(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        assert_eq!(parse_duration("soon"), None);
    }
}
