//! The cache of compiled components: each is compiled once per version of the engine.
//!
//! Compiled code is machine code: write access means execution. The cache is therefore a directory
//! that only its owner can enter. Directory and files are checked through open handles before use;
//! if a check fails, the component is compiled again.

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::Mode;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::digest::Digest;
use crate::dir::{Attributes, Dir};

/// The time after which unused code is removed: longer than the pause between two updates. The
/// kernel may record reads only once a day.
const KEPT_UNREAD: Duration = Duration::from_hours(90 * 24);
/// Root's cache. No environment variable that sudo keeps can change it.
const OF_ROOT: &str = "/var/cache/cowhand";
/// The environment variable for another cache, for tests.
#[cfg(feature = "testing")]
const VARIABLE: &str = "COWHAND_CACHE";

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    path: PathBuf,
}

impl Cache {
    /// Returns the caller's cache: `/var/cache/cowhand` for root, and for other users `cowhand`
    /// below `$XDG_CACHE_HOME` or `~/.cache`. `None` if neither is known.
    pub fn of_the_caller() -> Option<Self> {
        let from =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        #[cfg(feature = "testing")]
        if let Some(path) = from(VARIABLE) {
            return Some(Self::at(path));
        }
        if rustix::process::geteuid().is_root() {
            return Some(Self::at(OF_ROOT.into()));
        }
        let caches = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")))?;
        Some(Self::at(caches.join("cowhand")))
    }

    /// Returns the cache in this directory, which is created with its first entry.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the component if it is cached and passes every check.
    pub(super) fn get(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let (file, found) = self.open().ok()?.file(Path::new(&name(engine, digest))).ok()?;
        is_private(&found).then(|| load_file(engine, &file))?
    }

    /// Caches the component. A failure costs only time, so it is ignored.
    pub(super) fn put(&self, engine: &Engine, digest: &Digest, compiled: &[u8]) {
        if crate::files::private_folder(&self.path).is_ok()
            && let Ok(dir) = self.open()
        {
            sweep(&dir);
            let _ = place(&dir, &name(engine, digest), compiled);
        }
    }

    /// Opens the directory if it belongs to the caller and is closed to other users. Files are
    /// opened through the handle, so the checked directory is the used one.
    fn open(&self) -> io::Result<Dir> {
        let none = || io::Error::from(io::ErrorKind::InvalidInput);
        let (parent, name) = self.path.parent().zip(self.path.file_name()).ok_or_else(none)?;
        let dir = Dir::open(parent)?.dir(Path::new(name))?;
        if is_private(&dir.own_metadata()?) {
            return Ok(dir);
        }
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Removes entries that have not been read for long: removed plugins, and code for other versions
/// of the engine.
fn sweep(dir: &Dir) {
    let is_old = |found: Metadata| {
        let read = found.accessed().ok().and_then(|read| read.elapsed().ok());
        read.is_some_and(|age| age > KEPT_UNREAD)
    };
    for name in dir.names(usize::MAX).unwrap_or_default() {
        let name = Path::new(&name);
        if dir.metadata(name).ok().flatten().is_some_and(is_old) {
            let _ = dir.remove_file(name);
        }
    }
}

/// Writes a file under a temporary name first: other processes may compile the same component.
fn place(dir: &Dir, name: &str, content: &[u8]) -> io::Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let new = format!("{name}.{}-{count}", std::process::id());
    dir.write(Path::new(&new), content, Attributes::bits(0o600))?;
    Ok(rustix::fs::renameat(dir, &new, dir, name)?)
}

fn name(engine: &Engine, digest: &Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{}-{:016x}.cwasm", digest.hex(), hasher.finish())
}

/// Returns true if a file or directory belongs to the caller and other users have no access.
fn is_private(found: &Metadata) -> bool {
    let others = Mode::RWXG | Mode::RWXO;
    found.uid() == rustix::process::geteuid().as_raw()
        && !Mode::from_raw_mode(found.mode()).intersects(others)
}

/// Loads newly compiled code.
pub(super) fn load(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "these bytes come from this program's own compiler")]
    // SAFETY: see above; the engine refuses code of another version.
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

/// Loads the file behind the checked handle, not the path.
fn load_file(engine: &Engine, file: &File) -> Option<Component> {
    let path = Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
    #[expect(
        unsafe_code,
        reason = "the file was written by `put` under this engine's compatibility hash, is owned by this user, and \
                  nobody else can write to it or enter its folder"
    )]
    // SAFETY: see above; files from elsewhere are never loaded.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}
