//! A tree object: it is read as libgit2 reads it, is written as it was, and what may be checked out
//! is nothing that libgit2 refuses.
#![no_main]

use std::cell::LazyCell;

use cowhand::fuzzing;
use cowhand::path::SitePath;
use git2::{Mempack, ObjectType, Odb, Oid, Repository, Tree};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// Mode, name, object.
type Entries = Vec<(u32, Vec<u8>, Oid)>;

/// The modes that exist.
const MODES: [u32; 5] = [0o100_644, 0o100_755, 0o120_000, 0o040_000, 0o160_000];

/// A clone whose objects are in memory.
struct Lab {
    git: &'static Repository,
    odb: &'static Odb<'static>,
    memory: Mempack<'static>,
    _folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let git: &Repository = Box::leak(Box::new(Repository::init_bare(folder.path()).unwrap()));
        let mut config = git.config().unwrap();
        config.set_bool("core.protectHFS", true).unwrap();
        config.set_bool("core.protectNTFS", true).unwrap();
        git2::opts::strict_object_creation(false);
        git2::opts::enable_caching(false);
        let odb: &Odb<'_> = Box::leak(Box::new(git.odb().unwrap()));
        Self { git, odb, memory: odb.add_new_mempack_backend(1000).unwrap(), _folder: folder }
    }
}

thread_local! {
    static LAB: LazyCell<Lab> = LazyCell::new(Lab::new);
}

fuzz_target!(|bytes: &[u8]| {
    let path = SitePath::from(bytes);
    assert_eq!(SitePath::from_text(&path.text()), path);
    LAB.with(|lab| {
        check(lab, bytes);
        lab.memory.reset().unwrap();
    });
});

fn check(Lab { git, odb, .. }: &Lab, bytes: &[u8]) {
    let oid = odb.write(ObjectType::Tree, bytes).unwrap();
    let (found, peer) = (fuzzing::tree(bytes), git.find_tree(oid).ok());
    match (&found, &peer) {
        (Some(found), Some(peer)) => same(found, peer),
        // Of a damaged tree, each may still make something.
        (Some(_), None) => assert!(!fuzzing::is_safe(bytes)),
        // libgit2 reads signs, git does not.
        (None, Some(_)) => assert!(bytes.contains(&b'-') || bytes.contains(&b'+')),
        (None, None) => {}
    }
    if let Some(found) = found.filter(|_| fuzzing::is_safe(bytes)) {
        check_safe(git, bytes, &found);
    }
}

fn same(found: &Entries, peer: &Tree<'_>) {
    assert_eq!(found.len(), peer.len());
    for ((mode, name, oid), peer) in found.iter().zip(peer) {
        assert_eq!((name.as_slice(), *oid), (peer.name_bytes(), peer.id()));
        let raw = peer.filemode_raw().cast_unsigned();
        assert!(*mode == raw || !MODES.contains(&raw), "{mode:o} for {raw:o}");
    }
}

/// Its names are none that libgit2 refuses, and it is written as libgit2 writes it.
fn check_safe(git: &Repository, bytes: &[u8], found: &Entries) {
    let mut builder = git.treebuilder(None).unwrap();
    for (mode, name, oid) in found {
        let oid = if oid.is_zero() { Oid::from_bytes(&[7; 20]).unwrap() } else { *oid };
        builder.insert(name.as_slice(), oid, mode.cast_signed()).unwrap();
    }
    if found.iter().all(|(_, _, oid)| !oid.is_zero()) {
        assert_eq!(fuzzing::write_tree(git, bytes).unwrap(), builder.write().unwrap());
    }
}
