//! Adding a plugin: its bytes, its name and its signature.

#![expect(clippy::disallowed_methods, reason = "the caller named these files")]

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::{SOURCES, Shelf, Wanted};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::plugin::{self, Digest, Examined, Login, Source, fetched_path};
use crate::stack::credentials::Credentials;
use crate::stack::reference::Reference;

/// A component that was read or fetched.
pub(super) struct Brought {
    pub bytes: Cow<'static, [u8]>,
    pub digest: Digest,
    pub manifest: Option<String>,
}

impl Shelf {
    /// The bytes of what is to be added, its source in `cowhand.toml`, and where the bytes are to
    /// be kept.
    pub(super) async fn bring(
        &self,
        name: &str,
        wanted: &Wanted<'_>,
    ) -> Result<(Brought, String, Option<PathBuf>)> {
        let source = Source::of(wanted.source);
        if source.is_remote() {
            let digest = self.demanded(name, wanted)?;
            let login = login(source).await?;
            let pinned = self.pinned(name, wanted, digest);
            let from = pinned.as_deref().unwrap_or(wanted.source);
            let fetched = plugin::fetch(from, digest, login, &self.options.events).await?;
            let place = fetched_path(&self.options.fetched, &fetched.digest);
            let brought = Brought {
                bytes: fetched.bytes.into(),
                digest: fetched.digest,
                manifest: fetched.manifest,
            };
            return Ok((brought, wanted.source.to_owned(), Some(place)));
        }
        let (bytes, digest) = plugin::read_source(wanted.source)
            .map_err(|error| error.exit(Exit::Usage).hint(SOURCES))?;
        plugin::demand(wanted.source, wanted.digest, digest)?;
        let brought = Brought { bytes, digest, manifest: None };
        let Source::File(file) = source else {
            return Ok((brought, wanted.source.to_owned(), None));
        };
        let file = Path::new(file).canonicalize().what_with(|| format!("could not read {file}"))?;
        if let Ok(inside) = file.strip_prefix(self.site.root())
            && let Some(inside) = inside.to_str()
        {
            let reads_as_file = matches!(Source::of(inside), Source::File(_));
            let inside = if reads_as_file { inside.to_owned() } else { format!("./{inside}") };
            return Ok((brought, inside, None));
        }
        let source = format!("plugins/{name}.wasm");
        let place = self.site.path(&source);
        let own = self.specs().iter().any(|spec| spec.name == name && spec.source == source);
        if place.exists() && !own {
            let what =
                format!("{} exists and does not belong to the plugin `{name}`", place.display());
            return Err(Error::new(what)
                .exit(Exit::Usage)
                .hint("Choose another name with `--name`, or remove that file."));
        }
        Ok((brought, source, Some(place)))
    }

    /// The reference by the manifest's digest, where what was approved is wanted: its tag may have
    /// moved since.
    fn pinned(&self, name: &str, wanted: &Wanted<'_>, digest: Option<Digest>) -> Option<String> {
        let Source::Registry(reference) = Source::of(wanted.source) else { return None };
        let before = self.before(name).filter(|before| before.source == wanted.source)?;
        let manifest = before.manifest.filter(|_| digest == Some(before.digest))?;
        Some(format!("oci://{}@{manifest}", without_tag(reference)))
    }

    /// The digest that what is fetched must have. An https address says nothing about what is
    /// behind it, so that it needs one.
    fn demanded(&self, name: &str, wanted: &Wanted<'_>) -> Result<Option<Digest>> {
        let known = || {
            self.before(name)
                .filter(|before| before.source == wanted.source)
                .map(|before| before.digest)
        };
        match (Source::of(wanted.source), wanted.digest.or_else(known)) {
            (Source::Https(address), None) => {
                Err(Error::new(format!("{address} needs a digest")).exit(Exit::Usage).hint(format!(
                    "Run `cowhand plugin add {address} --name {name} --digest sha256:…` with the digest that its publisher names."
                )))
            }
            (Source::Registry(_), _) => Ok(wanted.digest),
            (_, digest) => Ok(digest),
        }
    }
}

/// A name by the end of a source: `acme-certs` by `registry.example.org/acme/acme_certs:1.2`.
pub(super) fn name_of(source: &str) -> Result<String> {
    let path = match Source::of(source) {
        Source::Stock(name) => name,
        Source::Registry(reference) => without_tag(reference),
        Source::Https(address) => address.split(['?', '#']).next().unwrap_or(address),
        Source::File(file) => file,
    };
    let stem = Path::new(path)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
        .replace('_', "-");
    if stem.is_empty() || stem.starts_with('.') {
        return Err(Error::new(format!("could not derive a name from `{source}`"))
            .exit(Exit::Usage)
            .hint("Choose one with `--name`."));
    }
    Ok(stem)
}

/// A reference without its tag and digest.
fn without_tag(reference: &str) -> &str {
    let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
    reference
        .rsplit_once(':')
        .filter(|(_, tag)| !tag.contains('/'))
        .map_or(reference, |(name, _)| name)
}

/// Returns the login for a registry in Docker's configuration.
pub async fn login(source: Source<'_>) -> Result<Option<Login>> {
    let Source::Registry(reference) = source else { return Ok(None) };
    let found = Credentials::default().of(Reference::parse(reference)?.registry()).await?;
    Ok(found.and_then(|found| Some((found.username?, found.password?))))
}

/// The signature that was named, or lies beside the file.
pub(super) fn signature(wanted: &Wanted<'_>, found: &Examined) -> Result<Option<String>> {
    if let Some(file) = wanted.signature {
        return Ok(Some(
            std::fs::read_to_string(file)
                .what_with(|| format!("could not read {}", file.display()))?,
        ));
    }
    Ok(match Source::of(&found.spec.source) {
        Source::File(_) => signature_beside(Path::new(wanted.source)),
        _ => None,
    })
}

pub(super) fn signature_beside(file: &Path) -> Option<String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    std::fs::read_to_string(name).ok()
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_source_gives_a_name() {
        for (source, name) in [
            ("stock:notify", "notify"),
            ("target/wasm32-wasip2/release/by_path.wasm", "by-path"),
            ("https://example.org/v1/acme.wasm?raw=1", "acme"),
            ("registry.example.org/acme/certs:1.2", "certs"),
            ("127.0.0.1:5000/acme/certs@sha256:00", "certs"),
        ] {
            assert_eq!(name_of(source).unwrap(), name, "{source}");
        }
        assert!(name_of("/").is_err());
    }
}
