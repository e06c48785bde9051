//! The contents of objects, read on demand from any thread and cached within a limit.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use git2::{Blob, ObjectType, Oid, Repository};

use crate::error::{Context, Result};

/// The size of the cache in bytes: some ten thousand configuration files in three versions.
const ROOM: usize = 64 << 20;

/// Cached contents. A merge reads most objects three times: to merge them, for the plugins, and to
/// find losses.
#[derive(Default)]
pub(super) struct Known(Mutex<Texts>);

#[derive(Default)]
struct Texts {
    by_id: HashMap<Oid, Arc<[u8]>, RandomState>,
    bytes: usize,
}

impl Known {
    /// An object's content.
    pub(super) fn read<'g>(&self, git: &'g Repository, oid: Oid) -> Result<Content<'g>> {
        if let Some(known) = self.texts().by_id.get(&oid) {
            return Ok(Content::Known(Arc::clone(known)));
        }
        let blob = find(git, oid)?;
        let mut texts = self.texts();
        let bytes = texts.bytes.saturating_add(blob.size());
        if bytes > ROOM {
            return Ok(Content::Read(blob));
        }
        let content: Arc<[u8]> = blob.content().into();
        if texts.by_id.insert(oid, Arc::clone(&content)).is_none() {
            texts.bytes = bytes;
        }
        Ok(Content::Known(content))
    }

    fn texts(&self) -> std::sync::MutexGuard<'_, Texts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content of an object.
pub(super) enum Content<'g> {
    /// Cached.
    Known(Arc<[u8]>),
    /// Too large for the cache.
    Read(Blob<'g>),
}

impl Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Known(content) => content,
            Self::Read(blob) => blob.content(),
        }
    }
}

/// Reads an object without the cache.
pub(super) fn find(git: &Repository, oid: Oid) -> Result<Blob<'_>> {
    git.find_blob(oid).what_with(|| format!("could not read object {oid}"))
}

/// Stores content as a blob without a reference. An existing object is left alone: libgit2's own
/// function writes a file before it looks.
pub(super) fn write(git: &Repository, content: &[u8]) -> Result<Oid, git2::Error> {
    git.odb()?.write(ObjectType::Blob, content)
}

/// A reader of blobs with its own handle to the clone. Cheap to clone; `Send` and `Sync`.
#[derive(Clone)]
pub struct Blobs {
    git: Arc<Mutex<Repository>>,
    known: Arc<Known>,
}

impl Blobs {
    /// Returns a reader for the clone with this git directory.
    pub(super) fn open(git_folder: &Path, known: Arc<Known>) -> Result<Self> {
        let git = Repository::open(git_folder)
            .what_with(|| format!("could not open {}", git_folder.display()))?;
        Ok(Self { git: Arc::new(Mutex::new(git)), known })
    }

    /// Returns a blob's size in bytes without reading its content.
    pub fn size(&self, oid: Oid) -> Result<u64> {
        let git = self.git.lock().unwrap_or_else(PoisonError::into_inner);
        let header = git.odb().and_then(|odb| odb.read_header(oid));
        Ok(header.what_with(|| format!("could not read object {oid}"))?.0 as u64)
    }

    /// Returns a blob's content.
    pub fn read(&self, oid: Oid) -> Result<Vec<u8>> {
        let git = self.git.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.known.read(&git, oid)?.to_vec())
    }
}
