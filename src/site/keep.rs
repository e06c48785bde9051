//! Copies of the site's files in a run, and their way back. Links are kept as links; modes, owners and times stay.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::files;

/// Copies `relative` (a file, a link, or a folder with all that is in it) from the site into the folder `kept`, and gives the number of
/// files copied. A path that does not exist is nothing to copy.
pub fn copy(root: &Path, relative: &Path, kept: &Path) -> Result<usize> {
    let from = root.join(relative);
    let doing = || format!("could not keep a copy of {}", from.display());
    let Some(found) = metadata(&from).what_with(doing)? else { return Ok(0) };
    if found.is_dir() {
        make_folder(&kept.join(relative), &found).what_with(doing)?;
        let mut copied = 0;
        for entry in fs::read_dir(&from).what_with(doing)? {
            copied += copy(root, &relative.join(entry.what_with(doing)?.file_name()), kept)?;
        }
        return Ok(copied);
    }
    copy_one(&from, &kept.join(relative), &found).what_with(doing)
}

/// Brings back every kept file below `relative` that the site lacks, and gives their paths.
pub fn restore_missing(kept: &Path, relative: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    restore(kept, relative, root, |back, _| matches!(metadata(back), Ok(None)))
}

/// Brings back every kept file below `relative` that the site lacks or has otherwise, and gives their paths.
pub fn restore_changed(kept: &Path, relative: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    restore(kept, relative, root, |back, copy| !same(back, copy))
}

fn restore(kept: &Path, relative: &Path, root: &Path, wanted: fn(&Path, &Path) -> bool) -> Result<Vec<PathBuf>> {
    let (copy, back) = (kept.join(relative), root.join(relative));
    let doing = || format!("could not bring back {}", back.display());
    let Some(found) = metadata(&copy).what_with(doing)? else { return Ok(Vec::new()) };
    if found.is_dir() {
        if matches!(metadata(&back), Ok(None)) {
            make_folder(&back, &found).what_with(doing)?;
        }
        let mut restored = Vec::new();
        for entry in fs::read_dir(&copy).what_with(doing)? {
            restored.extend(restore(kept, &relative.join(entry.what_with(doing)?.file_name()), root, wanted)?);
        }
        return Ok(restored);
    }
    if !wanted(&back, &copy) {
        return Ok(Vec::new());
    }
    copy_one(&copy, &back, &found).what_with(doing)?;
    Ok(vec![relative.to_owned()])
}

/// Copies a file or a link so that the target is the old one or the new one. Sockets and devices hold nothing to keep.
fn copy_one(from: &Path, to: &Path, found: &Metadata) -> io::Result<usize> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let temporary = tempfile::Builder::new().prefix(".cowhand-").tempdir_in(folder)?;
    let beside = temporary.path().join("copy");
    if found.is_symlink() {
        symlink(fs::read_link(from)?, &beside)?;
    } else if found.is_file() {
        fs::copy(from, &beside)?;
        let file = File::options().write(true).open(&beside)?;
        file.set_permissions(PermissionsExt::from_mode(found.mode() & 0o7777))?;
        file.set_modified(found.modified()?)?;
        file.sync_all()?;
    } else {
        return Ok(0);
    }
    own(&beside, found)?;
    fs::rename(&beside, to)?;
    files::sync_folder(folder).map_err(io::Error::other)?;
    Ok(1)
}

fn make_folder(path: &Path, like: &Metadata) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, PermissionsExt::from_mode(like.mode() & 0o7777))?;
    own(path, like)
}

/// Only root can give files away; for anybody else every copy is their own.
fn own(path: &Path, like: &Metadata) -> io::Result<()> {
    if rustix::process::geteuid().is_root() { lchown(path, Some(like.uid()), Some(like.gid())) } else { Ok(()) }
}

fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found)),
        Err(missing) if matches!(missing.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether two files, or two links, are the same: content, mode and owner.
pub fn same(a: &Path, b: &Path) -> bool {
    let (Ok(Some(left)), Ok(Some(right))) = (metadata(a), metadata(b)) else { return false };
    let alike = left.mode() == right.mode() && left.uid() == right.uid() && left.gid() == right.gid();
    if left.is_symlink() || right.is_symlink() {
        return alike && fs::read_link(a).ok() == fs::read_link(b).ok();
    }
    alike && left.len() == right.len() && matches!((fs::read(a), fs::read(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_links_and_modes_come_back_and_nothing_else_is_touched() {
        let (site, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ssl = site.path().join("ssl");
        fs::create_dir_all(ssl.join("deep")).unwrap();
        fs::write(ssl.join("key.pem"), "key").unwrap();
        fs::set_permissions(ssl.join("key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
        symlink("/etc/elsewhere/cert.pem", ssl.join("cert.pem")).unwrap();
        fs::write(ssl.join("deep/dh.pem"), "dh").unwrap();
        assert_eq!(copy(site.path(), Path::new("ssl"), run.path()).unwrap(), 3);

        fs::remove_file(ssl.join("key.pem")).unwrap();
        fs::remove_file(ssl.join("cert.pem")).unwrap();
        fs::write(ssl.join("deep/dh.pem"), "changed").unwrap();
        let mut missing = restore_missing(run.path(), Path::new("ssl"), site.path()).unwrap();
        missing.sort();
        assert_eq!(missing, [Path::new("ssl/cert.pem"), Path::new("ssl/key.pem")]);
        assert_eq!(fs::read_link(ssl.join("cert.pem")).unwrap(), Path::new("/etc/elsewhere/cert.pem"));
        assert_eq!(fs::metadata(ssl.join("key.pem")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(ssl.join("deep/dh.pem")).unwrap(), "changed");

        let changed = restore_changed(run.path(), Path::new("ssl"), site.path()).unwrap();
        assert_eq!(changed, [Path::new("ssl/deep/dh.pem")]);
        assert!(restore_changed(run.path(), Path::new("ssl"), site.path()).unwrap().is_empty());
    }
}
