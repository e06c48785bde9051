//! Components from an OCI registry, in the layout that `wkg` and others push: one layer, which is
//! the component.

use oci_client::Reference;
use oci_client::manifest::{
    IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest,
};

use super::distribution::Repository;
use super::{Digest, Intake, Login};
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::https;

/// The media types of a component's layer, today's and older ones.
const LAYERS: [&str; 2] = ["application/wasm", "application/vnd.wasm.content.layer.v1+wasm"];

/// Returns the component behind a reference, and its manifest's digest.
pub(super) async fn pull(
    reference: &str,
    login: Option<Login>,
    task: &str,
    events: &Events,
) -> Result<(Vec<u8>, String)> {
    let wrong = || format!("`{reference}` is not a valid reference");
    let image: Reference = reference.parse().what_with(wrong)?;
    let mut repository = Repository::of(&image, login)?;
    let wanted = image.digest().or(image.tag()).unwrap_or("latest");
    let kinds = format!("{OCI_IMAGE_MEDIA_TYPE}, {IMAGE_MANIFEST_MEDIA_TYPE}");
    let no_manifest = "the registry returned no manifest";
    let manifest = repository.manifest(wanted, &kinds).await.what(no_manifest)?;
    let digest = Digest::of(&manifest).to_string();
    if image.digest().is_some_and(|wanted| wanted != digest) {
        return Err(Error::new(format!("the registry returned {digest} instead")));
    }
    let manifest: OciImageManifest = serde_json::from_slice(&manifest).what(no_manifest)?;
    let layer = layer(&manifest)?;
    // Checked before it becomes part of a URL.
    let wanted: Digest = layer.digest.parse().what(no_manifest)?;
    let mut intake = Intake::new(u64::try_from(layer.size).ok(), task, events)?;
    let asked = repository.blob(&wanted.to_string()).await;
    let mut answer = asked.what("the registry did not return the component")?;
    let broken = |error| Error::new("the download was interrupted").because(https::reason(&error));
    while let Some(piece) = answer.chunk().await.map_err(broken)? {
        intake.add(&piece)?;
    }
    let found = Digest::of(&intake.bytes);
    if found != wanted {
        return Err(Error::new(format!("the registry returned {found} for {wanted}")));
    }
    Ok((intake.bytes, digest))
}

/// Returns the only layer that is a component.
pub(crate) fn layer(manifest: &OciImageManifest) -> Result<&OciDescriptor> {
    let mut found =
        manifest.layers.iter().filter(|layer| LAYERS.contains(&layer.media_type.as_str()));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Error::new("it is not WebAssembly: it has no `application/wasm` layer")
            .hint("Push components with `wkg oci push`.")),
        (Some(_), Some(_)) => Err(Error::new("it has more than one WebAssembly layer")),
    }
}
