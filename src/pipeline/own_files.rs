//! The files of the site that are in no commit and that an update changes all the same: what
//! plugins gave, certificates, migrations, settings. Before the first of them changes, the run
//! knows each and has a copy; bringing them back is one loop. Containers write in the same
//! directories, so every file is reached below the site's directory handle, and what lies behind a
//! link is named and left alone.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::Install;
use super::{Run, facts, scratch};
use crate::digest::Digest;
use crate::dir::{Attributes, Dir};
use crate::error::{Context, Error, Result};
use crate::git::local::Local;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::site::keep::{self, Copied};
use crate::site::mailcow::{self, migrations};

/// The largest file that is installed or provided, in bytes.
const MOST_OF_A_FILE: u64 = 16 << 20;
/// The most files in the directory of example certificates.
const MOST_EXAMPLES: usize = 1000;

/// A file that the switch may change, and whether it was there before.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Touched {
    path: SitePath,
    existed: bool,
}

/// One of two versions.
#[derive(Clone, Copy)]
enum Version {
    Old,
    New,
}

/// Writes down every file that [`change`] may touch, and keeps a copy of those that are there.
/// Once: after a kill half-way the first account is the true one.
pub fn remember(run: &mut Run) -> Result<()> {
    if run.journal.record().facts.contains_key(facts::TOUCHED) {
        return Ok(());
    }
    run.journal.set(facts::DIFF, &diff_path(run)?)?;
    let (site, kept) = (run.site.dir(), run.folder.kept_dir()?);
    let mut touched = Vec::new();
    for path in candidates(run)?.into_iter().filter(|path| !is_behind_link(site, path)) {
        let existed = !site.is_missing(&path);
        if existed {
            all_of(keep::copy(site, &path, &kept)?)?;
        }
        touched.push(Touched { path: SitePath::from(path.as_path()), existed });
    }
    let bits = run.site.conf_file()?.bits()?;
    run.journal.set(facts::CONF_BITS, &bits)?;
    run.journal.set(facts::TOUCHED, &touched)
}

/// Names what the switch will leave alone, while nothing has changed yet.
pub fn warn_of_links(run: &Run) -> Result<()> {
    let blocked = candidates(run)?.into_iter().filter(|path| is_behind_link(run.site.dir(), path));
    let folders: BTreeSet<PathBuf> =
        blocked.filter_map(|path| path.parent().map(Path::to_owned)).collect();
    for folder in folders {
        let hint = "Put a directory in the link's place if upstream's files belong there.";
        run.events.warn(
            format!("left {} unchanged: it is a link or lies behind one", folder.display()),
            Some(hint.to_owned()),
        );
    }
    Ok(())
}

/// Returns true if a part of a path is a link, or no directory.
fn is_behind_link(site: &Dir, path: &Path) -> bool {
    matches!(site.metadata(path), Err(error) if error.kind() == ErrorKind::NotADirectory)
}

/// Demands that nothing was left out of a copy.
fn all_of(copied: Copied) -> Result<()> {
    match copied.left.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(Error::new(format!("could not keep a copy of {}", left.path.display()))
            .because(left.why)),
    }
}

fn candidates(run: &Run) -> Result<Vec<PathBuf>> {
    let moves = migrations::moves().flat_map(|(from, to, _)| [from, to]);
    let fixed = moves.chain([mailcow::APP_INFO]).map(PathBuf::from);
    let installs = run.installs()?.into_iter().map(|file| file.path.as_path().to_owned());
    let provided = provided(run)?.into_iter().map(|(_, to)| to);
    Ok(fixed.chain(installs).chain(provided).chain([diff_path(run)?]).collect())
}

/// Applies the changes and returns their numbers by kind.
pub fn change(run: &Run) -> Result<Vec<(usize, &'static str)>> {
    save_diff(run)?;
    let installed = install(run)?;
    let certificates = Path::new(mailcow::CERTIFICATES);
    let restored = keep::restore_missing(&run.folder.kept_dir()?, certificates, run.site.dir())?;
    warn_of_left(run, &restored);
    let examples = provide(run)?;
    let migrated = migrate(run)?;
    let settings = usize::from(put_settings(run, Version::New)?);
    check_installed(run)?;
    Ok(vec![
        (installed, "files of plugins installed"),
        (restored.paths.len(), "certificates restored"),
        (examples, "example certificates put in place"),
        (migrated, "files migrated"),
        (settings, "settings file migrated"),
    ])
}

/// Restores them: kept copies come back, new files go. The present versions are kept too: a site
/// may have changed them since. Certificates and settings that this run did not touch come back
/// only where they are missing.
pub fn bring_back(run: &Run) -> Result<()> {
    let touched: Vec<Touched> = run.journal.record().fact(facts::TOUCHED)?.unwrap_or_default();
    let (site, kept, replaced) =
        (run.site.dir(), run.folder.kept_dir()?, run.folder.replaced_dir()?);
    for Touched { path, existed } in touched {
        let path = path.as_path();
        // A rollback that is repeated finds what it brought back itself: that must not take the
        // place of the newer one.
        if !existed || !keep::same(site, &kept, path) {
            keep::copy(site, path, &replaced)?;
        }
        if existed {
            warn_of_left(run, &keep::restore_changed(&kept, path, site)?);
        } else if !is_behind_link(site, path) {
            let removed = site.remove_file(path);
            removed.what_with(|| format!("could not remove {}", path.display()))?;
        }
    }
    for path in mailcow::precious(&run.site.compose_files()) {
        warn_of_left(run, &keep::restore_missing(&kept, &path, site)?);
    }
    // Only an empty one goes: then it was made for this run's diff.
    let _ = site.remove_dir(Path::new(mailcow::DIFFS));
    put_settings(run, Version::Old).map(drop)
}

/// Names what a copy or a way back left alone.
pub fn warn_of_left(run: &Run, copied: &Copied) {
    const NAMED: usize = 20;
    for left in copied.left.iter().take(NAMED) {
        run.events.warn(format!("left {} unchanged: {}", left.path.display(), left.why), None);
    }
    if copied.left.len() > NAMED {
        run.events.warn(format!("left {} more unchanged", copied.left.len() - NAMED), None);
    }
}

/// Returns the path of the diff. Its name has the local time, so it is settled once: the time zone
/// may change before a resume.
fn diff_path(run: &Run) -> Result<PathBuf> {
    let onto = run.plan.branch.as_ref().map(|branch| branch.to.as_str());
    let new = || Path::new(mailcow::DIFFS).join(mailcow::diff_name(&run.now, onto));
    Ok(run.journal.record().fact(facts::DIFF)?.unwrap_or_else(new))
}

/// Leaves the local changes as a diff where update.sh leaves them, without secrets. Before a switch
/// of branches that is everything in which the site differs from the branch that it leaves.
fn save_diff(run: &Run) -> Result<()> {
    let mut local: Local = run.journal.record().need(facts::LOCAL)?;
    if run.plan.branch.is_some() {
        local.head = run.journal.record().need::<Merged>(facts::MERGED)?.base;
    }
    if run.repo.tree_of(local.head)? == local.tree {
        return Ok(());
    }
    let diff = String::from_utf8_lossy(&run.repo.local_diff(&local)?).into_owned();
    let diff = run.events.redactor().text(&diff);
    put_unless_blocked(run, &diff_path(run)?, diff.as_bytes(), Attributes::bits(0o600)).map(drop)
}

/// Writes a file of the site. A file behind a link is left alone, as reported before.
fn put_unless_blocked(run: &Run, path: &Path, content: &[u8], like: Attributes) -> Result<bool> {
    match run.site.dir().write(path, content, like) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error).what_with(|| format!("could not write {}", path.display())),
    }
}

/// Installs what plugins gave.
fn install(run: &Run) -> Result<usize> {
    let given = run.installs()?;
    for file in &given {
        let content = given_content(run, file)?;
        let written =
            run.site.dir().write(file.path.as_path(), &content, Attributes::bits(file.mode));
        written.what_with(|| format!("could not install {}", file.path))?;
    }
    Ok(given.len())
}

/// Reads what a plugin gave, which is known by its digest.
fn given_content(run: &Run, file: &Install) -> Result<Vec<u8>> {
    let doing = || format!("could not read what {} gave for {}", file.plugin, file.path);
    let given = Dir::open(&run.installs_folder()).what_with(doing)?;
    let content = given.read(Path::new(&file.content.hex()), MOST_OF_A_FILE).what_with(doing)?;
    if Digest::of(&content) == file.content {
        return Ok(content);
    }
    Err(Error::new(doing()).because("the run's copy is not what was handed over"))
}

/// Every file that plugins gave is in place, as it was handed over.
fn check_installed(run: &Run) -> Result<()> {
    for file in run.installs()? {
        let doing = || format!("{} is not what {} handed over", file.path, file.plugin);
        let (content, found) = run.site.dir().file(file.path.as_path()).what_with(doing)?;
        let content = crate::dir::read_at_most(content, MOST_OF_A_FILE).what_with(doing)?;
        if Digest::of(&content) != file.content || found.mode() & 0o7777 != file.mode {
            return Err(Error::new(doing()).because("it was changed while it was installed"));
        }
    }
    Ok(())
}

/// The certificates that others may lack, and where they are put then: those that are here, and
/// those that the update brings.
fn provided(run: &Run) -> Result<BTreeSet<(PathBuf, PathBuf)>> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let mut provided = BTreeSet::new();
    for (from, to) in migrations::provided() {
        let listed =
            run.site.dir().dir(Path::new(from)).and_then(|folder| folder.names(MOST_EXAMPLES));
        let here = listed.unwrap_or_default().into_iter();
        let brought = run.repo.names_in(merged.tree, &SitePath::from(from))?;
        let names = here.chain(brought).map(PathBuf::from);
        let certificates =
            names.filter(|name| name.extension().is_some_and(|extension| extension == "pem"));
        provided.extend(
            certificates.map(|name| (Path::new(from).join(&name), Path::new(to).join(&name))),
        );
    }
    Ok(provided)
}

/// A new site starts with upstream's example certificates; existing ones are never overwritten.
fn provide(run: &Run) -> Result<usize> {
    let (mut copied, site) = (0, run.site.dir());
    for (from, to) in provided(run)? {
        if !matches!(site.metadata(&to), Ok(None)) {
            continue;
        }
        let doing = || format!("could not read {}", from.display());
        let (content, found) = site.file(&from).what_with(doing)?;
        let content = crate::dir::read_at_most(content, MOST_OF_A_FILE).what_with(doing)?;
        let like = Attributes::bits(found.mode() & 0o777);
        copied += usize::from(put_unless_blocked(run, &to, &content, like)?);
    }
    Ok(copied)
}

/// Moves the site's files that have new names, once.
fn migrate(run: &Run) -> Result<usize> {
    let (mut migrated, site) = (0, run.site.dir());
    for (from, to, reason) in migrations::moves() {
        let (source, target) = (Path::new(from), Path::new(to));
        if site.is_file(source) && matches!(site.metadata(target), Ok(None)) {
            let moved = site.rename_new(source, target);
            moved.what_with(|| format!("could not move {from} to {to}"))?;
            run.events.info(format!("{from} is now {to}: {reason}"));
            migrated += 1;
        }
    }
    Ok(migrated)
}

/// Puts one of the two versions of `mailcow.conf` in place, where the link leads if it is one; its
/// owner stays. The new version gets the mode that upstream gives it, the old one the mode it had.
/// A run that never came to validate has none.
fn put_settings(run: &Run, which: Version) -> Result<bool> {
    let Ok((old, new)) = scratch::settings(run) else { return Ok(false) };
    let had: Option<u32> = run.journal.record().fact(facts::CONF_BITS)?;
    let (content, other, bits) = match which {
        Version::Old => (old, new, had.unwrap_or(mailcow::CONF_MODE)),
        Version::New => (new, old, mailcow::CONF_MODE),
    };
    let file = run.site.conf_file()?;
    let current = file.read()?;
    if current == content {
        return Ok(false);
    }
    if current != other {
        let hint = "Compare it with the kept versions in the run's directory `stack`.".to_owned();
        run.events.warn("mailcow.conf was changed in the meantime and stays as it is", Some(hint));
        return Ok(false);
    }
    file.write(&content, bits)?;
    Ok(true)
}
