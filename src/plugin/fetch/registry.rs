//! A component from an OCI registry, in the layout that `wkg` and others push: one layer, the component as it is.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::TryStreamExt;
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;

use super::{Intake, Login};
use crate::error::{Context, Error, Result};
use crate::event::Events;

/// What the layer with a component is called, today and by older tools.
const LAYERS: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];
const CONNECT: Duration = Duration::from_secs(10);
/// How long a registry may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// The component behind a reference, and the digest of its manifest.
pub(super) async fn pull(
    reference: &str,
    login: Option<Login>,
    task: &str,
    events: &Events,
) -> Result<(Vec<u8>, String)> {
    let wrong = || format!("`{reference}` is no reference to a registry");
    let image: Reference = reference.parse().what_with(wrong)?;
    let client = client(image.resolve_registry())?;
    let auth = login.map_or(RegistryAuth::Anonymous, |(name, password)| RegistryAuth::Basic(name, password));
    let (manifest, digest) = client.pull_image_manifest(&image, &auth).await.what("the registry gave no manifest")?;
    if image.digest().is_some_and(|wanted| wanted != digest) {
        return Err(Error::new(format!("the registry gave {digest} instead")));
    }
    let layer = layer(&manifest)?;
    let size = u64::try_from(layer.size).ok();
    let mut intake = Intake::new(size, task, events)?;
    let mut stream = client.pull_blob_stream(&image, layer).await.what("the registry did not give the component")?;
    while let Some(piece) = stream.try_next().await.what("the registry broke off")? {
        intake.add(&piece)?;
    }
    let found = super::Digest::of(&intake.bytes).to_string();
    if found != layer.digest {
        return Err(Error::new(format!("the registry gave {found} for {}", layer.digest)));
    }
    Ok((intake.bytes, digest))
}

/// The one layer that is a component.
fn layer(manifest: &OciImageManifest) -> Result<&OciDescriptor> {
    let mut found = manifest.layers.iter().filter(|layer| LAYERS.contains(&layer.media_type.as_str()));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Error::new("it is no WebAssembly: no layer of it is `application/wasm`")
            .hint("`wkg oci push` pushes a component as other tools understand it.")),
        (Some(_), Some(_)) => Err(Error::new("it has more than one layer with WebAssembly")),
    }
}

fn client(registry: &str) -> Result<Client> {
    // As Docker has it: a registry on this machine needs no TLS.
    let plain = if is_here(registry) { vec![registry.to_owned()] } else { Vec::new() };
    let config = ClientConfig {
        protocol: ClientProtocol::HttpsExcept(plain),
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        platform_resolver: None,
        ..ClientConfig::default()
    };
    Client::try_from(config).what("could not set up a client")
}

fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
