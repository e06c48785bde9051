//! Reads, writes and removes single files of the site below a directory handle. No link is ever
//! followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode as Bits, OFlags, RenameFlags, Uid, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::dir::{Dir, beside, read_at_most};
use crate::error::{Context, Error, Result};
use crate::git::merge::Mode;
use crate::git::repo::MOST_OF_A_FILE;
use crate::path::SitePath;

/// The owner and the permissions of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permission bits.
    pub bits: u32,
    /// The owner's user id.
    pub user: u32,
    /// The group id.
    pub group: u32,
    /// The access control list, as the kernel stores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<u8>>,
}

/// The state of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a parent is not a directory.
    Nothing,
    /// A directory.
    Folder,
    /// A file or link.
    File(OnDisk),
    /// Something that git does not track: a socket, a device.
    Other,
}

/// A file or link on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// File, executable or link.
    pub mode: Mode,
    /// The content, or the link's target.
    pub content: Vec<u8>,
    /// The owner and the permissions.
    pub access: Access,
}

/// A file to write.
#[derive(Clone, Copy, Debug)]
pub struct ToWrite<'a> {
    /// File, executable or link.
    pub mode: Mode,
    /// The content, or the link's target.
    pub content: &'a [u8],
    /// The owner and the permissions. `None` uses git's modes: 0644 or 0755.
    pub access: Option<&'a Access>,
}

/// The extended attribute with the access control list.
const ACL: &str = "system.posix_acl_access";
/// Opens only directories.
const FOLDER: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// The site's directory, held open, with git's paths.
pub struct Disk(Dir);

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Disk {
    /// Opens the site's directory.
    pub fn open(root: &Path) -> Result<Self> {
        Ok(Self(Dir::open(root).what_with(|| format!("could not open {}", root.display()))?))
    }

    /// Returns the state of a path.
    pub fn find(&self, path: &SitePath) -> Result<Found> {
        let doing = || format!("could not read {path}");
        let Some((folder, name)) = self.parent(path, false)? else { return Ok(Found::Nothing) };
        look(&folder, &name).what_with(doing)
    }

    /// Removes and returns the file that a killed switch had displaced or not finished writing.
    pub fn take_leftover(&self, path: &SitePath) -> Result<Found> {
        let doing = || format!("could not clear up beside {path}");
        let Some((folder, name)) = self.parent(path, false)? else { return Ok(Found::Nothing) };
        let beside = beside(&name);
        let found = look(&folder, &beside).what_with(doing)?;
        if matches!(found, Found::File(_) | Found::Other) {
            remove_file(&folder, &beside).what_with(doing)?;
        }
        Ok(found)
    }

    /// Writes a temporary file, syncs it, and exchanges it with the existing file, which is
    /// returned: no other program can write in between. Missing directories are created; an empty
    /// directory at its place is removed.
    pub fn write(&self, path: &SitePath, file: ToWrite<'_>) -> Result<Found> {
        let doing = || format!("could not write {path}");
        let Some((folder, name)) = self.parent(path, true)? else {
            return Err(Error::new(doing())
                .because("something that is no folder stands where it needs one"));
        };
        let beside = beside(&name);
        remove_file(&folder, &beside).what_with(doing)?;
        let written = match file.mode {
            Mode::Link => write_link(&folder, &beside, file),
            _ => write_file(&folder, &beside, file),
        };
        let moved = written.and_then(|()| swap(&folder, &beside, &name));
        let displaced = match moved {
            Ok(displaced) => displaced,
            Err(error) => {
                // Best effort: an unfinished file should not stay.
                let _ = remove_file(&folder, &beside);
                return Err(error).what_with(doing);
            }
        };
        rustix::fs::fsync(&folder).what_with(doing)?;
        Ok(displaced)
    }

    /// Removes and returns a file, and removes the directories above it that are then empty.
    pub fn remove(&self, path: &SitePath) -> Result<Found> {
        let doing = || format!("could not remove {path}");
        let mut removed = Found::Nothing;
        if let Some((folder, name)) = self.parent(path, false)? {
            removed = take(&folder, &name).what_with(doing)?;
            rustix::fs::fsync(&folder).what_with(doing)?;
        }
        self.remove_empty_folders(path)?;
        Ok(removed)
    }

    /// Removes the empty directories above a path. A mount point or a busy directory stays.
    fn remove_empty_folders(&self, path: &SitePath) -> Result<()> {
        for above in
            path.as_path().ancestors().skip(1).filter(|above| !above.as_os_str().is_empty())
        {
            let above = SitePath::from(above);
            let Some((folder, name)) = self.parent(&above, false)? else { continue };
            match rustix::fs::unlinkat(&folder, &name, AtFlags::REMOVEDIR) {
                Ok(()) => {
                    rustix::fs::fsync(&folder)
                        .what_with(|| format!("could not sync the folder above {above}"))?;
                }
                Err(Errno::NOENT) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Returns the parent directory of a path. `None` if a part is missing (unless created) or not
    /// a directory.
    fn parent(&self, path: &SitePath, make: bool) -> Result<Option<(Dir, OsString)>> {
        let doing = || format!("could not open the folder of {path}");
        let mut parts = path.as_bytes().split(|byte| *byte == b'/');
        // git has no such paths, and a file system would interpret them.
        if parts.any(|part| matches!(part, b"" | b"." | b"..")) {
            return Err(Error::new(doing()).because("it is no path inside the site"));
        }
        match self.0.parent(path.as_path(), make) {
            Ok((folder, name)) => Ok(Some((folder, name.to_owned()))),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).what_with(doing),
        }
    }
}

fn look(folder: &Dir, name: &OsStr) -> io::Result<Found> {
    let name = Path::new(name);
    let Some(found) = folder.metadata(name)? else { return Ok(Found::Nothing) };
    if found.is_dir() {
        return Ok(Found::Folder);
    }
    if found.is_symlink() {
        let content = folder.read_link(name)?.into_os_string().into_encoded_bytes();
        let access = Access { bits: 0o777, user: found.uid(), group: found.gid(), list: None };
        return Ok(Found::File(OnDisk { mode: Mode::Link, content, access }));
    }
    if !found.is_file() {
        return Ok(Found::Other);
    }
    let (file, found) = folder.file(name)?;
    let bits = found.permissions().mode() & 0o7777;
    let mode = if bits & 0o100 == 0 { Mode::File } else { Mode::Executable };
    let access = Access { bits, user: found.uid(), group: found.gid(), list: access_list(&file) };
    Ok(Found::File(OnDisk { mode, content: read_at_most(file, MOST_OF_A_FILE)?, access }))
}

fn access_list(file: &File) -> Option<Vec<u8>> {
    let mut list = vec![0; 4096];
    let length = rustix::fs::fgetxattr(file, ACL, &mut list[..]).ok()?;
    list.truncate(length);
    Some(list)
}

fn write_file(folder: &impl AsFd, name: &OsStr, to_write: ToWrite<'_>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Bits::from_raw_mode(0o600))?);
    file.write_all(to_write.content)?;
    let executable = to_write.mode == Mode::Executable;
    let bits = match to_write.access {
        Some(access) if executable => access.bits | (access.bits & 0o444) >> 2,
        Some(access) => access.bits & !0o111,
        None if executable => 0o755,
        None => 0o644,
    };
    if let Some(access) = to_write.access {
        own(&file.metadata()?, access, |user, group| rustix::fs::fchown(&file, user, group))?;
        if let Some(list) = &access.list {
            rustix::fs::fsetxattr(&file, ACL, list, rustix::fs::XattrFlags::empty())?;
        }
    }
    rustix::fs::fchmod(&file, Bits::from_raw_mode(bits))?;
    file.sync_all()
}

fn write_link(folder: &impl AsFd, name: &OsStr, to_write: ToWrite<'_>) -> io::Result<()> {
    rustix::fs::symlinkat(OsStr::from_bytes(to_write.content), folder, name)?;
    let Some(access) = to_write.access else { return Ok(()) };
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (stat.st_uid, stat.st_gid) != (access.user, access.group) {
        let (user, group) = (Uid::from_raw(access.user), Gid::from_raw(access.group));
        rustix::fs::chownat(folder, name, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

fn own(
    found: &std::fs::Metadata,
    access: &Access,
    chown: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
) -> io::Result<()> {
    if (found.uid(), found.gid()) == (access.user, access.group) {
        return Ok(());
    }
    Ok(chown(Some(Uid::from_raw(access.user)), Some(Gid::from_raw(access.group)))?)
}

/// Exchanges a written file with the one in its place, and removes and returns the latter.
/// Directories that contain only empty directories are removed.
fn swap(folder: &Dir, beside: &OsStr, name: &OsStr) -> io::Result<Found> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        match renameat_with(folder, beside, folder, name, RenameFlags::EXCHANGE) {
            Ok(()) => return displaced(folder, beside, name),
            Err(Errno::NOENT) => {}
            // The file system cannot exchange files.
            Err(Errno::INVAL | Errno::NOSYS) => {
                let found = look(folder, name)?;
                put(folder, beside, name)?;
                return Ok(found);
            }
            Err(error) => return Err(error.into()),
        }
        match renameat_with(folder, beside, folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(Found::Nothing),
            // Another program has just created it.
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other("it comes and goes"))
}

/// Removes and returns the exchanged file. A directory with contents is exchanged back.
fn displaced(folder: &Dir, beside: &OsStr, name: &OsStr) -> io::Result<Found> {
    let found = look(folder, beside);
    let removed = match &found {
        Ok(Found::Folder) => remove_hollow(folder, beside),
        Ok(_) => remove_file(folder, beside).map_err(Into::into),
        Err(_) => Ok(()),
    };
    if found.is_err() || removed.is_err() {
        renameat_with(folder, beside, folder, name, RenameFlags::EXCHANGE)?;
    }
    removed.and(found)
}

/// Moves a written file to its place. Directories that contain only empty directories are removed.
fn put(folder: &impl AsFd, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match rustix::fs::renameat(folder, from, folder, to) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            remove_hollow(folder, to)?;
            Ok(rustix::fs::renameat(folder, from, folder, to)?)
        }
        moved => Ok(moved?),
    }
}

/// Removes and returns a file, which is first moved out of reach. A directory stays.
fn take(folder: &Dir, name: &OsStr) -> io::Result<Found> {
    let beside = beside(name);
    remove_file(folder, &beside)?;
    if !matches!(look(folder, name)?, Found::File(_) | Found::Other) {
        return Ok(Found::Nothing);
    }
    match rustix::fs::renameat(folder, name, folder, &beside) {
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        moved => moved?,
    }
    match look(folder, &beside)? {
        Found::Folder => {
            renameat_with(folder, &beside, folder, name, RenameFlags::NOREPLACE)?;
            Ok(Found::Nothing)
        }
        found => {
            remove_file(folder, &beside)?;
            Ok(found)
        }
    }
}

/// Removes a directory of empty directories. Fails if it contains a file.
fn remove_hollow(folder: &impl AsFd, name: &OsStr) -> io::Result<()> {
    let inside = match rustix::fs::openat(folder, name, FOLDER, Bits::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Err(std::io::ErrorKind::DirectoryNotEmpty.into());
        }
        opened => opened?,
    };
    for entry in rustix::fs::Dir::read_from(&inside)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            remove_hollow(&inside, name)?;
        }
    }
    Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

fn remove_file(folder: &impl AsFd, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        removed => removed,
    }
}
