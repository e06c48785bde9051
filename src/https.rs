//! The TLS configuration (rustls with ring) and the HTTPS client, for plugins and upstream alike.

#![expect(clippy::disallowed_methods, reason = "certificates of the host")]

use std::error::Error as StdError;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use reqwest::ClientBuilder;
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use crate::error::{Context, Error, Result};

/// Debian's bundle of all its certificates: reading one file takes a third of the time.
pub const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// OpenSSL's variables for other certificate authorities.
const NAMED_BY: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Installs the cryptography for TLS clients of libraries. Must precede them; may be repeated.
pub fn provide() {
    let _ = default_provider().install_default();
}

/// Returns the TLS configuration, which is built once per process. It trusts the machine's
/// authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`, or Mozilla's if the machine has
/// none.
pub fn config() -> Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
            let config =
                config.with_safe_default_protocol_versions().what("could not set up TLS")?;
            Ok(Arc::new(config.with_root_certificates(authorities()?).with_no_client_auth()))
        })
        .clone()
}

fn authorities() -> Result<RootCertStore> {
    let named = NAMED_BY.iter().any(|name| std::env::var_os(name).is_some());
    let bundle = Some(Path::new(BUNDLE)).filter(|bundle| !named && bundle.is_file());
    let found =
        bundle.map_or_else(load_native_certs, |bundle| load_certs_from_paths(Some(bundle), None));
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    if authorities.is_empty() && named {
        let error = Error::new(format!("no usable certificate in {}", NAMED_BY.join(" or ")));
        return Err(found.errors.iter().fold(error, Error::because));
    }
    if authorities.is_empty() {
        authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(authorities)
}

/// Returns a client with this configuration and the environment's proxies.
pub fn client() -> Result<ClientBuilder> {
    Ok(ClientBuilder::new().tls_backend_preconfigured(ClientConfig::clone(&*config()?)))
}

/// Returns the innermost cause, which names the problem; the outer ones say only that there is one.
pub fn reason(error: &reqwest::Error) -> String {
    let innermost = causes(error).last();
    innermost.map(ToString::to_string).unwrap_or_default()
}

/// Returns true if the server's certificate is the problem.
pub fn untrusted(error: &reqwest::Error) -> bool {
    causes(error)
        .any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// Returns the error and its causes, outermost first. An `io::Error` hides the error that it wraps.
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |&cause| {
        let carried = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        carried.map(|carried| carried as &(dyn StdError + 'static)).or_else(|| cause.source())
    })
}
