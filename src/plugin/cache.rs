//! Compiled components, kept so that each is compiled once per version of the engine.
//!
//! Compiled code is machine code: whoever can write it can run it. So it lies in a folder that only its owner can
//! enter, both are checked through open handles before use, and on any doubt the component is compiled again.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;

/// How long code is kept that nobody reads: longer than any site goes without an update. The kernel notes a reading once a day, if at all.
const KEPT_UNREAD: Duration = Duration::from_hours(90 * 24);

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The cache in the platform's cache folder: `$XDG_CACHE_HOME` or `~/.cache`. None where neither is known.
    pub fn of_the_platform() -> Option<Self> {
        let from = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?;
        Some(Self::at(caches.join("cowhand")))
    }

    /// The cache in this folder, which is created when something is put there.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The component, if it was kept and nothing casts doubt on it.
    pub(super) fn get(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        self.is_private().then_some(())?;
        let file = OpenOptions::new().read(true).custom_flags(nofollow()).open(self.path(engine, digest)).ok()?;
        let kept = file.metadata().ok()?;
        (kept.is_file() && is_ours(&kept)).then_some(())?;
        load(engine, &file)
    }

    /// Keeps the component. That it cannot be kept costs time, not correctness, so nothing is said.
    pub(super) fn put(&self, engine: &Engine, digest: &Digest, component: &Component) {
        if crate::files::private_folder(&self.folder).is_ok()
            && self.is_private()
            && let Ok(compiled) = component.serialize()
        {
            self.sweep();
            let _ = crate::files::write(&self.path(engine, digest), &compiled, 0o600);
        }
    }

    /// Removes what nobody has read for long: components that no site has any more, and code for other versions of the engine.
    fn sweep(&self) {
        let old = |entry: &fs::DirEntry| {
            let read = entry.metadata().and_then(|found| found.accessed());
            read.is_ok_and(|read| read.elapsed().is_ok_and(|age| age > KEPT_UNREAD))
        };
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten().filter(old) {
            let _ = fs::remove_file(entry.path());
        }
    }

    fn path(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        self.folder.join(format!("{}-{:016x}.cwasm", digest.hex(), hasher.finish()))
    }

    /// Whether the folder is a real one that belongs to this user and that nobody else may enter.
    fn is_private(&self) -> bool {
        fs::symlink_metadata(&self.folder).is_ok_and(|folder| folder.is_dir() && is_ours(&folder))
    }
}

fn is_ours(found: &fs::Metadata) -> bool {
    let others = Mode::RWXG | Mode::RWXO;
    found.uid() == rustix::process::geteuid().as_raw() && !Mode::from_raw_mode(found.mode()).intersects(others)
}

fn nofollow() -> i32 {
    // Flags of open(2) fit into an i32 by its definition.
    OFlags::NOFOLLOW.bits().cast_signed()
}

/// Loads the file that was checked, not whatever bears its name by now.
fn load(engine: &Engine, file: &File) -> Option<Component> {
    let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
    #[expect(
        unsafe_code,
        reason = "the file was written by `put` under this engine's compatibility hash, is owned by this user, and \
                  nobody else can write to it or enter its folder"
    )]
    // SAFETY: see above; files from elsewhere are never loaded.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}
