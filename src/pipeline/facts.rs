//! The facts in a run's journal: enough to resume or roll back after a kill and without the
//! network.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Context, Result};
use crate::git::Oid;
use crate::path::SitePath;

/// [`super::Options`]: what was asked for.
pub const OPTIONS: &str = "options";
/// [`crate::plan::Plan`]: what is to be done.
pub const PLAN: &str = "plan";
/// [`Before`]: the branch before the run.
pub const BEFORE: &str = "before";
/// [`Chosen`]: what is merged.
pub const CHOSEN: &str = "chosen";
/// [`crate::git::local::Local`]: the site's side.
pub const LOCAL: &str = "local";
/// [`crate::git::merge::Merged`]: what the merge came to.
pub const MERGED: &str = "merged";
/// [`crate::git::switch::Switch`]: the files to change, and how they were.
pub const SWITCH: &str = "switch";
/// The compose project's name.
pub const PROJECT: &str = "project";
/// [`OldImage`], one a container: what ran before.
pub const OLD_IMAGES: &str = "old-images";
/// [`crate::stack::images::Pulled`], one per image: the images for the new containers.
pub const PULLED: &str = "pulled";
/// [`Install`], one a file: what plugins gave.
pub const INSTALL: &str = "install";
/// The site's own files that the switch may change; see [`super::own_files`].
pub const TOUCHED: &str = "touched";
/// The file of the site that holds the local changes as a diff, relative to the site.
pub const DIFF: &str = "diff";
/// The permission bits that `mailcow.conf` had.
pub const CONF_BITS: &str = "conf-bits";
/// [`super::start::Way`]: on which way the stack has been taken down for a network that changes.
pub const TAKEN_DOWN: &str = "taken-down";
/// The client that reads the dump of the database, once that is made.
pub const DUMPED: &str = "dumped";
/// `true` once a rollback has begun.
pub const ROLLING_BACK: &str = "rolling-back";
/// `true` once a service that migrates data has been started from a new image.
pub const DATA_MIGRATED: &str = "data-migrated";
/// True if services were stopped before the switch: a rollback starts them again.
pub const STOPPED_FIRST: &str = "stopped-first";

/// A git object id that was recorded.
pub fn oid(text: &str) -> Result<Oid> {
    Oid::from_str(text).what_with(|| format!("`{text}` is no object id"))
}

/// The site's branch at the beginning of the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Before {
    /// The branch that the site is on.
    pub branch: String,
    /// Its commit.
    pub head: String,
    /// Its upstream, as `REMOTE/BRANCH`.
    pub upstream: String,
}

/// The choice of the fetch stage and its plugins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chosen {
    /// Upstream's commit to merge.
    pub theirs: String,
    /// Upstream's newest commit.
    pub newest: String,
}

/// The image of a container of the old stack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OldImage {
    /// The service.
    pub service: String,
    /// The reference that its compose file had.
    pub reference: String,
    /// The engine's id of the image: a tag can move on, this cannot.
    pub image_id: String,
}

/// A file that a plugin gave, kept in the run until it is installed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Install {
    /// Its destination.
    pub path: SitePath,
    /// Its permission bits.
    pub mode: u32,
    /// The plugin's name.
    pub plugin: String,
    /// The digest of its content, which is also its name in the run's directory `install`.
    pub content: Digest,
}
