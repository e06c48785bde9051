//! The functions that the targets in `fuzz/` call: the parsers of bytes that others wrote, private
//! ones too. It exists only in their build.

#![allow(missing_docs, reason = "each does what the function does that it calls")]

use git2::{Oid, Repository};
use oci_client::manifest::OciManifest;

use crate::error::{Error, Result};
use crate::git::Repo;
use crate::git::merge::guard::Guard;
use crate::git::merge::trees::{self, Trees};
use crate::plugin::fetch::registry;
use crate::plugin::{LockFile, Request, inspect};
use crate::site::journal::{self, Record};
use crate::site::settings::{self, Functions};
use crate::stack::compose;

/// The entries of a tree: mode, name, object.
pub fn tree(bytes: &[u8]) -> Option<Vec<(u32, Vec<u8>, Oid)>> {
    let folder = trees::parse(bytes)?;
    Some(folder.into_iter().map(|(name, version)| (version.mode, name, version.oid)).collect())
}

/// Returns true if a tree may be checked out, as a root.
pub fn is_safe(tree: &[u8]) -> bool {
    trees::parse(tree).is_some_and(|folder| Guard::default().folder(&folder, &[]).is_ok())
}

/// Writes the tree of what was read from these bytes.
pub fn write_tree(git: &Repository, tree: &[u8]) -> Result<Oid> {
    let folder = trees::parse(tree).ok_or_else(|| Error::new("it is no tree"))?;
    let trees = Trees::of(git)?;
    let made = trees.make(folder)?;
    trees.store(made)?;
    Ok(made)
}

pub fn clone_of(repo: &Repo) -> &Repository {
    &repo.git
}

pub fn requests(section: &[u8]) -> Result<Vec<Request>> {
    inspect::requests(&[section.to_vec()])
}

/// The digest and the size of the layer that would be fetched.
pub fn layer(manifest: &[u8]) -> Result<(String, i64)> {
    match serde_json::from_slice(manifest) {
        Ok(OciManifest::Image(image)) => {
            registry::layer(&image).map(|layer| (layer.digest.clone(), layer.size))
        }
        Ok(OciManifest::ImageIndex(_)) => Err(Error::new("it is an index")),
        Err(error) => Err(Error::new("it is no manifest").because(error)),
    }
}

pub fn lock_file(text: &str) -> Result<LockFile> {
    LockFile::parse(text, crate::plugin::LOCK_FILE)
}

pub fn lock_file_text(lock: &LockFile) -> Result<String> {
    lock.text("")
}

pub fn journal(text: &str) -> Result<Record, String> {
    journal::unsealed(text)
}

pub fn journal_text(record: &Record) -> String {
    journal::sealed(record).unwrap_or_default()
}

pub fn seal(text: &str) -> String {
    journal::seal(text)
}

pub fn compose_warning(line: &str) -> Option<String> {
    compose::warning(line)
}

pub fn compose_hint(complaint: &str) -> Option<String> {
    compose::hint(complaint)
}

pub fn with_compose(conf: &[u8], compose: &str) -> Vec<u8> {
    settings::with_compose(conf, compose)
}

pub fn keep_own_options(before: &[u8], after: &[u8], functions: &Functions) -> Vec<u8> {
    settings::keep_own_options(before, after.to_vec(), functions, &mut Vec::new())
}
