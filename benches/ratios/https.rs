//! An upstream as sites have it: a repository served over https, by git's own `http-backend` behind a small server on loopback.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cowhand::demo::http;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::history::git;

/// What Debian trusts: whoever checks a certificate reads this much.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A folder of repositories, served until this process ends.
pub struct Https {
    /// `https://localhost:PORT`
    pub url: String,
    /// What this machine trusts, and the server's certificate.
    pub trusted: PathBuf,
}

impl Https {
    /// Serves the repositories below `folder`; puts the certificates there too.
    pub fn serve(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let trusted = folder.join("trusted.pem");
        std::fs::write(&trusted, std::fs::read_to_string(TRUSTED).unwrap_or_default() + &made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let served = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, served) = (Arc::clone(&config), served.clone());
                std::thread::spawn(move || {
                    http::answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &served);
                });
            }
        });
        Self { url, trusted }
    }
}

/// A bare copy of the repository at `from`, to be served.
pub fn publish(from: &str, folder: &Path, name: &str) {
    git(folder, &["clone", "--quiet", "--bare", from, name]);
}
