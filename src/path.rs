//! Paths inside a site as git has them: bytes, relative, `/` between parts. They need not be UTF-8.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path relative to the site's folder. Shown and serialised as text in which `%` and bytes that
/// are not UTF-8 are percent-encoded, so that every path survives the round trip through JSON.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SitePath(Vec<u8>);

impl SitePath {
    /// The path's bytes, as git has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path for the file system, still relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The encoded text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            let mut parts = chunk.valid().split('%');
            text.push_str(parts.next().unwrap_or_default());
            parts.for_each(|part| text.extend(["%25", part]));
            text.extend(chunk.invalid().iter().map(|byte| format!("%{byte:02X}")));
        }
        text
    }

    /// Reads what [`SitePath::text`] wrote; a `%` that no two hex digits follow stands for itself.
    pub fn from_text(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut path = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
            if let Some(byte) =
                hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok())
            {
                path.push(byte);
                at += 3;
            } else {
                path.push(bytes[at]);
                at += 1;
            }
        }
        Self(path)
    }
}

impl From<&[u8]> for SitePath {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for SitePath {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&str> for SitePath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&Path> for SitePath {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl fmt::Display for SitePath {
    /// For people: control characters are encoded too, so that a name cannot move the cursor.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        let mut rest = text.as_str();
        while let Some((at, control)) =
            rest.char_indices().find(|(_, character)| character.is_control())
        {
            write!(f, "{}%{:02X}", &rest[..at], control as u32)?;
            rest = &rest[at + control.len_utf8()..];
        }
        f.write_str(rest)
    }
}

impl fmt::Debug for SitePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text())
    }
}

impl Serialize for SitePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for SitePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_text(&String::deserialize(deserializer)?))
    }
}

/// Returns a path as a word of a shell's command.
pub fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+~".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::SitePath;

    #[test]
    fn every_path_survives_the_round_trip() {
        for bytes in [
            &b"plain/path.txt"[..],
            b"100%",
            b"%41",
            b"caf\xc3\xa9",
            b"\xff\xfe",
            b"new\nline",
            b"%\xe9%zz",
        ] {
            let path = SitePath::from(bytes);
            assert_eq!(SitePath::from_text(&path.text()), path);
        }
    }

    #[test]
    fn percent_and_broken_utf8_are_encoded() {
        assert_eq!(SitePath::from(&b"50% \xe9"[..]).text(), "50%25 %E9");
    }
}
