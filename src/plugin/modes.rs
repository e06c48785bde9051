//! The permissions of files in granted directories, which WASI's file system does not have.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use cap_std::fs::{Dir, MetadataExt};

use super::grant::Folder;

/// Returns the permissions of a file that a plugin names. Links are followed within the granted
/// directory.
pub(super) fn mode(granted: &[Folder], path: &Path) -> Result<u32> {
    let below = |folder| -> Option<(&Folder, &Path)> {
        Some((folder, path.strip_prefix(&folder.seen_as).ok()?))
    };
    // The innermost of several directories counts, as in the plugin's view of the file system.
    let innermost =
        granted.iter().filter_map(below).min_by_key(|(_, rest)| rest.components().count());
    let (folder, rest) = innermost.ok_or_else(|| {
        Error::new(ErrorKind::PermissionDenied, "it is not in a granted directory")
    })?;
    let opened = Dir::from_std_file(folder.handle()?);
    let about =
        if rest.as_os_str().is_empty() { opened.dir_metadata() } else { opened.metadata(rest) }?;
    Ok(about.mode() & 0o7777)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, create_dir, set_permissions, write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn modes_are_told_of_what_is_inside_alone() {
        let machine = tempfile::tempdir().unwrap();
        let at = |name: &str| machine.path().join(name);
        create_dir(at("ssl")).unwrap();
        for (name, bits) in [("ssl/key.pem", 0o640), ("outside.pem", 0o600)] {
            write(at(name), "").unwrap();
            set_permissions(at(name), Permissions::from_mode(bits)).unwrap();
        }
        symlink("key.pem", at("ssl/link.pem")).unwrap();
        symlink("../outside.pem", at("ssl/out.pem")).unwrap();
        let path = at("ssl").canonicalize().unwrap();
        let granted = [Folder::open("data/assets/ssl".to_owned(), path, String::new()).unwrap()];
        let told = |path: &str| mode(&granted, Path::new(path)).ok();
        assert_eq!(told("data/assets/ssl/key.pem"), Some(0o640));
        assert_eq!(told("data/assets/ssl/link.pem"), Some(0o640));
        assert!(told("data/assets/ssl").is_some());
        for refused in [
            "data/assets/ssl/out.pem",
            "data/assets/ssl/../outside.pem",
            "data/assets/ssl/none",
            "data",
            "/etc",
        ] {
            assert_eq!(told(refused), None, "{refused}");
        }
    }
}
