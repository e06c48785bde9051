//! The files of the site that are in no commit and that an update changes all the same: what plugins gave, certificates, migrations, settings.
//! Before the first of them changes, the run knows each and has a copy; bringing them back is one loop.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Run, facts, scratch};
use crate::error::{Context, Error, Result};
use crate::files;
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::site::keep;
use crate::site::mailcow::{self, migrations};

/// A file that the switch may change, and whether it was there before.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Touched {
    path: SitePath,
    existed: bool,
}

/// Which of two versions.
#[derive(Clone, Copy)]
enum Version {
    Old,
    New,
}

/// Writes down every file that [`change`] may touch, and keeps a copy of those that are there. Once: after a kill half-way the
/// first account is the true one.
pub fn remember(run: &mut Run) -> Result<()> {
    if run.journal.record().facts.contains_key(facts::TOUCHED) {
        return Ok(());
    }
    let mut touched = Vec::new();
    for path in candidates(run)? {
        let existed = run.site.path(&path).symlink_metadata().is_ok();
        if existed {
            keep::copy(run.site.root(), &path, &run.folder.kept())?;
        }
        touched.push(Touched { path: SitePath::from(path.as_path()), existed });
    }
    run.journal.set(facts::TOUCHED, &touched)
}

fn candidates(run: &Run) -> Result<Vec<PathBuf>> {
    let moves = migrations::moves().flat_map(|(from, to, _)| [from, to]);
    let fixed = moves.chain([mailcow::APP_INFO]).map(PathBuf::from);
    let installs = run.installs()?.into_iter().map(|file| file.path.as_path().to_owned());
    let provided = provided(run)?.into_iter().map(|(_, to)| to);
    Ok(fixed.chain(installs).chain(provided).chain([diff_path(run)]).collect())
}

/// Changes them; gives how many of which sort.
pub fn change(run: &Run) -> Result<Vec<(usize, &'static str)>> {
    save_diff(run)?;
    let installed = install(run)?;
    let restored = keep::restore_missing(&run.folder.kept(), Path::new(mailcow::CERTIFICATES), run.site.root())?.len();
    let examples = provide(run)?;
    let migrated = migrate(run)?;
    let settings = usize::from(put_settings(run, Version::New)?);
    Ok(vec![
        (installed, "files of plugins installed"),
        (restored, "certificates brought back"),
        (examples, "example certificates put in place"),
        (migrated, "files migrated"),
        (settings, "settings file brought up to date"),
    ])
}

/// Makes them what they were: kept copies come back, what was not there goes. What they are now is kept too: a site may have changed
/// them since. Certificates and settings that this run did not touch come back only where they are missing.
pub fn bring_back(run: &Run) -> Result<()> {
    let touched: Vec<Touched> = run.journal.record().fact(facts::TOUCHED)?.unwrap_or_default();
    for Touched { path, existed } in touched {
        // A rollback that is repeated finds what it brought back itself: that must not take the place of the newer one.
        if !existed || !keep::same(&run.site.path(path.as_path()), &run.folder.kept().join(path.as_path())) {
            keep::copy(run.site.root(), path.as_path(), &run.folder.path().join("replaced"))?;
        }
        if existed {
            keep::restore_changed(&run.folder.kept(), path.as_path(), run.site.root())?;
        } else {
            remove(&run.site.path(path.as_path()))?;
        }
    }
    for path in mailcow::precious(&run.site.compose_files()) {
        keep::restore_missing(&run.folder.kept(), &path, run.site.root())?;
    }
    // Only an empty one goes: then it was made for this run's diff.
    let _ = fs::remove_dir(run.site.path(mailcow::DIFFS));
    put_settings(run, Version::Old).map(drop)
}

fn diff_path(run: &Run) -> PathBuf {
    let onto = run.plan.branch.as_ref().map(|branch| branch.to.as_str());
    Path::new(mailcow::DIFFS).join(mailcow::diff_name(&run.now, onto))
}

/// Leaves the local changes as a diff where update.sh leaves them, without secrets. Before a switch of branches that is everything in which the
/// site differs from the branch that it leaves.
fn save_diff(run: &Run) -> Result<()> {
    let mut local: Local = run.journal.record().need(facts::LOCAL)?;
    if run.plan.branch.is_some() {
        local.head = run.journal.record().need::<Merged>(facts::MERGED)?.base;
    }
    if run.repo.tree_of(local.head)? == local.tree {
        return Ok(());
    }
    let diff = String::from_utf8_lossy(&run.repo.local_diff(&local)?).into_owned();
    make_folder(&run.site.path(mailcow::DIFFS))?;
    files::write(&run.site.path(diff_path(run)), run.events.redactor().text(&diff).as_bytes(), 0o600)
}

/// Installs what plugins gave.
fn install(run: &Run) -> Result<usize> {
    let given = run.installs()?;
    for file in &given {
        let content = run.installs_folder().join(&file.content);
        let content = fs::read(content).what_with(|| format!("could not read what {} gave", file.plugin))?;
        let target = run.site.path(file.path.as_path());
        let folder = target.parent().unwrap_or(run.site.root());
        make_folder(folder)?;
        inside(run, folder, &file.path)?;
        files::write(&target, &content, file.mode)?;
    }
    Ok(given.len())
}

/// A link in the way must not lead a file out of the site.
fn inside(run: &Run, folder: &Path, path: &SitePath) -> Result<()> {
    let real = folder.canonicalize().what_with(|| format!("could not find the folder of {path}"))?;
    if real.starts_with(run.site.root()) {
        return Ok(());
    }
    Err(Error::new(format!("{path} would be written outside the site, to {}", real.display())))
}

/// The certificates that others may lack, and where they are put then: those that are here, and those that the update brings.
fn provided(run: &Run) -> Result<BTreeSet<(PathBuf, PathBuf)>> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let mut provided = BTreeSet::new();
    for (from, to) in migrations::provided() {
        let here = fs::read_dir(run.site.path(from)).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let brought = run.repo.names_in(merged.tree, &SitePath::from(from))?;
        let names = here.chain(brought).map(PathBuf::from);
        let certificates = names.filter(|name| name.extension().is_some_and(|extension| extension == "pem"));
        provided.extend(certificates.map(|name| (Path::new(from).join(&name), Path::new(to).join(&name))));
    }
    Ok(provided)
}

/// A new site starts with upstream's example certificates; existing ones are never overwritten.
fn provide(run: &Run) -> Result<usize> {
    let mut copied = 0;
    for (from, to) in provided(run)? {
        let (from, to) = (run.site.path(from), run.site.path(to));
        if to.symlink_metadata().is_err() {
            let read = fs::read(&from).and_then(|content| Ok((content, from.metadata()?.mode() & 0o777)));
            let (content, mode) = read.what_with(|| format!("could not read {}", from.display()))?;
            make_folder(to.parent().unwrap_or(run.site.root()))?;
            files::write(&to, &content, mode)?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// Moves the site's files that have new names, once.
fn migrate(run: &Run) -> Result<usize> {
    let mut migrated = 0;
    for (from, to, reason) in migrations::moves() {
        let (source, target) = (run.site.path(from), run.site.path(to));
        if source.is_file() && target.symlink_metadata().is_err() {
            fs::rename(&source, &target).what_with(|| format!("could not move {from} to {to}"))?;
            files::sync_folder(source.parent().unwrap_or(run.site.root()))?;
            run.events.info(format!("{from} is now {to}: {reason}"));
            migrated += 1;
        }
    }
    Ok(migrated)
}

/// Puts one of the two versions of `mailcow.conf` in place, where the link leads if it is one; its owner stays, and its mode is what
/// upstream gives it. A run that never came to validate has none.
fn put_settings(run: &Run, which: Version) -> Result<bool> {
    let Ok((old, new)) = scratch::settings(run) else { return Ok(false) };
    let (content, other) = match which {
        Version::Old => (old, new),
        Version::New => (new, old),
    };
    let path = run.site.path(mailcow::CONF);
    let doing = || format!("could not write {}", path.display());
    let target = path.canonicalize().what_with(doing)?;
    let current = fs::read(&target).what_with(doing)?;
    if current == content {
        return Ok(false);
    }
    if current != other {
        let hint = "Compare it with the kept versions in the run's folder `stack`.".to_owned();
        run.events.warn("mailcow.conf was changed in the meantime and stays as it is", Some(hint));
        return Ok(false);
    }
    let owner = target.metadata().what_with(doing)?;
    files::write(&target, &content, mailcow::CONF_MODE)?;
    chown(&target, Some(owner.uid()), Some(owner.gid())).what_with(doing)?;
    Ok(true)
}

fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).what_with(|| format!("could not create {}", folder.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).what_with(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
