//! minisign signatures.

use minisign_verify::{PublicKey, Signature};
use serde::Deserialize;

use crate::error::{Context, Result};

/// A public key: the second line of minisign's file.
#[derive(Clone, Debug)]
pub struct Key(PublicKey);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = PublicKey::from_base64(text.trim());
        key.map(Self).map_err(|error| {
            serde::de::Error::custom(format_args!("`{text}` is not a minisign key: {error}"))
        })
    }
}

impl Key {
    /// Returns true if this key signed these bytes. Fails if the signature cannot be parsed.
    pub(super) fn has_signed(&self, bytes: &[u8], signature: &str) -> Result<bool> {
        let signature = Signature::decode(signature).what("it is not a minisign signature")?;
        // Older signatures are of the bytes, newer ones of their hash; both are valid.
        Ok(self.0.verify(bytes, &signature, true).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature of the content's hash, made with Python's `cryptography` and `hashlib` by
    /// minisign's format description.
    const KEY: &str = "RWRjb3doYW5kcwOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
    const SIGNATURE: &str = "untrusted comment: a test\n\
        RURjb3doYW5kc4D9dxpj2QFAfeU/GBkbKjhCrmsy/AiTx4qN3qtwA1b5GzZmVvOKsO2DrPhfDZzeEvwP2XR/11+2+rtcDuhKEgU=\n\
        trusted comment: a test\n\
        wx52vJTfjXfQGWxjTCZROAGuooIiPNihqfja6wi0eeWz3SGRPK7vhSeop7A7STGI653vpHRsq3GBaXRLbHJVDQ==\n";

    fn key(text: &str) -> Result<Key, toml::de::Error> {
        #[derive(Deserialize)]
        struct Keys {
            key: Key,
        }
        toml::from_str::<Keys>(&format!("key = \"{text}\"")).map(|keys| keys.key)
    }

    #[test]
    fn a_signature_is_of_these_bytes_and_this_key() {
        let ours = key(KEY).unwrap();
        assert!(ours.has_signed(b"a component\n", SIGNATURE).unwrap());
        assert!(!ours.has_signed(b"another one\n", SIGNATURE).unwrap());
        let comment =
            SIGNATURE.replace("trusted comment: a test\nwx", "trusted comment: the test\nwx");
        assert!(!ours.has_signed(b"a component\n", &comment).unwrap());
    }

    #[test]
    fn what_is_no_key_or_signature_is_told() {
        assert!(key("nonsense").unwrap_err().to_string().contains("is not a minisign key"));
        assert!(key(KEY).unwrap().has_signed(b"", "nonsense").is_err());
    }
}
