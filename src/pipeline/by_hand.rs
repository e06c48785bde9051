//! The steps that an update leaves to the operator, found in the site's release, the merged one and
//! the site's own files.

use std::path::{Path, PathBuf};

use super::Run;
use crate::dir::Dir;
use crate::error::Result;
use crate::git::Oid;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::plan::ByHand;
use crate::site::Site;
use crate::site::mailcow::unmigrated::{self, Place, Sight};

/// The largest settings file that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// The most files of a directory that are read.
const MOST_FILES: usize = 10_000;

/// Finds the steps that no merge and no migration does.
pub fn found(run: &Run, merged: &Merged) -> Result<Vec<ByHand>> {
    let base = run.repo.tree_of(merged.base)?;
    let read = |tree: Oid| {
        move |name: &str| {
            let content = run.repo.file_in(tree, &SitePath::from(name))?.unwrap_or_default();
            Ok(String::from_utf8_lossy(&content).into_owned())
        }
    };
    // A file from upstream is not the site's own, even if edited; the merge reports those.
    let of_upstream = |file: &Path| run.repo.has_path(base, &SitePath::from(file)).unwrap_or(false);
    let own = |place| own_files(&run.site, place, &of_upstream);
    let sight =
        Sight { before: &read(base), after: &read(merged.tree), own: &own, conf: run.site.conf() };
    let found = unmigrated::found(&sight)?.into_iter();
    Ok(found.map(|found| ByHand { what: found.what, remedy: found.remedy.to_owned() }).collect())
}

/// Reads the site's own files at a place.
fn own_files(
    site: &Site,
    place: Place,
    of_upstream: &dyn Fn(&Path) -> bool,
) -> Vec<(String, String)> {
    let files = match place {
        Place::Compose => site.compose_files(),
        Place::Folder(folder) => below(site, folder),
    };
    let read = |file: PathBuf| {
        // A compose file may lie outside of the site; then its path is absolute.
        let (dir, name) = match (file.is_absolute(), file.parent(), file.file_name()) {
            (true, Some(folder), Some(name)) => (&Dir::open(folder).ok()?, Path::new(name)),
            _ => (site.dir(), file.as_path()),
        };
        let content = dir.read(name, LARGEST).ok()?;
        Some((file.display().to_string(), String::from_utf8_lossy(&content).into_owned()))
    };
    files.into_iter().filter(|file| !of_upstream(file)).filter_map(read).collect()
}

/// Lists the files directly in a directory, in order.
fn below(site: &Site, folder: &str) -> Vec<PathBuf> {
    let names = site.dir().dir(Path::new(folder)).and_then(|folder| folder.names(MOST_FILES));
    names.unwrap_or_default().into_iter().map(|name| Path::new(folder).join(name)).collect()
}
