//! Clones with a working tree, as an admin has them.

use std::collections::BTreeMap;
use std::path::Path;

use cowhand::event::Events;
use cowhand::git::local::Local;
use cowhand::git::merge::{Favor, Merge, Merged, Options};
use cowhand::git::switch::Switch;
use cowhand::git::{Oid, Repo};
use tempfile::TempDir;

use crate::kit::{Files, Lab, git, now, stock};

/// A clone of an upstream, with a working tree, as an admin has it.
pub struct Site {
    pub upstream: Lab,
    pub folder: TempDir,
    pub repo: Repo,
}

impl Site {
    /// Upstream publishes these files; the site clones them.
    pub fn new(files: &Files) -> Self {
        let upstream = Lab::new();
        let first = upstream.commit(files, &[]);
        upstream.branch("master", first);
        let folder = TempDir::new().unwrap();
        let url = upstream.path().to_str().unwrap();
        let cloned = git(upstream.path())
            .args(["clone", "-q", url, folder.path().to_str().unwrap()])
            .status()
            .unwrap();
        assert!(cloned.success());
        let repo = Repo::open(folder.path()).unwrap();
        Self { upstream, folder, repo }
    }

    /// Upstream publishes a release on top of its branch.
    pub fn release(&self, files: &Files) -> Oid {
        let head = self.upstream.git.refname_to_id("refs/heads/master").unwrap();
        let next = self.upstream.commit(files, &[head]);
        self.upstream.branch("master", next);
        next
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = git(self.folder.path()).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Fetches and merges as an update does; gives what the switch needs.
    pub fn prepare(&self, favor: Favor) -> Prepared {
        self.prepare_with(favor, false).unwrap()
    }

    /// The same, with the untracked files or without; a failure is the caller's to look at.
    pub fn prepare_with(&self, favor: Favor, untracked: bool) -> cowhand::error::Result<Prepared> {
        let branch = self.repo.readiness()?;
        let theirs = self.repo.fetch(&branch, &Events::default())?;
        let local = self.repo.local_changes(branch.head, "Before update", &now(), untracked)?;
        let options = Options { label: branch.upstream.label(), ..Options::default() };
        let merge = Merge::new(&self.repo, local.commit, theirs, options)?;
        for conflict in merge.conflicts() {
            merge.resolve(conflict, stock(conflict, favor), "stock-conflicts")?;
        }
        let merged = merge.finish("After update", &now())?;
        let switch = Switch::plan(&self.repo, &branch, &local, &merged)?;
        Ok(Prepared { local, merged, switch })
    }

    /// The snapshot of a site that has something which cannot be read.
    pub fn folder_without(&self, name: &str) -> Snapshot {
        let aside = tempfile::tempdir_in(self.folder.path().parent().unwrap()).unwrap().keep();
        std::fs::rename(self.path(name), aside.join(name)).unwrap();
        let snapshot = self.snapshot();
        std::fs::rename(aside.join(name), self.path(name)).unwrap();
        std::fs::remove_dir(aside).unwrap();
        snapshot
    }

    /// Everything in the working tree, its permissions included, and where git stands.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.folder.path())
    }
}

impl Snapshot {
    /// Of the site in this folder.
    pub fn of(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        walk(root, root, &mut files);
        let said = |arguments: &[&str]| {
            String::from_utf8(git(root).args(arguments).output().unwrap().stdout).unwrap()
        };
        Self {
            files,
            head: said(&["rev-parse", "HEAD"]).trim_end().to_owned(),
            status: said(&["--no-optional-locks", "status", "--porcelain", "--ignored"])
                .trim_end()
                .to_owned(),
        }
    }
}

/// A merge ready to be switched to.
pub struct Prepared {
    pub local: Local,
    pub merged: Merged,
    pub switch: Switch,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub files: BTreeMap<String, (u32, Vec<u8>)>,
    pub head: String,
    pub status: String,
}

fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let mode = found.permissions().mode();
        if name == ".git" {
            continue;
        }
        if found.is_dir() {
            files.insert(format!("{name}/"), (mode, Vec::new()));
            walk(root, &path, files);
        } else if found.is_symlink() {
            files.insert(
                name,
                (mode, std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()),
            );
        } else {
            files.insert(name, (mode, std::fs::read(&path).unwrap()));
        }
    }
}
