//! The one place that writes files so that a crash leaves the old one or the new one: beside, synced, renamed, folder synced.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::error::{Context, Result};

/// Writes `content` to `path` with these permission bits, atomically and durably. A link at `path` is replaced, not followed.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let doing = || format!("could not write {}", path.display());
    let mut file = tempfile::Builder::new().prefix(".cowhand-").tempfile_in(folder).what_with(doing)?;
    file.write_all(content).what_with(doing)?;
    file.as_file().set_permissions(Permissions::from_mode(mode)).what_with(doing)?;
    file.as_file().sync_all().what_with(doing)?;
    file.persist(path).map_err(|error| error.error).what_with(doing)?;
    sync_folder(folder)
}

/// Makes names created, renamed or removed in `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).what_with(|| format!("could not sync {}", folder.display()))
}

/// Creates `folder` and what is missing above it, readable by its owner alone.
pub fn private_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.what_with(|| format!("could not create {}", folder.display()))
}
