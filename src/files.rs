//! The one place that writes files so that a crash leaves the old one or the new one: beside,
//! synced, renamed, folder synced.

#![expect(clippy::disallowed_methods, reason = "this module writes outside the site's files")]

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Context, Result};

/// Writes `content` to `path` with these permission bits, atomically and durably. A link at `path`
/// is replaced, not followed.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut file = Growing::begin(path, mode)?;
    file.write_all(content).what_with(|| format!("could not write {}", path.display()))?;
    file.finish()
}

/// A file that is written beside its place, piece by piece, and moved there when it is whole.
/// Without [`Growing::finish`] nothing comes of it.
#[derive(Debug)]
pub struct Growing {
    file: NamedTempFile,
    path: PathBuf,
}

impl Growing {
    /// Begins the file that shall be at `path`, with these permission bits.
    pub fn begin(path: &Path, mode: u32) -> Result<Self> {
        let doing = || format!("could not write {}", path.display());
        let beside = tempfile::Builder::new()
            .prefix(".cowhand-")
            .tempfile_in(folder_of(path))
            .what_with(doing)?;
        beside.as_file().set_permissions(Permissions::from_mode(mode)).what_with(doing)?;
        Ok(Self { file: beside, path: path.to_owned() })
    }

    /// Moves it to its place, atomically and durably.
    pub fn finish(self) -> Result<()> {
        let doing = || format!("could not write {}", self.path.display());
        self.file.as_file().sync_all().what_with(doing)?;
        self.file.persist(&self.path).map_err(|error| error.error).what_with(doing)?;
        sync_folder(folder_of(&self.path))
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Makes names created, renamed or removed in `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .what_with(|| format!("could not sync {}", folder.display()))
}

/// Creates `folder` and what is missing above it, readable by its owner alone.
pub fn private_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.what_with(|| format!("could not create {}", folder.display()))
}
