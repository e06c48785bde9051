//! The same upstream over https, with a certificate of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http;
use crate::error::{Context, Result};
use crate::https::BUNDLE;

/// A folder of repositories, served until this process ends.
pub struct Https {
    /// `https://localhost:PORT`
    pub url: String,
    /// What this machine trusts, and the server's certificate: for `SSL_CERT_FILE`.
    pub trusted: PathBuf,
}

impl Https {
    /// Serves the repositories below `folder`; puts the certificates there too.
    pub fn serve(folder: &Path) -> Result<Self> {
        let doing = "could not serve repositories over https";
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).what(doing)?;
        let trusted = folder.join("trusted.pem");
        // Whoever checks a certificate reads as much as on any machine.
        std::fs::write(&trusted, std::fs::read_to_string(BUNDLE).unwrap_or_default() + &made.cert.pem()).what(doing)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).what(doing)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().what(doing)?;
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).what(doing)?;
        let (config, listener) = (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).what(doing)?);
        let url = format!("https://localhost:{}", listener.local_addr().what(doing)?.port());
        let served = folder.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, served) = (Arc::clone(&config), served.clone());
                // As servers do: an answer does not wait until what was sent before it has been acknowledged.
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
