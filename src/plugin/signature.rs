//! minisign's signatures, checked in process.

use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;

use crate::error::{Context, Result};

/// A public key: minisign's second line.
#[derive(Clone, Debug)]
pub struct Key(PublicKey);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = PublicKey::from_base64(text.trim());
        key.map(Self)
            .map_err(|error| serde::de::Error::custom(format_args!("`{text}` is no key of minisign's: {error}")))
    }
}

impl Key {
    /// Whether this key made the signature of these bytes. An error where the signature is none.
    pub(super) fn has_signed(&self, bytes: &[u8], signature: &str) -> Result<bool> {
        let signature = Signature::decode(signature).what("it is no signature of minisign's")?;
        // Older signatures are of the bytes themselves, newer ones of their hash; both are sound.
        Ok(self.0.verify(bytes, &signature, true).is_ok())
    }
}
