//! Switch, the first commit point: branch and working tree move to the merge, and what belongs to the site comes with them.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use super::facts::{self, Install};
use super::{Progress, Run, scratch};
use crate::error::{Context, Error, Result};
use crate::files;
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::git::switch::Switch;
use crate::path::SitePath;
use crate::site::{keep, mailcow};

/// The site before the switch, or after it.
#[derive(Clone, Copy)]
enum Version {
    Old,
    New,
}

/// Moves the files, then the index, then the branch; installs what plugins gave; brings certificates back; migrates.
pub fn act(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    save_diff(run)?;
    switch.apply(&run.repo, &mailcow::after_message(&run.now), &run.events)?;
    let installed = install(run)?;
    let restored = keep::restore_missing(&run.folder.kept(), Path::new(mailcow::CERTIFICATES), run.site.root())?;
    let examples = example_certificates(run)?;
    let migrated = migrate(run)?;
    let settings = usize::from(put_settings(run, Version::New)?);
    let counts = [
        (switch.paths().len(), "files changed"),
        (installed, "files of plugins installed"),
        (restored.len(), "certificates brought back"),
        (examples, "example certificates put in place"),
        (migrated, "files migrated"),
        (settings, "settings file migrated"),
    ];
    let said = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Ok(Progress::Done(said.collect::<Vec<_>>().join(", ")))
}

/// Brings back the files, the index and the branch, then everything else that was kept.
pub fn undo(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    let written_since =
        switch.undo(&run.repo, &format!("cowhand: rollback of run {}", run.folder.id()), &run.events)?;
    for kept in &written_since {
        let hint = format!("Its content is kept: git cat-file blob {}", kept.oid);
        run.events.warn(format!("{} was written after the switch and was replaced", kept.path), Some(hint));
    }
    uninstall(run)?;
    for path in mailcow::precious(&run.site.compose_files()) {
        keep::restore_changed(&run.folder.kept(), &path, run.site.root())?;
    }
    unmigrate(run)?;
    put_settings(run, Version::Old)?;
    Ok(Progress::Done(String::new()))
}

/// Leaves the local changes as a diff where update.sh leaves them, without secrets.
fn save_diff(run: &Run) -> Result<()> {
    let local: Local = run.journal.record().need(facts::LOCAL)?;
    if local.is_clean() {
        return Ok(());
    }
    let diff = String::from_utf8_lossy(&run.repo.local_diff(&local)?).into_owned();
    let folder = run.site.path(mailcow::DIFFS);
    fs::create_dir_all(&folder).what_with(|| format!("could not create {}", folder.display()))?;
    files::write(&folder.join(mailcow::diff_name(&run.now)), run.events.redactor().text(&diff).as_bytes(), 0o600)
}

/// Installs what plugins gave. What is replaced was kept when it was handed over.
fn install(run: &Run) -> Result<usize> {
    let given = run.installs()?;
    for file in &given {
        let content = fs::read(run.installs_folder().join(&file.content))
            .what_with(|| format!("could not read what {} gave", file.plugin))?;
        let target = run.site.path(file.path.as_path());
        let folder = target.parent().unwrap_or(run.site.root());
        fs::create_dir_all(folder).what_with(|| format!("could not create {}", folder.display()))?;
        inside(run, folder, &file.path)?;
        files::write(&target, &content, file.mode)?;
    }
    Ok(given.len())
}

/// A link in the way must not lead a file out of the site.
fn inside(run: &Run, folder: &Path, path: &SitePath) -> Result<()> {
    let real = folder.canonicalize().what_with(|| format!("could not find the folder of {path}"))?;
    if real.starts_with(run.site.root()) {
        Ok(())
    } else {
        Err(Error::new(format!("{path} would be written outside the site, to {}", real.display())))
    }
}

/// Takes away what plugins had given where nothing was before; what was replaced comes back with the kept files.
fn uninstall(run: &Run) -> Result<()> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let ours = run.repo.tree_of(merged.ours)?;
    for Install { path, .. } in run.installs()? {
        let kept = run.folder.kept().join(path.as_path());
        if kept.symlink_metadata().is_ok() {
            keep::restore_changed(&run.folder.kept(), path.as_path(), run.site.root())?;
        } else if run.repo.file_in(ours, &path)?.is_none() {
            remove(&run.site.path(path.as_path()))?;
        }
    }
    Ok(())
}

/// A new site starts with upstream's example certificates; existing ones are never overwritten.
fn example_certificates(run: &Run) -> Result<usize> {
    let examples = run.site.path(mailcow::EXAMPLE_CERTIFICATES);
    let Ok(entries) = fs::read_dir(&examples) else { return Ok(0) };
    let target = run.site.path(mailcow::CERTIFICATES);
    fs::create_dir_all(&target).what_with(|| format!("could not create {}", target.display()))?;
    let mut copied = 0;
    for entry in entries.filter_map(std::result::Result::ok) {
        let to = target.join(entry.file_name());
        let is_pem = Path::new(&entry.file_name()).extension().is_some_and(|extension| extension == "pem");
        if is_pem && to.symlink_metadata().is_err() {
            let content = fs::read(entry.path()).what_with(|| format!("could not read {}", entry.path().display()))?;
            files::write(&to, &content, 0o600)?;
            copied += 1;
        }
    }
    Ok(copied)
}

/// Moves the site's files that have new names, once.
fn migrate(run: &Run) -> Result<usize> {
    let mut migrated = 0;
    for mailcow::Migration { from, to, reason } in mailcow::MIGRATIONS {
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

/// The sources came back with the kept files; the targets go where this run made them.
fn unmigrate(run: &Run) -> Result<()> {
    for mailcow::Migration { from, to, .. } in mailcow::MIGRATIONS {
        let was_there = run.folder.kept().join(from).is_file() && !run.folder.kept().join(to).exists();
        if was_there {
            remove(&run.site.path(to))?;
        }
    }
    Ok(())
}

/// Puts one of the two versions of `mailcow.conf` in place, where the link leads if it is one; its owner stays, and its mode is what
/// upstream gives it. A run that never came to validate has none.
fn put_settings(run: &Run, which: Version) -> Result<bool> {
    let Ok((old, new)) = scratch::settings(run) else { return Ok(false) };
    let path = run.site.path(mailcow::CONF);
    let doing = || format!("could not write {}", path.display());
    let target = path.canonicalize().what_with(doing)?;
    let content = match which {
        Version::Old => old,
        Version::New => new,
    };
    if fs::read(&target).what_with(doing)? == content {
        return Ok(false);
    }
    let owner = target.metadata().what_with(doing)?;
    files::write(&target, &content, mailcow::CONF_MODE)?;
    chown(&target, Some(owner.uid()), Some(owner.gid())).what_with(doing)?;
    Ok(true)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).what_with(|| format!("could not remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
