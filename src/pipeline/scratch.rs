//! The merged stack before it is there: its compose files and settings in a scratch folder of the run, resolved as if they stood in the site.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Run, facts};
use crate::error::{Context, Result};
use crate::files;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::site::mailcow;
use crate::site::settings::{self, Functions};
use crate::stack::{ComposeFiles, Resolved};

/// The folder of the stack as it is, in the run.
const OLD: &str = "old";
/// The folder of the merged stack, in the run.
const NEW: &str = "new";

/// The old stack and the new one, as compose understands them.
pub struct Resolutions {
    /// The site's, as it is.
    pub old: Resolved,
    /// The merged one.
    pub new: Resolved,
}

/// Keeps the compose files and settings as they are, and puts the merged ones and the migrated settings beside them.
pub async fn prepare(run: &mut Run) -> Result<()> {
    let (old, new) = (folder(run, OLD), folder(run, NEW));
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let on_disk =
        |name: &Path| fs::read(run.site.path(name)).what_with(|| format!("could not read {}", name.display()));
    for name in run.site.compose_files() {
        let as_it_is = on_disk(&name)?;
        put(&old, &name, &as_it_is)?;
        let content = run.repo.file_in(merged.tree, &SitePath::from(name.as_path()))?;
        put(&new, &name, &content.unwrap_or(as_it_is))?;
    }
    let settings = on_disk(Path::new(mailcow::CONF))?;
    put(&old, Path::new(mailcow::CONF), &settings)?;
    let settings = migrated_settings(run, &merged, settings).await?;
    put(&new, Path::new(mailcow::CONF), &settings)
}

/// Both stacks, resolved. Relative paths in compose files are meant from the site's folder, wherever the files themselves are.
pub async fn resolve(run: &mut Run) -> Result<Resolutions> {
    let (old, new) = (on_disk(run), new_stack(run));
    let compose = &run.stack().await?.compose;
    let old = compose.resolve(&old).await.what("could not resolve the site's compose files as they are")?;
    let new = compose.resolve(&new).await.what("the merged compose files do not resolve").map_err(|error| {
        error.hint("Correct docker-compose.override.yml: it may still name a service that upstream no longer has.")
    })?;
    Ok(Resolutions { old, new })
}

/// The site's own compose files, as they are on disk.
pub fn on_disk(run: &Run) -> ComposeFiles {
    compose_files(run, run.site.root())
}

/// The old stack, also once the switch has replaced its files.
pub fn old_stack(run: &Run) -> ComposeFiles {
    compose_files(run, &folder(run, OLD))
}

/// The new stack, also before the switch and after its undoing.
pub fn new_stack(run: &Run) -> ComposeFiles {
    compose_files(run, &folder(run, NEW))
}

/// The settings as they were and as the switch will put them in place.
pub fn settings(run: &Run) -> Result<(Vec<u8>, Vec<u8>)> {
    let read = |folder: PathBuf| {
        let path = folder.join(mailcow::CONF);
        fs::read(&path).what_with(|| format!("could not read {}", path.display()))
    };
    Ok((read(folder(run, OLD))?, read(folder(run, NEW))?))
}

/// What upstream's functions make of `mailcow.conf`; as it is where the release carries none.
async fn migrated_settings(run: &mut Run, merged: &Merged, conf: Vec<u8>) -> Result<Vec<u8>> {
    let repo = &run.repo;
    let Some(functions) = Functions::of_release(|name| repo.file_in(merged.tree, &SitePath::from(name)))? else {
        return Ok(conf);
    };
    let kind = run.stack().await?.compose.kind();
    let adapted = settings::adapt(&conf, &functions, &run.folder.path().join("settings"), kind).await?;
    run.plan.settings = settings::changes(&conf, &adapted);
    Ok(adapted)
}

fn put(folder: &Path, name: &Path, content: &[u8]) -> Result<()> {
    let target = folder.join(name);
    files::private_folder(target.parent().unwrap_or(folder))?;
    files::write(&target, content, 0o600)
}

fn folder(run: &Run, which: &str) -> PathBuf {
    run.folder.path().join("stack").join(which)
}

fn compose_files(run: &Run, folder: &Path) -> ComposeFiles {
    ComposeFiles {
        project_directory: run.site.root().to_owned(),
        files: run.site.compose_files().iter().map(|file| folder.join(file)).collect(),
        env_file: Some(folder.join(mailcow::CONF)),
        project_name: None,
    }
}
