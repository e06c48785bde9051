//! Reads, writes and removes single files of the site under a folder handle: no link, wherever it points, is ever followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode as Bits, OFlags, Uid};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::git::merge::Mode;
use crate::path::SitePath;

/// Who owns a file and who may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Permission bits.
    pub bits: u32,
    /// The owner's number.
    pub user: u32,
    /// The group's number.
    pub group: u32,
    /// The access control list, as the kernel stores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<u8>>,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing; or a parent is no folder.
    Nothing,
    /// A folder.
    Folder,
    /// A file or link.
    File(OnDisk),
    /// Something that git does not know: a socket, a device.
    Other,
}

/// A file or link as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// File, executable or link.
    pub mode: Mode,
    /// The bytes, or where the link points.
    pub content: Vec<u8>,
    /// Who may use it.
    pub access: Access,
}

/// A file to write.
#[derive(Clone, Copy, Debug)]
pub struct ToWrite<'a> {
    /// File, executable or link.
    pub mode: Mode,
    /// The bytes, or where the link points.
    pub content: &'a [u8],
    /// Who may use it; without it as git makes files: 0644 or 0755.
    pub access: Option<&'a Access>,
}

/// The access control list's name.
const ACL: &str = "system.posix_acl_access";
/// Opens a folder and nothing else.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::RDONLY).union(OFlags::CLOEXEC);

/// The site's folder, held open.
pub struct Disk(OwnedFd);

impl AsFd for Disk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Disk {
    /// Opens the site's folder.
    pub fn open(root: &Path) -> Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(root, flags, Bits::empty());
        Ok(Self(handle.what_with(|| format!("could not open {}", root.display()))?))
    }

    /// What is at a path.
    pub fn find(&self, path: &SitePath) -> Result<Found> {
        let doing = || format!("could not read {path}");
        let Some((folder, name)) = self.parent(path, false)? else { return Ok(Found::Nothing) };
        let stat = match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Nothing),
            Err(error) => return Err(error).what_with(doing),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(Found::Folder),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&folder, &name, Vec::new()).what_with(doing)?;
                let access = Access { bits: 0o777, user: stat.st_uid, group: stat.st_gid, list: None };
                Ok(Found::File(OnDisk { mode: Mode::Link, content: target.into_bytes(), access }))
            }
            FileType::RegularFile => read(&folder, &name).what_with(doing).map(Found::File),
            _ => Ok(Found::Other),
        }
    }

    /// Writes a file beside its place, makes it durable, and moves it there. Missing folders are made; an empty folder at its
    /// place goes.
    pub fn write(&self, path: &SitePath, file: ToWrite<'_>) -> Result<()> {
        let doing = || format!("could not write {path}");
        let Some((folder, name)) = self.parent(path, true)? else {
            return Err(Error::new(doing()).because("something that is no folder stands where it needs one"));
        };
        let beside = beside(&name);
        remove_file(&folder, &beside).what_with(doing)?;
        let written = match file.mode {
            Mode::Link => write_link(&folder, &beside, file),
            _ => write_file(&folder, &beside, file),
        };
        let moved = written.and_then(|()| put(&folder, &beside, &name));
        if let Err(error) = moved {
            // Best effort: what could not be written is not to be left lying about.
            let _ = remove_file(&folder, &beside);
            return Err(error).what_with(doing);
        }
        rustix::fs::fsync(&folder).what_with(doing)
    }

    /// Removes a file, and the folders above that are empty then.
    pub fn remove(&self, path: &SitePath) -> Result<()> {
        let doing = || format!("could not remove {path}");
        if let Some((folder, name)) = self.parent(path, false)? {
            remove_file(&folder, &name).what_with(doing)?;
            remove_file(&folder, &beside(&name)).what_with(doing)?;
            rustix::fs::fsync(&folder).what_with(doing)?;
        }
        self.remove_empty_folders(path)
    }

    /// Removes the folders above a path as long as they are empty; a mount point or a busy folder stays.
    fn remove_empty_folders(&self, path: &SitePath) -> Result<()> {
        for above in path.as_path().ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            let above = SitePath::from(above);
            let Some((folder, name)) = self.parent(&above, false)? else { continue };
            match rustix::fs::unlinkat(&folder, &name, AtFlags::REMOVEDIR) {
                Ok(()) => {
                    rustix::fs::fsync(&folder).what_with(|| format!("could not sync the folder above {above}"))?;
                }
                Err(Errno::NOENT) => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// The folder that holds a path's last part, opened part by part; none where a part is missing (unless made) or no folder.
    fn parent(&self, path: &SitePath, make: bool) -> Result<Option<(OwnedFd, OsString)>> {
        let doing = || format!("could not open the folder of {path}");
        let mut parts: Vec<&OsStr> = path.as_bytes().split(|byte| *byte == b'/').map(OsStr::from_bytes).collect();
        let safe = |part: &&OsStr| !part.is_empty() && *part != "." && *part != "..";
        let (Some(name), true) = (parts.pop(), parts.iter().all(safe)) else {
            return Err(Error::new(doing()).because("it is no path inside the site"));
        };
        if !safe(&name) {
            return Err(Error::new(doing()).because("it is no path inside the site"));
        }
        let mut folder = rustix::io::dup(&self.0).what_with(doing)?;
        for part in parts {
            let opened = match rustix::fs::openat(&folder, part, FOLDER, Bits::empty()) {
                Err(Errno::NOENT) if make => {
                    rustix::fs::mkdirat(&folder, part, Bits::from_raw_mode(0o755)).what_with(doing)?;
                    rustix::fs::fsync(&folder).what_with(doing)?;
                    rustix::fs::openat(&folder, part, FOLDER, Bits::empty())
                }
                opened => opened,
            };
            folder = match opened {
                Ok(opened) => opened,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(error) => return Err(error).what_with(doing),
            };
        }
        Ok(Some((folder, name.to_owned())))
    }
}

/// Where a file is written before it is moved to its place: hidden, and the same after a crash.
fn beside(name: &OsStr) -> OsString {
    const LONGEST: usize = 200;
    let name = name.as_bytes();
    let mut beside = b".cowhand-".to_vec();
    beside.extend_from_slice(&name[..name.len().min(LONGEST)]);
    OsString::from_vec(beside)
}

fn read(folder: &OwnedFd, name: &OsStr) -> std::io::Result<OnDisk> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Bits::empty())?);
    let found = file.metadata()?;
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    let bits = found.permissions().mode() & 0o7777;
    let mode = if bits & 0o100 == 0 { Mode::File } else { Mode::Executable };
    let access = Access { bits, user: found.uid(), group: found.gid(), list: access_list(&file) };
    Ok(OnDisk { mode, content, access })
}

fn access_list(file: &File) -> Option<Vec<u8>> {
    let mut list = vec![0; 4096];
    let length = rustix::fs::fgetxattr(file, ACL, &mut list[..]).ok()?;
    list.truncate(length);
    Some(list)
}

fn write_file(folder: &OwnedFd, name: &OsStr, to_write: ToWrite<'_>) -> std::io::Result<()> {
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

fn write_link(folder: &OwnedFd, name: &OsStr, to_write: ToWrite<'_>) -> std::io::Result<()> {
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
) -> std::io::Result<()> {
    if (found.uid(), found.gid()) == (access.user, access.group) {
        return Ok(());
    }
    Ok(chown(Some(Uid::from_raw(access.user)), Some(Gid::from_raw(access.group)))?)
}

/// Moves a written file to its place; folders there that hold nothing but empty folders give way.
fn put(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> std::io::Result<()> {
    match rustix::fs::renameat(folder, from, folder, to) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            remove_hollow(folder, to)?;
            Ok(rustix::fs::renameat(folder, from, folder, to)?)
        }
        moved => Ok(moved?),
    }
}

/// Removes a folder of empty folders; fails where a file is in it.
fn remove_hollow(folder: &OwnedFd, name: &OsStr) -> std::io::Result<()> {
    let inside = match rustix::fs::openat(folder, name, FOLDER, Bits::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(std::io::ErrorKind::DirectoryNotEmpty.into()),
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

fn remove_file(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT | Errno::ISDIR) => Ok(()),
        removed => removed,
    }
}
