//! SHA-256: what approvals are bound to, receipts name, and seals and files are told by.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest that is known.
    pub fn known(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// 64 hexadecimal digits.
    pub fn hex(self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    /// `sha256:…`, as registries write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = String;

    /// 64 hexadecimal digits, with or without `sha256:` before them.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut digest = [0; 32];
        hex::decode_to_slice(digits, &mut digest).map_err(|_| {
            format!("{text:?} is no SHA-256: it has 64 hexadecimal digits, with or without `sha256:` before them")
        })?;
        Ok(Self(digest))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_people_type_it() {
        let digest = Digest::of(b"x");
        for typed in [digest.to_string(), digest.hex(), digest.hex().to_uppercase()] {
            assert_eq!(typed.parse(), Ok(digest));
        }
        for typed in ["", "sha256:", "sha512:00", "sha256:zz", &digest.hex()[1..]] {
            assert!(
                typed.parse::<Digest>().unwrap_err().contains("64 hexadecimal digits"),
                "{typed}"
            );
        }
    }
}
