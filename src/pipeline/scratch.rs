//! The merged stack before the switch: its compose files and settings in a scratch directory of the
//! run, resolved as if they were in the site.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs;
use std::path::{Path, PathBuf};

use super::{Run, facts};
use crate::error::{Context, Result};
use crate::files;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::redact::Redactor;
use crate::site::MOST_OF_A_TEXT;
use crate::site::mailcow::{self, Conf, migrations};
use crate::site::settings::{self, Functions, Wish};
use crate::stack::{ComposeFiles, Resolved};

/// The directory of the current stack, in the run.
const OLD: &str = "old";
/// The directory of the merged stack, in the run.
const NEW: &str = "new";
/// The run's directory for a site's compose file that compose can only read in a corrected form.
const RESPELT: &str = "respelt";

/// The old stack and the new one, resolved by compose.
pub struct Resolutions {
    /// The site's, as it is.
    pub old: Resolved,
    /// The merged one.
    pub new: Resolved,
}

/// Keeps the compose files and settings as they are, puts the merged ones and the migrated settings
/// beside them, and resolves both.
pub async fn prepare(run: &mut Run) -> Result<Resolutions> {
    let (old, new) = (folder(run, OLD), folder(run, NEW));
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    for name in run.site.compose_files().into_iter().filter(|name| name.is_relative()) {
        let as_it_is = readable(&name, read(run, &name)?);
        put(&old, &name, &as_it_is)?;
        let content = run.repo.file_in(merged.tree, &SitePath::from(name.as_path()))?;
        put(&new, &name, &content.unwrap_or(as_it_is))?;
    }
    let settings = run.site.conf_file()?.read()?;
    put(&old, Path::new(mailcow::CONF), &settings)?;
    let resolved = resolve_old(run).await?;
    let settings = migrated_settings(run, &merged, settings, &resolved).await?;
    put(&new, Path::new(mailcow::CONF), &settings)?;
    Ok(Resolutions { old: resolved, new: resolve_new(run).await? })
}

/// Both stacks once more, when both are prepared.
pub async fn resolve(run: &mut Run) -> Result<Resolutions> {
    Ok(Resolutions { old: resolve_old(run).await?, new: resolve_new(run).await? })
}

/// Relative paths in compose files are relative to the site's directory, wherever the files are.
async fn resolve_old(run: &mut Run) -> Result<Resolved> {
    let files = on_disk(run)?;
    let resolved = run.stack().await?.compose.resolve(&files).await;
    resolved.what("could not resolve the site's compose files as they are")
}

async fn resolve_new(run: &mut Run) -> Result<Resolved> {
    let files = new_stack(run);
    let resolved = run.stack().await?.compose.resolve(&files).await;
    resolved.what("the merged compose files do not resolve").map_err(|error| {
        error.hint(
            "Correct docker-compose.override.yml; it may name a service that upstream removed.",
        )
    })
}

/// The site's own compose files, as they are on disk; a file that compose cannot read as it is, as
/// a copy that it can.
pub fn on_disk(run: &Run) -> Result<ComposeFiles> {
    let mut files = compose_files(run, run.site.root());
    let path = run.site.path(mailcow::COMPOSE_FILE);
    let content = read(run, Path::new(mailcow::COMPOSE_FILE))?;
    let spelt = readable(Path::new(mailcow::COMPOSE_FILE), content.clone());
    if spelt != content {
        let copies = folder(run, RESPELT);
        put(&copies, Path::new(mailcow::COMPOSE_FILE), &spelt)?;
        let copy = copies.join(mailcow::COMPOSE_FILE);
        files
            .files
            .iter_mut()
            .filter(|file| **file == path)
            .for_each(|file| file.clone_from(&copy));
    }
    Ok(files)
}

fn read(run: &Run, name: &Path) -> Result<Vec<u8>> {
    let read = run.site.dir().read(name, MOST_OF_A_TEXT);
    read.what_with(|| format!("could not read {}", name.display()))
}

/// A compose file in words that compose reads: upstream's own may be older than compose 2.
fn readable(name: &Path, content: Vec<u8>) -> Vec<u8> {
    if name != Path::new(mailcow::COMPOSE_FILE) {
        return content;
    }
    match std::str::from_utf8(&content) {
        Ok(text) => migrations::respelt(text).into_bytes(),
        Err(_) => content,
    }
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

/// Returns true if the merged release has this file.
pub fn carries(run: &Run, name: &str) -> Result<bool> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    run.repo.has_path(merged.tree, &SitePath::from(name))
}

/// Migrates `mailcow.conf` with upstream's functions. The plan gets the differences and omissions.
async fn migrated_settings(
    run: &mut Run,
    merged: &Merged,
    conf: Vec<u8>,
    old: &Resolved,
) -> Result<Vec<u8>> {
    let repo = &run.repo;
    let functions = Functions::of_release(|name| repo.file_in(merged.tree, &SitePath::from(name)))?;
    if functions.is_none() {
        let hint =
            "Compare it with what upstream's generate_config.sh of that release writes.".to_owned();
        run.events.warn(
            "this release has no migration for mailcow.conf; the file is unchanged",
            Some(hint),
        );
    }
    let kind = run.stack().await?.compose.kind();
    let volumes: Vec<String> = old.volumes.values().map(|volume| volume.name.clone()).collect();
    let wish = Wish {
        conf: &conf,
        functions: functions.as_ref(),
        compose: kind,
        project: &old.project,
        volumes: &volumes,
        ipv6: old.networks.values().any(|network| network.raw["enable_ipv6"] == true),
        limit: settings::LIMIT,
    };
    let (dir, repo) = (run.site.dir(), &run.repo);
    // A file that the merge replaces is upstream's own by then.
    let file = |name: &str| match repo.file_in(merged.tree, &SitePath::from(name))? {
        Some(content) => Ok(Some(content)),
        None => Ok(dir.read(Path::new(name), MOST_OF_A_TEXT).ok()),
    };
    let migrated = settings::migrate(&wish, &run.folder.path().join("settings"), file).await?;
    let secrets = [&conf, &migrated.conf].map(|conf| Conf::parse(&String::from_utf8_lossy(conf)));
    run.events.redact(Redactor::new(secrets.iter().flat_map(Conf::secrets)));
    run.plan.settings = migrated.changes;
    run.plan.left_out = migrated.left_out;
    Ok(migrated.conf)
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
        // A file outside of the site has an absolute path and is used in place.
        files: run.site.compose_files().iter().map(|file| folder.join(file)).collect(),
        env_file: Some(folder.join(mailcow::CONF)),
        project_name: None,
    }
}
