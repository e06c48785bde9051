//! `cowhand.lock`: what a person has approved for this site's plugins, and when. TOML, for programs to write and people to read.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::allowed::Allowed;
use super::request::Request;
use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files;

/// Its name in the site's folder.
pub const LOCK_FILE: &str = "cowhand.lock";
/// The version of its format. A later version may add keys without counting up; what it cannot leave out counts up.
const VERSION: u32 = 1;
const HEAD: &str = "\
# What was approved for this site's plugins, and when. `cowhand plugin add`, `approve` and `remove` write it;
# `cowhand plugin verify` compares it with what is there. docs/plugins-for-operators.md says what the keys mean.

";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    version: u32,
    /// What was approved, sorted by name.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<Approved>,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approved {
    /// The plugin's name in `cowhand.toml`.
    pub name: String,
    /// Its source there.
    pub source: String,
    /// That of the component.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// The version of the hooks that it is made for.
    pub hooks: String,
    /// `sha256:…` of the manifest, where it came from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Who approved it.
    pub approved_by: String,
    /// When.
    pub approved_at: Timestamp,
    /// The signature that came with it, as minisign writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What it may do: requested by it and granted by the site at that time.
    pub grant: Allowed,
    /// What it requested, with its reasons.
    #[serde(default, rename = "request", skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { version: VERSION, plugins: Vec::new() }
    }
}

impl LockFile {
    /// The file of the site in this folder; empty where there is none.
    pub fn read(site: &Path) -> Result<Self> {
        match std::fs::read_to_string(site.join(LOCK_FILE)) {
            Ok(text) => Self::parse(&text),
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).what_with(|| format!("could not read {}", site.join(LOCK_FILE).display())),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let broken = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::new(format!("{LOCK_FILE}, line {line}: {}", error.message().lines().next().unwrap_or("not valid")))
                .exit(Exit::Refused)
                .hint("Take it from a backup, or move it away and approve the plugins again: `cowhand plugin approve`.")
        };
        let Version { version } = toml::from_str(text).map_err(broken)?;
        if version > VERSION {
            let what = format!("{LOCK_FILE} has version {version}, and this Cowhand knows {VERSION}");
            return Err(Error::new(what).exit(Exit::Refused).hint("Use the Cowhand that wrote it, or a later one."));
        }
        toml::from_str(text).map_err(broken)
    }

    /// Writes it for the site in this folder, atomically.
    pub fn write(&self, site: &Path) -> Result<()> {
        files::write(&site.join(LOCK_FILE), self.text()?.as_bytes(), 0o644)
    }

    fn text(&self) -> Result<String> {
        Ok(HEAD.to_owned() + &toml::to_string(self).what_with(|| format!("could not write {LOCK_FILE}"))?)
    }

    /// What was approved under this name.
    pub fn find(&self, name: &str) -> Option<&Approved> {
        self.plugins.iter().find(|approved| approved.name == name)
    }

    /// Puts an approval in the place of an earlier one of that name.
    pub fn put(&mut self, approved: Approved) {
        self.remove(&approved.name);
        self.plugins.push(approved);
        self.plugins.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Forgets what was approved under this name; whether there was anything.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.plugins.len();
        self.plugins.retain(|approved| approved.name != name);
        self.plugins.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    use crate::plugin::Capability;

    fn lock() -> LockFile {
        let mut lock = LockFile::default();
        lock.put(Approved {
            name: "tell-us".to_owned(),
            source: "plugins/notify.wasm".to_owned(),
            digest: Digest::known([0; 32]),
            size: 82_000,
            hooks: "0.1.0".to_owned(),
            manifest: None,
            approved_by: "jo".to_owned(),
            approved_at: "2026-11-24T12:00:00Z".parse().unwrap(),
            signature: Some("untrusted comment: x\nRWQ\n".to_owned()),
            grant: Allowed {
                http: vec!["ntfy.example.org".to_owned()],
                memory: 64 << 20,
                time: SignedDuration::from_millis(1500),
                ..Allowed::default()
            },
            requests: vec![Request {
                capability: Capability::Http,
                value: "*".to_owned(),
                reason: "to tell you".to_owned(),
            }],
        });
        lock
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (folder, lock) = (tempfile::tempdir().unwrap(), lock());
        lock.write(folder.path()).unwrap();
        assert_eq!(LockFile::read(folder.path()).unwrap(), lock);
        let text = std::fs::read_to_string(folder.path().join(LOCK_FILE)).unwrap();
        for line in ["version = 1", "memory = \"64MiB\"", "time = \"1s 500ms\"", "http = [\"ntfy.example.org\"]"] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_site_without_one_has_approved_nothing() {
        assert_eq!(LockFile::read(tempfile::tempdir().unwrap().path()).unwrap(), LockFile::default());
    }

    #[test]
    fn a_later_version_and_a_broken_file_are_told() {
        let error = LockFile::parse("version = 2\nplugin = 7\n").unwrap_err();
        assert!(error.headline().contains("version 2"), "{error}");
        let error = LockFile::parse("version = 1\n[[plugin]]\nname = 3\n").unwrap_err();
        assert!(error.headline().starts_with("cowhand.lock, line 3"), "{error}");
    }
}
