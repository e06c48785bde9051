//! Merge settings in `.gitattributes`. libgit2 searches for each path's files again; this caches
//! directories without any, which are nearly all.

#![expect(
    clippy::disallowed_methods,
    reason = "it only asks if a file exists that libgit2 reads by its path"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{AttrCheckFlags, AttrValue, Repository};

const FILE: &str = ".gitattributes";

/// The way to merge a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Line by line.
    Text,
    /// As a whole.
    Binary,
    /// Line by line, with both sides' lines in conflicts.
    Union,
}

/// The attributes of a clone.
pub struct Attributes<'g> {
    git: &'g Repository,
    /// True if a file for all directories may have settings.
    everywhere: bool,
    /// True if the file of a directory, or of one above it, may have settings.
    folders: RefCell<HashMap<PathBuf, bool>>,
}

impl<'g> Attributes<'g> {
    /// Returns the attributes of this clone.
    pub fn of(git: &'g Repository) -> Self {
        let everywhere =
            git.workdir().is_none() || global_files(git).iter().any(|file| may_exist(file));
        Self { git, everywhere, folders: RefCell::default() }
    }

    /// Returns the way to merge a path. The site's merge drivers are programs and do not run.
    pub fn driver(&self, path: &[u8]) -> Driver {
        let path = Path::new(OsStr::from_bytes(path));
        if !self.everywhere && !self.folder_speaks(path.parent().unwrap_or(Path::new(""))) {
            return Driver::Text;
        }
        let value =
            self.git.get_attr_bytes(path, "merge", AttrCheckFlags::FILE_THEN_INDEX).ok().flatten();
        match AttrValue::from_bytes(value) {
            AttrValue::False | AttrValue::String("binary") => Driver::Binary,
            AttrValue::String("union") => Driver::Union,
            _ => Driver::Text,
        }
    }

    fn folder_speaks(&self, folder: &Path) -> bool {
        if let Some(known) = self.folders.borrow().get(folder) {
            return *known;
        }
        let file = folder.join(FILE);
        let in_tree = self.git.workdir().is_none_or(|root| may_exist(&root.join(&file)));
        let in_index = || self.git.index().map_or(true, |index| index.get_path(&file, 0).is_some());
        let speaks =
            in_tree || in_index() || folder.parent().is_some_and(|above| self.folder_speaks(above));
        self.folders.borrow_mut().insert(folder.to_owned(), speaks);
        speaks
    }
}

/// Returns the files that libgit2 reads for every path: the clone's, the user's and the system's.
fn global_files(git: &Repository) -> Vec<PathBuf> {
    let home =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = git.config().and_then(|config| config.get_path("core.attributesfile")).ok();
    let user = home("XDG_CONFIG_HOME").or_else(|| Some(home("HOME")?.join(".config")));
    let user = user.map(|folder| folder.join("git/attributes"));
    let own = git.commondir().join("info/attributes");
    [own, PathBuf::from("/etc/gitattributes")].into_iter().chain(named).chain(user).collect()
}

fn may_exist(file: &Path) -> bool {
    let absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
    file.symlink_metadata().err().is_none_or(|error| !absent.contains(&error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_speaks_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init(folder.path()).unwrap();
        let driver = |path: &str| Attributes::of(&git).driver(path.as_bytes());
        let write = |file: &str, text: &str| {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(driver("a/b/c"), Driver::Text);
        write("a/.gitattributes", "c merge=union\n");
        assert_eq!((driver("a/b/c"), driver("b/c")), (Driver::Union, Driver::Text));
        // Only in the index.
        let mut index = git.index().unwrap();
        index.add_path(Path::new("a/.gitattributes")).unwrap();
        index.write().unwrap();
        std::fs::remove_dir_all(folder.path().join("a")).unwrap();
        assert_eq!((driver("a/b/c"), driver("b/c")), (Driver::Union, Driver::Text));
        write(".git/info/attributes", "b/* -merge\n");
        assert_eq!((driver("a/b/c"), driver("b/c")), (Driver::Union, Driver::Binary));
    }
}
