//! Reading granted folders.

use std::io::ErrorKind;

/// The files that the plugin may read.
pub struct Files<M> {
    /// Put before relative paths; empty in a component.
    pub root: String,
    /// The permissions of a file, where they can be told.
    pub mode: M,
}

/// Why a file could not be read.
#[derive(Debug, PartialEq)]
pub enum Unread {
    /// It is not there.
    Missing,
    /// It is there, or may be.
    Refused(String),
}

impl<M: Fn(&str) -> Option<u32>> Files<M> {
    /// All of a file.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Unread> {
        std::fs::read(self.place(path)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unread::Missing,
            _ => Unread::Refused(error.to_string()),
        })
    }

    /// The permissions of a file, where they can be told.
    pub fn mode(&self, path: &str) -> Option<u32> {
        (self.mode)(&self.place(path))
    }

    /// Whether a folder was granted, or lies in one.
    pub fn is_open(&self, folder: &str) -> bool {
        std::fs::read_dir(self.place(folder)).is_ok()
    }

    /// The folders in a folder, by name.
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
