//! Checks of the files that plugins hand over. Plugins never write: the pipeline journals and
//! installs these files.

use std::collections::BTreeSet;

use super::grant::{Permissions, Wish};
use crate::path::SitePath;

/// The size limit of a file, in bytes.
const LARGEST: usize = 16 << 20;
/// The most files of one answer.
const MOST_FILES: usize = 1000;
/// The length limit of a path, in bytes, which is Linux's.
const LONGEST_PATH: usize = 4095;

/// A file from a plugin, for installation.
#[derive(Clone, PartialEq, Eq)]
pub struct HandedFile {
    /// The plugin's name.
    pub plugin: String,
    /// The destination.
    pub path: SitePath,
    /// The permission bits: readable by the owner, and within `0o777`.
    pub mode: u32,
    /// The content. It may be a private key, so it is never shown.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for HandedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plugin, path, mode, content } = self;
        write!(f, "HandedFile {{ {plugin}: {path:?}, {mode:o}, {} bytes }}", content.len())
    }
}

/// The reason for refusing files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    /// The message.
    pub(super) what: String,
    /// The grant that would allow it.
    pub(super) hint: Option<String>,
}

/// Checks the files of one answer and takes all of them or none.
pub(super) fn check(files: &[HandedFile], permissions: &Permissions) -> Result<(), Rejected> {
    let reject = |what: String| Err(Rejected { what, hint: None });
    if files.len() > MOST_FILES {
        return reject(format!(
            "it handed over {} files, more than the limit of {MOST_FILES}",
            files.len()
        ));
    }
    let mut paths = BTreeSet::new();
    for file in files {
        let path = &file.path;
        if let Some(flaw) = flaw(path) {
            return reject(format!("it handed over a file for `{path}`, {flaw}"));
        }
        if file.mode & !0o777 != 0 || file.mode & 0o400 == 0 {
            return reject(format!("it handed over `{path}` with the mode {:o}", file.mode));
        }
        if file.content.len() > LARGEST {
            let limit = bytesize::ByteSize::b(LARGEST as u64);
            return reject(format!("it handed over `{path}` with more than the limit of {limit}"));
        }
        if !paths.insert(path) {
            return reject(format!("it handed over `{path}` twice"));
        }
        let refused =
            |refusal: super::grant::Refusal| Rejected { what: refusal.what, hint: refusal.hint };
        permissions.authorize(&Wish::Install(path)).map_err(refused)?;
    }
    Ok(())
}

/// Returns the problem with a path that is not valid for any plugin.
fn flaw(path: &SitePath) -> Option<&'static str> {
    let bytes = path.as_bytes();
    let mut parts = bytes.split(|byte| *byte == b'/');
    if bytes.is_empty() || parts.clone().any(|part| matches!(part, b"" | b"." | b"..")) {
        Some("which is not a plain path in the site")
    } else if parts.any(|part| part.eq_ignore_ascii_case(b".git")) {
        Some("which belongs to git")
    } else if bytes.contains(&0) || bytes.len() > LONGEST_PATH {
        Some("which is too long")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::grant::Protected;
    use super::super::request::{Capability, Request};
    use super::super::spec::{Grant, Spec};
    use super::*;

    fn permissions() -> Permissions {
        let grant = Grant { install: vec!["data/assets/ssl".into()], ..Grant::default() };
        let spec = Spec { grant, ..Spec::bare("probe", "probe.wasm") };
        let request =
            Request { capability: Capability::Install, value: "*".into(), reason: "a test".into() };
        let site = std::path::Path::new("/nowhere");
        Permissions::new(&spec, &[request], &Protected::of(site, &[]), true, false).unwrap().0
    }

    fn file(path: &str, mode: u32) -> HandedFile {
        HandedFile { plugin: "probe".into(), path: path.into(), mode, content: vec![0] }
    }

    #[test]
    fn files_below_granted_folders_are_taken() {
        let files =
            [file("data/assets/ssl/cert.pem", 0o644), file("data/assets/ssl/a/key.pem", 0o600)];
        assert_eq!(check(&files, &permissions()), Ok(()));
    }

    #[test]
    fn everything_else_is_rejected() {
        let elsewhere =
            ["data/assets/sslx/a", "data/assets/ssl", "docker-compose.yml", "data/conf/x"];
        let crooked = [
            "data/assets/ssl/../x",
            "/data/assets/ssl/x",
            "data/assets/ssl//x",
            "data/assets/ssl/./x",
            "",
        ];
        let gits = ["data/assets/ssl/.git/config", "data/assets/ssl/.Git/x"];
        for path in elsewhere.iter().chain(&crooked).chain(&gits) {
            assert!(check(&[file(path, 0o644)], &permissions()).is_err(), "{path}");
        }
        for mode in [0o4755, 0o2755, 0o1777, 0o10_0644, 0, 0o044] {
            assert!(check(&[file("data/assets/ssl/a", mode)], &permissions()).is_err(), "{mode:o}");
        }
        let twice = [file("data/assets/ssl/a", 0o644), file("data/assets/ssl/a", 0o644)];
        assert!(check(&twice, &permissions()).is_err());
        let huge = HandedFile { content: vec![0; LARGEST + 1], ..file("data/assets/ssl/a", 0o644) };
        assert!(check(&[huge], &permissions()).is_err());
    }
}
