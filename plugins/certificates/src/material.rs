//! Reads certificates and keys from PEM, as far as they are compared.

use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{AnyRef, Decode};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The relevant parts of a file's first certificate.
#[derive(Debug)]
pub struct Leaf {
    /// Start of its validity, in seconds since 1970.
    pub from: i64,
    /// End of its validity, in seconds since 1970.
    pub until: i64,
    names: Vec<String>,
    public: Public,
}

/// The public half of a key.
#[derive(Debug, PartialEq)]
enum Public {
    /// Modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
    /// The point.
    Elliptic(Vec<u8>),
    /// Another kind of key, or a private key without its public half.
    Unknown,
}

impl Leaf {
    /// Reads a file that starts with a certificate; those of its issuers may follow.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem)
            .map_err(|error| format!("contains no PEM certificate: {error}"))?;
        let certificate = Certificate::from_der(&der)
            .map_err(|error| format!("contains a damaged certificate: {error}"))?;
        let certificate = certificate.tbs_certificate();
        let seconds = |time: x509_cert::time::Time| {
            i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
        };
        let key = certificate.subject_public_key_info();
        let bits = key.subject_public_key.raw_bytes();
        let public = match key.algorithm.oid {
            RSA => rsa(pkcs1::RsaPublicKeyRef::from_der(bits)
                .map_err(|error| format!("contains a damaged RSA key: {error}"))?),
            ELLIPTIC => Public::Elliptic(bits.to_vec()),
            _ => Public::Unknown,
        };
        let validity = certificate.validity();
        let (from, until) = (seconds(validity.not_before), seconds(validity.not_after));
        Ok(Self { from, until, names: names(certificate), public })
    }

    /// Returns true if it is valid for this host, by name or by a wildcard for one label.
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let parent = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names.iter().any(|name| *name == host || parent.as_ref() == Some(name))
    }

    /// Returns true if a private key belongs to it. `None` if the keys cannot be compared.
    pub fn matches(&self, key: &Key) -> Option<bool> {
        match (&self.public, &key.0) {
            (Public::Unknown, _) | (_, Public::Unknown) => None,
            (certificate, key) => Some(certificate == key),
        }
    }
}

fn names(certificate: &x509_cert::TbsCertificate) -> Vec<String> {
    let alternative = certificate.get_extension::<SubjectAltName>().ok().flatten();
    let names = alternative.into_iter().flat_map(|(_, names)| names.0);
    let names = names.filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        _ => None,
    });
    names.collect()
}

/// The public half of a private key.
pub struct Key(Public);

impl Key {
    /// Reads a file with an unencrypted private key.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem)
            .map_err(|error| format!("contains no PEM private key: {error}"))?;
        public_half(&der)
            .map(Self)
            .map_err(|error| format!("contains a damaged private key: {error}"))
    }
}

fn public_half(key: &PrivateKeyDer<'_>) -> der::Result<Public> {
    match key {
        PrivateKeyDer::Pkcs1(key) => rsa_half(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => elliptic_half(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => {
            type Wrapped<'a> =
                pkcs8::PrivateKeyInfo<AnyRef<'a>, &'a OctetStringRef, der::asn1::BitStringRef<'a>>;
            let key = Wrapped::from_der(key.secret_pkcs8_der())?;
            match key.algorithm.oid {
                RSA => rsa_half(key.private_key.as_bytes()),
                ELLIPTIC => elliptic_half(key.private_key.as_bytes()),
                _ => Ok(Public::Unknown),
            }
        }
        _ => Ok(Public::Unknown),
    }
}

fn rsa_half(der: &[u8]) -> der::Result<Public> {
    Ok(rsa(pkcs1::RsaPrivateKeyRef::from_der(der)?.public_key()))
}

fn rsa(key: pkcs1::RsaPublicKeyRef<'_>) -> Public {
    Public::Rsa(key.modulus.as_bytes().to_vec(), key.public_exponent.as_bytes().to_vec())
}

/// Returns the point, which most tools write into the private key's file.
fn elliptic_half(der: &[u8]) -> der::Result<Public> {
    let point = sec1::EcPrivateKey::from_der(der)?.public_key;
    Ok(point.map_or(Public::Unknown, |point| Public::Elliptic(point.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RSA_CERTIFICATE: &[u8] = include_bytes!("../testdata/rsa.cert.pem");
    const RSA_KEYS: [&[u8]; 2] =
        [include_bytes!("../testdata/rsa.pkcs1.pem"), include_bytes!("../testdata/rsa.pkcs8.pem")];
    const EC_CERTIFICATE: &[u8] = include_bytes!("../testdata/ec.cert.pem");
    const EC_KEYS: [&[u8]; 2] =
        [include_bytes!("../testdata/ec.sec1.pem"), include_bytes!("../testdata/ec.pkcs8.pem")];

    fn matches(certificate: &[u8], key: &[u8]) -> Option<bool> {
        Leaf::read(certificate).unwrap().matches(&Key::read(key).unwrap())
    }

    #[test]
    fn keys_are_compared_in_every_form() {
        for key in RSA_KEYS {
            assert_eq!(matches(RSA_CERTIFICATE, key), Some(true));
            assert_eq!(matches(EC_CERTIFICATE, key), Some(false));
        }
        for key in EC_KEYS {
            assert_eq!(matches(EC_CERTIFICATE, key), Some(true));
            assert_eq!(matches(RSA_CERTIFICATE, key), Some(false));
        }
        let other = include_bytes!("../testdata/other.pkcs8.pem");
        assert_eq!(matches(EC_CERTIFICATE, other), Some(false));
    }

    #[test]
    fn names_match_in_any_case_and_a_wildcard_covers_one_label() {
        let leaf = Leaf::read(EC_CERTIFICATE).unwrap();
        assert!(leaf.covers("Mail.Example.org") && leaf.covers("imap.example.net"));
        assert!(
            !leaf.covers("example.net")
                && !leaf.covers("a.imap.example.net")
                && !leaf.covers("example.org")
        );
    }

    #[test]
    fn files_without_a_certificate_or_key_are_refused() {
        assert!(Leaf::read(b"").unwrap_err().contains("no PEM certificate"));
        assert!(Leaf::read(EC_KEYS[0]).unwrap_err().contains("no PEM certificate"));
        assert!(Key::read(EC_CERTIFICATE).is_err_and(|error| error.contains("no PEM private key")));
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Leaf::read(broken).unwrap_err().contains("damaged certificate"));
    }
}
