//! A directory held open, and the files below it: the one way to anything in a site's directory.
//!
//! Containers write below `data/`, and whoever may write a directory may put a link where a file or
//! a directory was. So nothing here follows a link: each part of a path is opened below the handle
//! of the part before it, and what is judged is what was opened. Opening part by part does what
//! `openat2` does with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS`, on every kernel and under every
//! system call filter.

#![expect(clippy::disallowed_methods, reason = "this is the module that opens for the others")]

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Timestamps, Uid};
use rustix::io::Errno;

/// Opens a directory and nothing else.
const DIRECTORY: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);
/// Opens a file without waiting for the other end of a FIFO.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Looks at whatever it is.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A directory held open. Paths are relative to it, and lead nowhere else.
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The mode, owner and time that a copy takes over from its original.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// Permission bits.
    pub bits: u32,
    /// Owner and group; `None` leaves the file to the caller.
    pub owner: Option<(u32, u32)>,
    /// The time of the last change, in seconds and nanoseconds; `None` is now.
    pub modified: Option<(i64, i64)>,
}

impl Attributes {
    /// Permission bits alone.
    pub fn bits(bits: u32) -> Self {
        Self { bits, owner: None, modified: None }
    }

    /// Those of another file. Only root can give files away: anybody else's copies are their own.
    pub fn of(found: &Metadata) -> Self {
        let root = rustix::process::geteuid().is_root();
        Self {
            bits: found.mode() & 0o7777,
            owner: root.then(|| (found.uid(), found.gid())),
            modified: Some((found.mtime(), found.mtime_nsec())),
        }
    }
}

impl Dir {
    /// Opens the directory at a path that the caller trusts; links in it are followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// Opens a directory below this one. `NotADirectory`: a part of the path is a link or a file.
    pub fn dir(&self, relative: &Path) -> io::Result<Self> {
        self.walk(relative, false)
    }

    /// Opens a directory below this one and makes what is missing of it, with mode 0755.
    pub fn make_dir(&self, relative: &Path) -> io::Result<Self> {
        self.walk(relative, true)
    }

    /// Returns what is known of this directory itself.
    pub fn own_metadata(&self) -> io::Result<Metadata> {
        File::from(self.0.try_clone()?).metadata()
    }

    /// Returns what is at a path: a link itself, never its target. `None` if there is nothing.
    pub fn metadata(&self, relative: &Path) -> io::Result<Option<Metadata>> {
        let opened = self.parent(relative, false).and_then(|(parent, name)| {
            Ok(File::from(rustix::fs::openat(&parent.0, name, LOOK, Mode::empty())?))
        });
        match opened {
            Ok(file) => file.metadata().map(Some),
            Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether nothing is at a path, or a part of it is no directory.
    pub fn is_missing(&self, relative: &Path) -> bool {
        match self.metadata(relative) {
            Ok(found) => found.is_none(),
            Err(error) => error.kind() == ErrorKind::NotADirectory,
        }
    }

    /// Returns whether a regular file is at a path.
    pub fn is_file(&self, relative: &Path) -> bool {
        matches!(self.metadata(relative), Ok(Some(found)) if found.is_file())
    }

    /// Opens a regular file for reading; anything else is an error, and nothing blocks.
    pub fn file(&self, relative: &Path) -> io::Result<(File, Metadata)> {
        let (parent, name) = self.parent(relative, false)?;
        let file = match rustix::fs::openat(&parent.0, name, FILE, Mode::empty()) {
            // A socket answers so.
            Err(Errno::NXIO | Errno::LOOP) => return Err(no_file()),
            opened => File::from(opened?),
        };
        let found = file.metadata()?;
        if found.is_file() { Ok((file, found)) } else { Err(no_file()) }
    }

    /// Reads a regular file of at most `most` bytes.
    pub fn read(&self, relative: &Path, most: u64) -> io::Result<Vec<u8>> {
        let (file, _) = self.file(relative)?;
        read_at_most(file, most)
    }

    /// Returns where a link points.
    pub fn read_link(&self, relative: &Path) -> io::Result<PathBuf> {
        let (parent, name) = self.parent(relative, false)?;
        let target = rustix::fs::readlinkat(&parent.0, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Returns the names in this directory, sorted; an error if there are more than `most`.
    pub fn names(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == most {
                return Err(io::Error::other(format!("it has more than {most} entries")));
            }
            names.push(name.to_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Writes a file so that a crash leaves the old one or the new one. Missing directories are
    /// made; a link at its place is replaced, not followed.
    pub fn write(&self, relative: &Path, content: &[u8], like: Attributes) -> io::Result<()> {
        self.write_from(relative, &mut &content[..], content.len() as u64, like)
    }

    /// Like [`Dir::write`], with the content of a reader that gives at most `most` bytes.
    pub fn write_from(
        &self,
        relative: &Path,
        content: &mut dyn Read,
        most: u64,
        like: Attributes,
    ) -> io::Result<()> {
        self.place(relative, |parent, beside| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let mode = Mode::from_raw_mode(0o600);
            let file = rustix::fs::openat(&parent.0, beside, flags | OFlags::CLOEXEC, mode)?;
            let mut file = File::from(file);
            if io::copy(&mut content.take(most.saturating_add(1)), &mut file)? > most {
                return Err(too_large(most));
            }
            if let Some((user, group)) = like.owner {
                rustix::fs::fchown(&file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
            }
            rustix::fs::fchmod(&file, Mode::from_raw_mode(like.bits))?;
            if let Some((tv_sec, tv_nsec)) = like.modified {
                let time = rustix::fs::Timespec { tv_sec, tv_nsec };
                let times = Timestamps { last_access: time, last_modification: time };
                rustix::fs::futimens(&file, &times)?;
            }
            file.flush().and_then(|()| file.sync_all())
        })
    }

    /// Makes a link, atomically, in the place of whatever file or link is there.
    pub fn write_link(&self, relative: &Path, target: &Path, like: Attributes) -> io::Result<()> {
        self.place(relative, |parent, beside| {
            rustix::fs::symlinkat(target, &parent.0, beside)?;
            if let Some((user, group)) = like.owner {
                let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&parent.0, beside, Some(user), Some(group), flags)?;
            }
            Ok(())
        })
    }

    /// Gives this directory mode and owner of another.
    pub fn set_attributes(&self, like: Attributes) -> io::Result<()> {
        if let Some((user, group)) = like.owner {
            rustix::fs::fchown(&self.0, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(like.bits))?)
    }

    /// Moves a regular file to a path where nothing is.
    pub fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((source, old), (target, new)) = (self.parent(from, false)?, self.parent(to, true)?);
        match rustix::fs::renameat_with(&source.0, old, &target.0, new, RenameFlags::NOREPLACE) {
            // A file system without that flag: the check of the caller has to do.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::renameat(&source.0, old, &target.0, new)?;
            }
            moved => moved?,
        }
        target.sync().and_then(|()| source.sync())
    }

    /// Removes a file or a link; nothing there is no error.
    pub fn remove_file(&self, relative: &Path) -> io::Result<()> {
        let removed = self.parent(relative, false).and_then(|(parent, name)| {
            rustix::fs::unlinkat(&parent.0, name, AtFlags::empty())?;
            parent.sync()
        });
        match removed {
            Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Removes an empty directory.
    pub fn remove_dir(&self, relative: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(relative, false)?;
        Ok(rustix::fs::unlinkat(&parent.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes names that were created, renamed or removed in this directory durable.
    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Opens the directory that holds a path's last part.
    pub fn parent<'p>(&self, relative: &'p Path, make: bool) -> io::Result<(Self, &'p OsStr)> {
        let Some(Component::Normal(name)) = relative.components().next_back() else {
            return Err(leads_out());
        };
        Ok((self.walk(relative.parent().unwrap_or(Path::new("")), make)?, name))
    }

    fn walk(&self, relative: &Path, make: bool) -> io::Result<Self> {
        let mut dir = Self(rustix::io::dup(&self.0)?);
        for part in relative.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::CurDir => continue,
                _ => return Err(leads_out()),
            };
            dir = match rustix::fs::openat(&dir.0, name, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) if make => dir.make_child(name)?,
                // A link, in the words of some file systems.
                Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
                opened => Self(opened?),
            };
        }
        Ok(dir)
    }

    fn make_child(&self, name: &OsStr) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            // Somebody else has just made it.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        self.sync()?;
        Ok(Self(rustix::fs::openat(&self.0, name, DIRECTORY, Mode::empty())?))
    }

    /// Lets `write` make something beside a path, then moves it there.
    fn place(
        &self,
        relative: &Path,
        write: impl FnOnce(&Self, &OsStr) -> io::Result<()>,
    ) -> io::Result<()> {
        let (parent, name) = self.parent(relative, true)?;
        let beside = beside(name);
        match rustix::fs::unlinkat(&parent.0, &beside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let moved = write(&parent, &beside)
            .and_then(|()| Ok(rustix::fs::renameat(&parent.0, &beside, &parent.0, name)?));
        if let Err(error) = moved {
            // Best effort: the failure matters more than what it leaves.
            let _ = rustix::fs::unlinkat(&parent.0, &beside, AtFlags::empty());
            return Err(error);
        }
        parent.sync()
    }
}

/// A directory held by a handle that reads nothing but leads there again, whatever its path leads
/// to by then.
#[derive(Debug)]
pub struct Held {
    handle: OwnedFd,
    around: Vec<Identity>,
}

/// The identity of a file or directory, under whatever path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    /// Of what a path leads to; `None` if it leads nowhere.
    pub fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|found| Self::of_metadata(&found))
    }

    fn of_metadata(found: &Metadata) -> Self {
        Self(found.dev(), found.ino())
    }
}

impl Held {
    /// Opens the directory at an absolute path. `NotADirectory`: a part of the path is a link.
    pub fn open(path: &Path) -> io::Result<Self> {
        if !path.is_absolute() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path is relative"));
        }
        let flags = LOOK | OFlags::DIRECTORY;
        let mut handle = rustix::fs::open("/", flags, Mode::empty())?;
        let mut around = vec![Self::identity(&handle)?];
        for part in path.components() {
            let name = match part {
                Component::RootDir => continue,
                Component::Normal(name) => name,
                _ => return Err(leads_out()),
            };
            handle = rustix::fs::openat(&handle, name, flags, Mode::empty())?;
            around.push(Self::identity(&handle)?);
        }
        around.reverse();
        Ok(Self { handle, around })
    }

    fn identity(handle: &OwnedFd) -> io::Result<Identity> {
        Ok(Identity::of_metadata(&File::from(handle.try_clone()?).metadata()?))
    }

    /// The directory, the one that it was in when it was opened, and so on up to the root.
    pub fn around(&self) -> &[Identity] {
        &self.around
    }

    /// Returns another handle to the directory.
    pub fn handle(&self) -> io::Result<File> {
        Ok(self.handle.try_clone()?.into())
    }

    /// Returns a path that leads to the directory while this handle is open.
    pub fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.handle.as_raw_fd().to_string())
    }
}

/// The name under which a file is written before it is moved to its place: hidden, and the same
/// after a crash.
pub fn beside(name: &OsStr) -> OsString {
    const LONGEST: usize = 200;
    let name = name.as_bytes();
    let mut beside = b".cowhand-".to_vec();
    beside.extend_from_slice(&name[..name.len().min(LONGEST)]);
    OsString::from_vec(beside)
}

/// Reads what is left of a file, which must be at most `most` bytes.
pub fn read_at_most(file: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > most { Err(too_large(most)) } else { Ok(content) }
}

fn too_large(most: u64) -> io::Error {
    let most = bytesize::ByteSize::b(most);
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {most}"))
}

fn no_file() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")
}

fn leads_out() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "the path leads out of its directory")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn world() -> (tempfile::TempDir, Dir) {
        let world = tempfile::tempdir().unwrap();
        for dir in ["site/data/ssl", "outside"] {
            fs::create_dir_all(world.path().join(dir)).unwrap();
        }
        fs::write(world.path().join("outside/secret"), "secret").unwrap();
        let site = Dir::open(&world.path().join("site")).unwrap();
        (world, site)
    }

    #[test]
    fn nothing_is_read_or_written_through_a_link() {
        let (world, site) = world();
        symlink("../../../outside", world.path().join("site/data/ssl/sub")).unwrap();
        symlink("../../../outside/secret", world.path().join("site/data/ssl/leaf")).unwrap();
        let through = Path::new("data/ssl/sub/secret");
        let kind = |error: io::Error| error.kind();
        assert_eq!(site.read(through, 100).map_err(kind), Err(ErrorKind::NotADirectory));
        assert_eq!(site.metadata(through).map_err(kind).err(), Some(ErrorKind::NotADirectory));
        assert!(site.read(Path::new("data/ssl/leaf"), 100).is_err());
        assert!(site.metadata(Path::new("data/ssl/leaf")).unwrap().unwrap().is_symlink());
        for new in ["data/ssl/sub/new", "data/ssl/sub/deep/new"] {
            let written = site.write(Path::new(new), b"x", Attributes::bits(0o644));
            assert_eq!(written.map_err(kind), Err(ErrorKind::NotADirectory), "{new}");
        }
        assert!(site.remove_file(through).is_err());
        assert_eq!(fs::read_dir(world.path().join("outside")).unwrap().count(), 1);
        site.write(Path::new("data/ssl/leaf"), b"x", Attributes::bits(0o640)).unwrap();
        assert_eq!(fs::read(world.path().join("outside/secret")).unwrap(), b"secret");
        let leaf = site.metadata(Path::new("data/ssl/leaf")).unwrap().unwrap();
        assert!(leaf.is_file() && leaf.mode() & 0o777 == 0o640);
    }

    #[test]
    fn paths_lead_nowhere_else() {
        let (_world, site) = world();
        for path in ["..", "../outside/secret", "data/../../outside/secret", "/etc/passwd", ""] {
            assert!(site.read(Path::new(path), 100).is_err(), "{path}");
            let written = site.write(Path::new(path), b"x", Attributes::bits(0o644));
            assert!(written.is_err(), "{path}");
        }
    }

    #[test]
    fn only_files_are_read_and_only_so_much_of_them() {
        let (world, site) = world();
        let ssl = world.path().join("site/data/ssl");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            ssl.join("fifo"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(ssl.join("socket")).unwrap();
        fs::File::create(ssl.join("sparse")).unwrap().set_len(1 << 40).unwrap();
        for name in ["fifo", "socket", "sparse"] {
            assert!(site.read(&Path::new("data/ssl").join(name), 100).is_err(), "{name}");
        }
        assert!(site.read(Path::new("data/ssl"), 100).is_err());
        assert!(site.dir(Path::new("data/ssl")).unwrap().names(2).is_err());
    }

    #[test]
    fn a_held_directory_stays_the_one_that_was_opened() {
        let (world, _) = world();
        let at = |name: &str| world.path().canonicalize().unwrap().join(name);
        let held = Held::open(&at("site/data")).unwrap();
        assert_eq!(
            held.around()[..2],
            [at("site/data"), at("site")].map(|at| Identity::of(&at).unwrap())
        );
        assert_eq!(held.around().last().copied(), Identity::of(Path::new("/")));
        fs::rename(at("site/data"), at("site/moved")).unwrap();
        symlink("../outside", at("site/data")).unwrap();
        assert_eq!(Identity::of(&held.path()), Identity::of(&at("site/moved")));
        for path in ["site/data", "site/data/x", "outside/secret"] {
            assert!(Held::open(&at(path)).is_err(), "{path}");
        }
        assert!(Held::open(Path::new("relative")).is_err() && Held::open(&at("site/..")).is_err());
    }

    #[test]
    fn a_file_moves_only_to_where_nothing_is() {
        let (world, site) = world();
        fs::write(world.path().join("site/a"), "a").unwrap();
        fs::write(world.path().join("site/b"), "b").unwrap();
        assert!(site.rename_new(Path::new("a"), Path::new("b")).is_err());
        site.rename_new(Path::new("a"), Path::new("new/c")).unwrap();
        assert_eq!(site.read(Path::new("new/c"), 1).unwrap(), b"a");
        assert_eq!(site.read(Path::new("b"), 1).unwrap(), b"b");
    }
}
