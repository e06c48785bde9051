//! Every version of each file that the merge decided or that lost something, as files in the run,
//! for the operator to compare.

use std::collections::BTreeSet;
use std::path::Path;

use super::Run;
use crate::error::Result;
use crate::files;
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::path::SitePath;

/// The directory in the run's directory, with `base`, `ours`, `theirs` and `result`.
pub const FOLDER: &str = "versions";

/// Keeps them.
pub fn keep(run: &Run, local: &Local, merged: &Merged) -> Result<()> {
    let decided = merged.decisions.iter().map(|decision| &decision.path);
    let losing = merged.losses.iter().map(|loss| &loss.path);
    let paths: BTreeSet<&SitePath> = decided.chain(losing).collect();
    let trees = [
        ("base", run.repo.tree_of(merged.base)?),
        ("ours", local.tree),
        ("theirs", run.repo.tree_of(merged.theirs)?),
        ("result", merged.tree),
    ];
    for path in paths {
        for (side, tree) in trees {
            put(run, side, path, run.repo.file_in(tree, path)?)?;
        }
    }
    for file in &merged.kept {
        put(run, "ours", &file.path, Some(run.repo.blob(file.oid)?))?;
    }
    Ok(())
}

/// Paths are git's, and the merge has checked that none leads out of the directory.
fn put(run: &Run, side: &str, path: &SitePath, content: Option<Vec<u8>>) -> Result<()> {
    let Some(content) = content else { return Ok(()) };
    let target = run.folder.path().join(FOLDER).join(side).join(path.as_path());
    files::private_folder(target.parent().unwrap_or(Path::new("/")))?;
    files::write(&target, &content, 0o600)
}
