//! The one TLS of this program (rustls, with ring), and the client that fetches over it: for plugins and upstream alike.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::ClientBuilder;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use crate::error::{Context, Result};

/// What Debian makes of everything that lies in the folder around it: one file is read in a third of the time.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Names the cryptography that TLS clients of libraries take. To be called before one is made; again changes nothing.
pub fn provide() {
    let _ = default_provider().install_default();
}

/// How TLS is spoken, made once a process: with the authorities that this machine trusts, so that a site's own counts, or that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name; with Mozilla's where there are none.
pub fn config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, rustls::Error>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions()?;
        Ok(Arc::new(config.with_root_certificates(authorities()).with_no_client_auth()))
    });
    made.clone().what("could not set up TLS")
}

fn authorities() -> RootCertStore {
    let [file, folder] = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| std::env::var_os(name).map(PathBuf::from));
    let found = match (file, folder) {
        (None, None) if Path::new(BUNDLE).is_file() => load_certs_from_paths(Some(Path::new(BUNDLE)), None),
        (None, None) => load_native_certs(),
        (file, folder) => load_certs_from_paths(file.as_deref(), folder.as_deref()),
    };
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() {
        authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    authorities
}

/// A client that speaks so, and takes the environment's proxies.
pub fn client() -> Result<ClientBuilder> {
    Ok(ClientBuilder::new().tls_backend_preconfigured(ClientConfig::clone(&*config()?)))
}

/// What is wrong: the innermost cause says it; the outer ones only that something is.
pub fn reason(error: &reqwest::Error) -> String {
    let innermost = causes(error).last();
    innermost.map(ToString::to_string).unwrap_or_default()
}

/// Whether the other side's certificate is what is wrong.
pub fn untrusted(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// The error and what caused it, outermost first. An `io::Error` hides the one that it carries.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&cause| {
        let carried = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        carried.map(|carried| carried as &(dyn StdError + 'static)).or_else(|| cause.source())
    })
}
