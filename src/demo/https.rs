//! The same upstream over https, with a certificate of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::{ServerConnection, StreamOwned};

use super::{certificate, http};
use crate::error::{Context, Result};
use crate::https::BUNDLE;

/// A directory of repositories, served until this process ends.
pub struct Https {
    /// `https://localhost:PORT`
    pub url: String,
    /// The machine's certificates with the server's one, for `SSL_CERT_FILE`.
    pub trusted: PathBuf,
}

impl Https {
    /// Serves the repositories below `folder`; puts the certificates there too.
    pub fn serve(folder: &Path) -> Result<Self> {
        let doing = "could not serve repositories over https";
        let made = certificate::for_name("localhost")?;
        let trusted = folder.join("trusted.pem");
        // So that clients read as many certificates as on any machine.
        std::fs::write(
            &trusted,
            std::fs::read_to_string(BUNDLE).unwrap_or_default() + &made.certificate,
        )
        .what(doing)?;
        let (config, listener) =
            (made.server()?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).what(doing)?);
        let url = format!("https://localhost:{}", listener.local_addr().what(doing)?.port());
        let served = folder.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, served) = (Arc::clone(&config), served.clone());
                // As servers do: an answer does not wait until what was sent before it has been
                // acknowledged.
                let _ = stream.set_nodelay(true);
                thread::spawn(move || {
                    let Ok(connection) = ServerConnection::new(config) else { return };
                    http::answer(StreamOwned::new(connection, stream), &served);
                });
            }
        });
        Ok(Self { url, trusted })
    }
}
