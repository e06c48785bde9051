//! Reads objects from any thread: what a conflict's sides contain is read only when somebody asks.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use git2::{Oid, Repository};

use super::Repo;
use crate::error::{Context, Result};

/// A reader of blobs with a handle to the clone of its own. Cheap to clone; `Send` and `Sync`.
#[derive(Clone)]
pub struct Blobs(Arc<Mutex<Repository>>);

impl Repo {
    /// A reader of this clone's blobs for other threads.
    pub fn blobs(&self) -> Result<Blobs> {
        Blobs::open(self.git_folder())
    }
}

impl Blobs {
    fn open(git_folder: &Path) -> Result<Self> {
        let git = Repository::open(git_folder).what_with(|| format!("could not open {}", git_folder.display()))?;
        Ok(Self(Arc::new(Mutex::new(git))))
    }

    /// A blob's size in bytes, without reading its content.
    pub fn size(&self, oid: Oid) -> Result<u64> {
        let git = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let header = git.odb().and_then(|odb| odb.read_header(oid));
        Ok(header.what_with(|| format!("could not read object {oid}"))?.0 as u64)
    }

    /// A blob's content.
    pub fn read(&self, oid: Oid) -> Result<Vec<u8>> {
        let git = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let blob = git.find_blob(oid).what_with(|| format!("could not read object {oid}"))?;
        Ok(blob.content().to_vec())
    }
}
