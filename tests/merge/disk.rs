//! A full disk at any write: what was begun can be undone, and the site is as before.

use std::path::Path;
use std::process::Command;

use cowhand::event::Events;
use cowhand::git::Repo;
use cowhand::git::merge::Favor;

use crate::kit::tree_of;
use crate::site::Site;

/// A file system of so many KiB at a folder, until dropped.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(folder: &Path, kib: usize) -> Self {
        let size = format!("size={kib}k");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).status();
        assert!(mounted.unwrap().success());
        Self(folder.to_owned())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_at_any_write_leaves_the_site_as_it_was() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let text = |word: &str| format!("{word}\n").repeat(4000);
    let all = |word: &str| {
        let content = text(word);
        let names: Vec<String> = (0..12).map(|name| format!("data/{name}")).collect();
        let files: Vec<(&str, &str)> =
            names.iter().map(|name| (name.as_str(), content.as_str())).collect();
        tree_of(&files)
    };
    let mut site = Site::new(&all("one"));
    site.release(&all("twenty-two"));
    let url = site.upstream.path().to_str().unwrap().to_owned();
    let first = site.git(&["rev-parse", "HEAD"]);
    let (mut prepares, mut applies, mut through) = (0, 0, 0);
    for free in (0..1200).step_by(24) {
        let folder = tempfile::tempdir().unwrap();
        let small = Small::mount(folder.path(), 4096);
        let target = folder.path().join("site");
        site.git(&["clone", "-q", &url, target.to_str().unwrap()]);
        site.folder = folder;
        let root = std::mem::replace(&mut site.folder, tempfile::tempdir().unwrap());
        let at_site = || crate::kit::git(&target);
        assert!(at_site().args(["reset", "-q", "--hard", &first]).status().unwrap().success());
        std::fs::write(target.join("data/3"), text("mine")).unwrap();
        fill(root.path(), free);
        site.repo = Repo::open(&target).unwrap();
        let before = crate::site::Snapshot::of(&target);
        match site.prepare_with(Favor::Theirs, false) {
            Err(_) => prepares += 1,
            Ok(prepared) => {
                let applied = prepared.switch.apply(&site.repo, "update", &Events::default());
                through += u32::from(applied.is_ok());
                applies += u32::from(applied.is_err());
                prepared.switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
            }
        }
        assert_eq!(crate::site::Snapshot::of(&target), before, "with {free} KiB free");
        drop(small);
    }
    assert!(
        prepares > 0 && applies > 0 && through > 0,
        "{prepares} failed to prepare, {applies} to apply, {through} went through"
    );
}

/// Leaves so many KiB.
fn fill(folder: &Path, free: usize) {
    let ballast = std::fs::File::create(folder.join("ballast")).unwrap();
    let found = rustix::fs::statvfs(folder).unwrap();
    let available = usize::try_from(found.f_bavail * found.f_frsize).unwrap();
    let size = available.saturating_sub(free << 10);
    rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, size as u64).unwrap();
}
