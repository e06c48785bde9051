//! The one TLS of this program (rustls, with ring), and the client that fetches over it: for plugins and upstream alike.

use std::error::Error;

use reqwest::ClientBuilder;

/// Names the cryptography that TLS clients take, those of libraries too. To be called before one is made; again changes nothing.
pub fn provide() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that trusts what this machine trusts (or what `SSL_CERT_FILE` and `SSL_CERT_DIR` name), and takes the environment's proxies.
pub fn client() -> ClientBuilder {
    provide();
    ClientBuilder::new()
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
fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |&cause| {
        let carried = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        carried.map(|carried| carried as &(dyn Error + 'static)).or_else(|| cause.source())
    })
}
