//! The free space for the engine's images.

#![expect(clippy::disallowed_methods, reason = "the engine's directory")]

use std::path::{Path, PathBuf};

use super::engine::Engine;
use crate::error::{Context, Result};

/// Free space where the engine keeps its images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// The engine's directory.
    pub path: PathBuf,
    /// Bytes that root can still write there.
    pub free: u64,
}

/// Returns the free space; `None` if the engine is remote or its directory is not visible.
pub async fn space(engine: &Engine) -> Result<Option<Space>> {
    let info = engine
        .ask("could not ask the engine about itself", async || engine.docker().info().await)
        .await?;
    let Some(path) = info.docker_root_dir.map(PathBuf::from) else { return Ok(None) };
    if !engine.endpoint().is_local() || !path.is_dir() {
        return Ok(None);
    }
    free(&path).map(|free| Some(Space { path, free }))
}

/// Returns the number of bytes that root can still write below a directory.
pub fn free(path: &Path) -> Result<u64> {
    let found = rustix::fs::statvfs(path)
        .what_with(|| format!("could not ask for the free space at {}", path.display()))?;
    Ok(found.f_bfree.saturating_mul(found.f_frsize))
}
