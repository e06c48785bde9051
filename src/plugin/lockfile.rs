//! `cowhand.lock`: the operator's approvals of this site's plugins. TOML, for programs to write and
//! people to read.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::allowed::Allowed;
use super::request::Request;
use crate::digest::Digest;
use crate::dir::{Attributes, Dir, read_at_most};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::ownership::{Exposure, exposures};

/// Its name in the site's directory.
pub const LOCK_FILE: &str = "cowhand.lock";
/// The size limit of the file, in bytes.
pub(super) const MOST_OF_A_LOCK: u64 = 16 << 20;
/// The version of the format. Optional keys do not change it; required ones do.
const VERSION: u32 = 1;
const HEAD: &str = "\
# What was approved for this site's plugins, and when. `cowhand plugin add`, `approve` and `remove` write it;
# `cowhand plugin verify` compares it with what is there. docs/plugins-for-operators.md says what the keys mean.

";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockFile {
    version: u32,
    /// The approvals, sorted by name.
    #[serde(default, rename = "plugin")]
    pub plugins: Vec<Approved>,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Approved {
    /// The plugin's name in `cowhand.toml`.
    pub name: String,
    /// Its source in `cowhand.toml`.
    pub source: String,
    /// The component's digest.
    pub digest: Digest,
    /// The component's size, in bytes.
    pub size: u64,
    /// The version of the hooks that it was built for.
    pub hooks: String,
    /// `sha256:…` of the manifest, if it came from a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The user who approved it.
    pub approved_by: String,
    /// The time of the approval.
    pub approved_at: Timestamp,
    /// Its signature, as minisign writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Its permissions: requested by it and granted by the site at that time.
    pub grant: Allowed,
    /// Its requests, with reasons.
    #[serde(default, rename = "request", skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { version: VERSION, plugins: Vec::new() }
    }
}

impl LockFile {
    /// Reads the file in this site's directory and reports the ways in which other users can change
    /// it. Without the file there are no approvals.
    pub fn read(site: &Dir, root: &Path) -> Result<(Self, Vec<Exposure>)> {
        let path = root.join(LOCK_FILE);
        let doing = || format!("could not read {}", path.display());
        let file = match site.file(Path::new(LOCK_FILE)) {
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                return Ok((Self::default(), Vec::new()));
            }
            opened => opened.what_with(doing)?.0,
        };
        let exposures = exposures(&file, &path);
        let text = read_at_most(file, MOST_OF_A_LOCK).what_with(doing)?;
        Ok((Self::parse(&String::from_utf8_lossy(&text), LOCK_FILE)?, exposures))
    }

    /// Parses the text of a lock file. `file` is its name, for messages.
    pub(crate) fn parse(text: &str, file: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let broken = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::new(format!(
                "{file}, line {line}: {}",
                error.message().lines().next().unwrap_or("not valid")
            ))
            .exit(Exit::Refused)
            .hint("Restore it from a backup, or move it away and run `cowhand plugin approve`.")
        };
        let Version { version } = toml::from_str(text).map_err(broken)?;
        if version > VERSION {
            let what = format!("{file} has version {version}, but this Cowhand knows {VERSION}");
            return Err(Error::new(what)
                .exit(Exit::Refused)
                .hint("Use the version of Cowhand that wrote it, or a later one."));
        }
        toml::from_str(text).map_err(broken)
    }

    /// Writes it for the site in this directory, atomically.
    pub fn write(&self, site: &Dir) -> Result<()> {
        let (text, like) = (self.text(HEAD)?, Attributes::bits(0o644));
        let written = site.write(Path::new(LOCK_FILE), text.as_bytes(), like);
        written.what_with(|| format!("could not write {LOCK_FILE}"))
    }

    pub(crate) fn text(&self, head: &str) -> Result<String> {
        Ok(head.to_owned()
            + &toml::to_string(self).what_with(|| format!("could not write {LOCK_FILE}"))?)
    }

    /// Returns the approval of a plugin.
    pub fn find(&self, name: &str) -> Option<&Approved> {
        self.plugins.iter().find(|approved| approved.name == name)
    }

    /// Adds an approval, or replaces the plugin's earlier one.
    pub fn put(&mut self, approved: Approved) {
        self.remove(&approved.name);
        self.plugins.push(approved);
        self.plugins.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Removes the approval of a plugin. Returns true if there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.plugins.len();
        self.plugins.retain(|approved| approved.name != name);
        self.plugins.len() < before
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use jiff::SignedDuration;

    use crate::plugin::Capability;

    pub(in crate::plugin) fn lock() -> LockFile {
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
        let site = Dir::open(folder.path()).unwrap();
        lock.write(&site).unwrap();
        assert_eq!(LockFile::read(&site, folder.path()).unwrap(), (lock, Vec::new()));
        let text = std::fs::read_to_string(folder.path().join(LOCK_FILE)).unwrap();
        for line in [
            "version = 1",
            "memory = \"64MiB\"",
            "time = \"1s 500ms\"",
            "http = [\"ntfy.example.org\"]",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_site_without_one_has_approved_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let site = Dir::open(folder.path()).unwrap();
        assert_eq!(LockFile::read(&site, folder.path()).unwrap().0, LockFile::default());
    }

    #[test]
    fn a_later_version_and_a_broken_file_are_told() {
        let error = LockFile::parse("version = 2\nplugin = 7\n", LOCK_FILE).unwrap_err();
        assert!(error.headline().contains("version 2"), "{error}");
        let error = LockFile::parse("version = 1\n[[plugin]]\nname = 3\n", LOCK_FILE).unwrap_err();
        assert!(error.headline().starts_with("cowhand.lock, line 3"), "{error}");
    }
}
