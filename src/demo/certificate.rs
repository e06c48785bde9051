//! Certificates for fixtures: real ones, made on the spot.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Context, Result};

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// A self-signed certificate for a host name, valid for many years.
pub fn for_name(name: &str) -> Result<Certificate> {
    let made = rcgen::generate_simple_self_signed([name.to_owned()])
        .what_with(|| format!("could not make a certificate for {name}"))?;
    Ok(Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
}

impl Certificate {
    /// Returns the TLS configuration of a server with this certificate.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let doing = "could not set up a server with a certificate";
        let certificate =
            CertificateDer::from_pem_slice(self.certificate.as_bytes()).what(doing)?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).what(doing)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .what(doing)?;
        Ok(Arc::new(
            config.with_no_client_auth().with_single_cert(vec![certificate], key).what(doing)?,
        ))
    }
}
