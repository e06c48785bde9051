//! Sources of a plugin's bytes: a file, a component in this binary, or a fetched component.

#![expect(
    clippy::disallowed_methods,
    reason = "the file that a person named, judged by its digest"
)]

use std::borrow::Cow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::stock::{STOCK, Stock};
use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;

/// The prefix of stock plugins.
pub const STOCK_PREFIX: &str = "stock:";
/// The prefix of references to a registry, required if they could be files.
const REGISTRY_PREFIX: &str = "oci://";

/// The size limit of a component, in bytes. Python's have 18 MB.
pub(super) const LARGEST: u64 = 256 << 20;

/// A parsed `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A stock plugin.
    Stock(&'a str),
    /// An `https://` URL.
    Https(&'a str),
    /// A reference in a registry, without `oci://`.
    Registry(&'a str),
    /// A file; a relative one is below the site.
    File(&'a str),
}

impl<'a> Source<'a> {
    /// Parses a source. A reference names its registry, as in `registry.example.org/…`, and does
    /// not end with `.wasm`.
    pub fn of(source: &'a str) -> Self {
        if let Some(name) = source.strip_prefix(STOCK_PREFIX) {
            return Self::Stock(name);
        }
        if source.starts_with("https://") {
            return Self::Https(source);
        }
        if let Some(reference) = source.strip_prefix(REGISTRY_PREFIX) {
            return Self::Registry(reference);
        }
        let host = source.split_once('/').map_or("", |(host, _)| host);
        let names_a_host =
            !host.starts_with('.') && host.contains(['.', ':']) || host == "localhost";
        let is_file = Path::new(source)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("wasm"));
        if names_a_host && !is_file { Self::Registry(source) } else { Self::File(source) }
    }

    /// Returns true if it must be fetched.
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Https(_) | Self::Registry(_))
    }
}

/// Returns the bytes of a source and their digest. A remote source must have been fetched as
/// `pinned`.
pub(super) fn read(
    source: &str,
    site: &Path,
    fetched: &Path,
    pinned: Option<&Digest>,
) -> Result<(Cow<'static, [u8]>, Digest)> {
    match Source::of(source) {
        Source::Stock(name) => {
            stock(name).map(|stock| (stock.bytes.into(), Digest::known(stock.sha256)))
        }
        Source::File(file) if file.contains("://") => {
            Err(Error::new(format!("`{file}` is not a supported source"))
                .hint("Use a file, an https:// URL, or a reference in a registry."))
        }
        Source::File(file) => read_file(&site.join(file)),
        Source::Https(_) | Source::Registry(_) => {
            let missing = |what: &str| Error::new(what).exit(Exit::Refused);
            let pinned = pinned.ok_or_else(|| missing("it is not fetched yet"))?;
            let path = fetched_path(fetched, pinned);
            if !path.exists() {
                return Err(missing("the fetched component is missing"));
            }
            let (bytes, digest) = read_file(&path)?;
            if digest != *pinned {
                return Err(missing(&format!(
                    "{} is damaged: its digest is {digest}",
                    path.display()
                )));
            }
            Ok((bytes, digest))
        }
    }
}

/// Returns the bytes of a local source, a file or a stock plugin.
pub fn read_source(source: &str) -> Result<(Cow<'static, [u8]>, Digest)> {
    read(source, Path::new("."), Path::new("/nonexistent"), None)
}

/// Refuses a component with a digest other than the expected one.
pub fn demand(source: &str, wanted: Option<Digest>, found: Digest) -> Result<()> {
    match wanted {
        Some(wanted) if wanted != found => {
            let error =
                Error::new(format!("{source} has an unexpected digest")).exit(Exit::Refused);
            Err(error.because(format!("it is {found}, not {wanted}")))
        }
        _ => Ok(()),
    }
}

/// Returns the path of the fetched bytes with this digest.
pub fn fetched_path(fetched: &Path, digest: &Digest) -> PathBuf {
    fetched.join(format!("{}.wasm", digest.to_string().replace(':', "-")))
}

pub(super) fn read_file(path: &Path) -> Result<(Cow<'static, [u8]>, Digest)> {
    let doing = || format!("could not read {}", path.display());
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(nonblock).open(path);
    let file = opened.what_with(doing)?;
    let found = file.metadata().what_with(doing)?;
    if !found.is_file() {
        return Err(Error::new(doing()).because("it is not a file"));
    }
    if found.len() > LARGEST {
        return Err(too_large(&path.display().to_string()));
    }
    let bytes = crate::dir::read_at_most(file, LARGEST).what_with(doing)?;
    let digest = Digest::of(&bytes);
    Ok((bytes.into(), digest))
}

pub(super) fn too_large(what: &str) -> Error {
    Error::new(format!("{what} is larger than the limit of {}", bytesize::ByteSize::b(LARGEST)))
}

fn stock(name: &str) -> Result<&'static Stock> {
    STOCK.iter().find(|stock| stock.name == name).ok_or_else(|| {
        let names: Vec<&str> = STOCK.iter().map(|stock| stock.name).collect();
        let error = Error::new(format!("unknown stock plugin `{name}`"));
        match crate::nearest::nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("Did you mean `{STOCK_PREFIX}{near}`?")),
            None => error.hint(format!("The stock plugins are {}.", names.join(", "))),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        for (source, expected) in [
            ("stock:notify", Source::Stock("notify")),
            ("https://example.org/x.wasm", Source::Https("https://example.org/x.wasm")),
            ("oci://plugins/x:1", Source::Registry("plugins/x:1")),
            (
                "registry.example.org/acme/x:1.2",
                Source::Registry("registry.example.org/acme/x:1.2"),
            ),
            ("127.0.0.1:5000/x", Source::Registry("127.0.0.1:5000/x")),
            ("localhost/x@sha256:00", Source::Registry("localhost/x@sha256:00")),
            ("plugins/x.wasm", Source::File("plugins/x.wasm")),
            ("plugins.d/x.wasm", Source::File("plugins.d/x.wasm")),
            ("./plugins/x", Source::File("./plugins/x")),
            ("../x", Source::File("../x")),
            ("/srv/a.b/x", Source::File("/srv/a.b/x")),
            ("x.wasm", Source::File("x.wasm")),
            ("http://example.org/x.wasm", Source::File("http://example.org/x.wasm")),
        ] {
            assert_eq!(Source::of(source), expected, "{source}");
        }
    }
}
