//! Fetching a plugin when it is added or updated, never in a run.

mod distribution;
mod https;
pub(crate) mod registry;

use super::source::{self, Source, demand};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::event::{Events, Unit};
use crate::exit::Exit;

/// A name and a password for a registry.
pub type Login = (String, String);

/// A fetched component.
pub struct Fetched {
    /// The component.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The digest of the manifest, if it came from a registry.
    pub manifest: Option<String>,
}

/// Fetches a remote source. A given `digest` must match.
pub async fn fetch(
    source: &str,
    digest: Option<Digest>,
    login: Option<Login>,
    events: &Events,
) -> Result<Fetched> {
    crate::https::provide();
    let task = format!("fetch {source}");
    let doing = |error: Error| {
        let what = Error::new(format!("could not fetch {source}")).because(error.summary());
        error
            .hints()
            .iter()
            .fold(what, Error::hint)
            .exit(error.exit_code().unwrap_or(Exit::Prepare))
    };
    let (bytes, manifest) = match Source::of(source) {
        Source::Https(address) => (https::get(address, &task, events).await.map_err(doing)?, None),
        Source::Registry(reference) => {
            let (bytes, manifest) =
                registry::pull(reference, login, &task, events).await.map_err(doing)?;
            (bytes, Some(manifest))
        }
        Source::Stock(_) | Source::File(_) => {
            return Err(Error::new(format!("{source} is not a remote source")));
        }
    };
    events.finished(&task, bytes.len() as u64, Unit::Bytes);
    let found = Digest::of(&bytes);
    demand(source, digest, found)?;
    Ok(Fetched { bytes, digest: found, manifest })
}

/// Collects data up to the limit.
struct Intake<'a> {
    bytes: Vec<u8>,
    total: Option<u64>,
    task: &'a str,
    events: &'a Events,
}

impl<'a> Intake<'a> {
    fn new(total: Option<u64>, task: &'a str, events: &'a Events) -> Result<Self> {
        if total.is_some_and(|total| total > source::LARGEST) {
            return Err(source::too_large("it"));
        }
        Ok(Self { bytes: Vec::new(), total, task, events })
    }

    fn add(&mut self, piece: &[u8]) -> Result<()> {
        let length = (self.bytes.len() + piece.len()) as u64;
        if let Some(total) = self.total.filter(|total| length > *total) {
            return Err(Error::new(format!("it is larger than the announced {total} bytes")));
        }
        if length > source::LARGEST {
            return Err(source::too_large("it"));
        }
        self.bytes.extend_from_slice(piece);
        self.events.progress(self.task, self.bytes.len() as u64, self.total, Unit::Bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Starts a registry on loopback that demands a token and gives the endless response at this
    /// path.
    async fn registry(endless: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, port, endless));
            }
        });
        port
    }

    async fn answer(mut stream: TcpStream, port: u16, endless: &str) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap().to_lowercase();
        let path = request.split(' ').nth(1).unwrap();
        let shows = |header: &str| request.contains(&format!("authorization: {header}\r\n"));
        let layer = Digest::of(b"component");
        let (status, body) = match path {
            // jo:secret
            path if path.starts_with("/token?scope=") && shows("basic am86c2vjcmv0") => {
                (200, r#"{"token": "t1"}"#.to_owned())
            }
            path if !path.starts_with("/v2/") || !shows("bearer t1") => (401, "no".to_owned()),
            path if path.contains("/manifests/") => (200, manifest(&layer)),
            _ => (200, "component".to_owned()),
        };
        let wants = format!("bearer realm=\"http://127.0.0.1:{port}/token\",service=\"s\"");
        let head = format!(
            "HTTP/1.1 {status} X\r\nwww-authenticate: {wants}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if status == 200 && path.contains(endless) {
            let piece = vec![b' '; 1 << 16];
            while stream.write_all(&piece).await.is_ok() {}
        }
        let _ = stream.write_all(body.as_bytes()).await;
    }

    fn manifest(layer: &Digest) -> String {
        let descriptor =
            |kind: &str| format!(r#"{{"mediaType": "{kind}", "digest": "{layer}", "size": 9}}"#);
        let (config, layer) = (descriptor("x/y"), descriptor("application/wasm"));
        format!(r#"{{"schemaVersion": 2, "config": {config}, "layers": [{layer}]}}"#)
    }

    async fn pull(endless: &'static str, password: &str) -> Result<Fetched> {
        let source = format!("oci://127.0.0.1:{}/acme/x:1", registry(endless).await);
        let login = Some(("jo".to_owned(), password.to_owned()));
        fetch(&source, None, login, &Events::default()).await
    }

    #[tokio::test]
    async fn a_login_gets_a_token_and_that_the_component() {
        let fetched = pull("nothing", "secret").await.unwrap();
        assert_eq!(fetched.bytes, b"component");
        let manifest = manifest(&Digest::of(b"component"));
        assert_eq!(fetched.manifest, Some(Digest::of(manifest.as_bytes()).to_string()));
        let error = pull("nothing", "wrong").await.err().unwrap();
        assert!(error.summary().contains("token service returned no token"), "{error}");
    }

    #[tokio::test]
    async fn no_answer_is_read_without_end() {
        for endless in ["/manifests/", "/token", "/blobs/"] {
            let error = pull(endless, "secret").await.err().unwrap();
            assert!(error.summary().contains("larger than the "), "{endless}: {error}");
        }
    }
}
