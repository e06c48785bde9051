//! Reads granted directories.

use std::io::ErrorKind;

/// The files that the plugin may read.
pub struct Files<M> {
    /// Prefix for relative paths; empty in a component.
    pub root: String,
    /// Returns a file's permissions, or `None` if they are unknown.
    pub mode: M,
}

/// The reason why a file could not be read.
#[derive(Debug, PartialEq)]
pub enum Unread {
    /// The file does not exist.
    Missing,
    /// Reading failed; the file may exist.
    Refused(String),
}

impl<M: Fn(&str) -> Option<u32>> Files<M> {
    /// Reads a whole file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Unread> {
        std::fs::read(self.place(path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unread::Missing,
            _ => Unread::Refused(error.to_string()),
        })
    }

    /// Returns a file's permissions, or `None` if they are unknown.
    pub fn mode(&self, path: &str) -> Option<u32> {
        (self.mode)(&self.place(path))
    }

    /// Returns true if a directory was granted or is inside a granted one.
    pub fn is_open(&self, folder: &str) -> bool {
        std::fs::read_dir(self.place(folder)).is_ok()
    }

    /// Returns the sorted names of the directories in a directory.
    pub fn folders(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.place(folder)).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<_> =
            folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    fn place(&self, path: &str) -> String {
        if path.starts_with('/') { path.to_owned() } else { format!("{}{path}", self.root) }
    }
}
