//! Certificates for fixtures: real ones, made on the spot.

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
