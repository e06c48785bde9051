//! Makes images and pushes them straight into a registry: `FROM scratch`, one static program, and
//! whatever labels, ports, health check and weight are wanted. No engine is asked.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::wait;
use crate::error::{Context, Result};

/// The static program in every image; `service.rs` describes its settings.
pub const SERVICE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/service"));

/// The label that every image bears; its value is the prefix of the fixture, so that clean-up finds
/// what is whose.
pub const LABEL: &str = "org.cowhand.fixture";

/// The thread that uploads a shared layer.
static TURN: Mutex<()> = Mutex::const_new(());

/// The properties of an image. Images with different properties have different ids.
#[derive(Clone, Debug, Default)]
pub struct Image {
    environment: Vec<(String, String)>,
    labels: BTreeMap<String, String>,
    ports: Vec<u16>,
    healthcheck: bool,
    commands: Vec<String>,
    weight: usize,
}

impl Image {
    /// An image whose service does nothing but run until it is stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a variable for the service, such as `START_DELAY`; the last value counts.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Listens on `port` and greets with `greeting`; `http` answers requests instead.
    pub fn listens(mut self, port: u16, greeting: &str) -> Self {
        self.ports.push(port);
        let listen = self.environment.iter_mut().find(|(name, _)| name == "LISTEN");
        match listen {
            Some((_, value)) => *value = format!("{value};{port}={greeting}"),
            None => self.environment.push(("LISTEN".to_owned(), format!("{port}={greeting}"))),
        }
        self
    }

    /// Adds a `HEALTHCHECK`: healthy once it listens, unless set to be unhealthy.
    pub fn healthcheck(mut self) -> Self {
        self.healthcheck = true;
        self
    }

    /// Has its program under another name too, as a command to run in the container.
    pub fn command(mut self, name: &str) -> Self {
        self.commands.push(name.to_owned());
        self
    }

    /// Has a layer of this many bytes that do not compress, for a pull that takes time.
    pub fn weight(mut self, bytes: usize) -> Self {
        self.weight = bytes;
        self
    }

    fn config(&self, prefix: &str, name: &str, tag: &str, diffs: &[String]) -> Value {
        let environment: Vec<String> =
            self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let ports: BTreeMap<String, Value> =
            self.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
        let mut labels = self.labels.clone();
        labels.insert(LABEL.to_owned(), prefix.to_owned());
        labels.insert("org.opencontainers.image.title".to_owned(), name.to_owned());
        labels.insert("org.opencontainers.image.version".to_owned(), tag.to_owned());
        let mut config = json!({"Env": environment, "Entrypoint": ["/service"], "Labels": labels, "ExposedPorts": ports});
        if self.healthcheck {
            config["Healthcheck"] = healthcheck();
        }
        json!({
            "architecture": architecture(), "os": "linux", "created": "2026-01-01T00:00:00Z",
            "config": config, "rootfs": {"type": "layers", "diff_ids": diffs},
        })
    }
}

/// Frequent at the beginning, so that tests wait briefly; times in nanoseconds.
fn healthcheck() -> Value {
    json!({"Test": ["CMD", "/service", "health"], "Interval": 500_000_000, "Timeout": 5_000_000_000_u64, "Retries": 3})
}

/// Pushes images to one registry, all below one prefix.
pub struct Images {
    client: Client,
    registry: String,
    prefix: String,
    /// True if references name the registry.
    named: bool,
}

impl Images {
    /// For the registry at `HOST:PORT`, spoken to over http; `prefix` is the first part of every
    /// image's name.
    pub fn new(registry: &str, prefix: &str) -> Self {
        crate::https::provide();
        let settings = ClientConfig {
            protocol: ClientProtocol::Http,
            use_monolithic_push: true,
            ..ClientConfig::default()
        };
        Self {
            client: Client::new(settings),
            registry: registry.to_owned(),
            prefix: prefix.to_owned(),
            named: true,
        }
    }

    /// The same for a mirror of the registry that Docker means where none is named: references name
    /// none.
    pub fn unnamed(self) -> Self {
        Self { named: false, ..self }
    }

    /// The first part of every image's name.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the prefix of an image's name in a reference.
    pub fn base(&self) -> String {
        if self.named { format!("{}/{}", self.registry, self.prefix) } else { self.prefix.clone() }
    }

    /// The reference of an image, as a compose file has it.
    pub fn reference(&self, name: &str, tag: &str) -> String {
        format!("{}/{name}:{tag}", self.base())
    }

    /// Pushes `image` as `name:tag`, whatever was there before, and gives the digest of its
    /// manifest.
    pub fn push(&self, name: &str, tag: &str, image: &Image) -> Result<String> {
        let reference = format!("{}/{}/{name}:{tag}", self.registry, self.prefix);
        let mut layers = vec![program()?];
        if !image.commands.is_empty() {
            layers.push(links(&image.commands)?);
        }
        if image.weight > 0 {
            layers.push(archive("weight", &noise(&reference, image.weight), 0o644)?);
        }
        let diffs: Vec<String> = layers.iter().map(ImageLayer::sha256_digest).collect();
        let config = image.config(&self.prefix, name, tag, &diffs).to_string();
        let config = Config::new(config, IMAGE_CONFIG_MEDIA_TYPE.to_owned(), None);
        wait(self.send(&reference, &layers, &diffs, config))
            .what_with(|| format!("could not push {reference}"))
    }

    async fn send(
        &self,
        reference: &str,
        layers: &[ImageLayer],
        digests: &[String],
        config: Config,
    ) -> Result<String> {
        let (client, target) = (&self.client, parse(reference)?);
        for (layer, digest) in layers.iter().zip(digests) {
            self.send_layer(&target, layer, digest).await?;
        }
        let manifest = OciImageManifest::build(layers, &config, None);
        let failed = "the registry refused it";
        client.push_blob(&target, config.data, &manifest.config.digest).await.what(failed)?;
        client.push_manifest(&target, &manifest.into()).await.what(failed)?;
        client.fetch_manifest_digest(&target, &RegistryAuth::Anonymous).await.what(failed)
    }

    /// Sends a layer once a registry, to a repository of its own, and lets the others share it.
    async fn send_layer(&self, target: &Reference, layer: &ImageLayer, digest: &str) -> Result<()> {
        let failed = "the registry refused a layer";
        let shared = parse(&format!("{}/layers:none", self.registry))?;
        // A registry that is asked for a blob while it takes it answers with 500.
        let turn = TURN.lock().await;
        if !self.client.blob_exists(&shared, digest).await.what(failed)? {
            self.client.push_blob(&shared, layer.data.clone(), digest).await.what(failed)?;
        }
        drop(turn);
        // A registry may decline to mount what another upload is just completing.
        match self.client.mount_blob(target, &shared, digest).await {
            Ok(()) => Ok(()),
            Err(_) => self
                .client
                .push_blob(target, layer.data.clone(), digest)
                .await
                .what(failed)
                .map(drop),
        }
    }
}

fn parse(reference: &str) -> Result<Reference> {
    reference.parse().what_with(|| format!("{reference} is no reference to an image"))
}

/// The layer with the program, the same in all images.
fn program() -> Result<ImageLayer> {
    static LAYER: OnceLock<ImageLayer> = OnceLock::new();
    if let Some(layer) = LAYER.get() {
        return Ok(layer.clone());
    }
    let layer = archive("service", SERVICE, 0o755)?;
    Ok(LAYER.get_or_init(|| layer).clone())
}

/// A tar archive that holds one file.
fn archive(name: &str, content: &[u8], mode: u32) -> Result<ImageLayer> {
    let doing = || format!("could not make the layer with {name}");
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    let mut archive = tar::Builder::new(Vec::with_capacity(content.len() + 4096));
    archive.append_data(&mut header, name, content).what_with(doing)?;
    let data = archive.into_inner().what_with(doing)?;
    Ok(ImageLayer::new(data, IMAGE_LAYER_MEDIA_TYPE.to_owned(), None))
}

/// A tar archive with links to the program below `usr/bin`.
fn links(names: &[String]) -> Result<ImageLayer> {
    let doing = "could not make the layer with the commands";
    let mut archive = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        header.set_mode(0o777);
        archive.append_link(&mut header, format!("usr/bin/{name}"), "/service").what(doing)?;
    }
    Ok(ImageLayer::new(archive.into_inner().what(doing)?, IMAGE_LAYER_MEDIA_TYPE.to_owned(), None))
}

/// Bytes that do not compress and are always the same for the same seed.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    for block in 0_u64.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend(Sha256::new().chain_update(seed).chain_update(block.to_le_bytes()).finalize());
    }
    bytes.truncate(length);
    bytes
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::registry::Registry;

    #[test]
    fn an_image_arrives_in_the_registry() {
        let registry = Registry::start().unwrap();
        let images = Images::new(registry.address(), "unit");
        let first =
            images.push("redis", "7", &Image::new().listens(6379, "hello").healthcheck()).unwrap();
        let same =
            images.push("redis", "7", &Image::new().listens(6379, "hello").healthcheck()).unwrap();
        let heavier = images
            .push("redis", "7", &Image::new().listens(6379, "hello").weight(100_000))
            .unwrap();
        assert!(first.starts_with("sha256:"));
        assert_eq!(first, same);
        assert_ne!(first, heavier);
    }
}
