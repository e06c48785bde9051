//! Moving the site to the merge and back: file by file, each step repeatable, so that a kill anywhere can be finished or undone.
//!
//! Order forwards: files, index, branch. Order backwards: branch, files, index. So a branch at its new place says that every
//! file is in place too.

mod disk;
mod eol;
mod index;
mod onto;
mod place;
mod plan;

use git2::Oid;
use serde::{Deserialize, Serialize};

pub use disk::Access;
use disk::{Disk, Found, OnDisk, ToWrite};
pub use onto::Onto;

use super::conflict::Collision;
use super::merge::{Kept, Mode};
use super::{Repo, oid_text};
use crate::error::{Context, Error, Result};
use crate::event::{Events, Unit};
use crate::exit::Exit;
use crate::path::SitePath;

/// Everything the switch does, in order, with what was there before. Goes into the journal before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The branch's full name.
    pub reference: String,
    /// Where the branch was.
    #[serde(with = "oid_text")]
    pub from: Oid,
    /// Where it goes; or where the branch goes that HEAD moves to.
    #[serde(with = "oid_text")]
    pub to: Oid,
    /// The branch that HEAD moves to, where it is another one. Then `reference` itself stays where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<Onto>,
    /// The tree that the working tree held: the site with its uncommitted changes.
    #[serde(with = "oid_text")]
    pub before: Oid,
    /// The tree that the working tree will hold.
    #[serde(with = "oid_text")]
    pub after: Oid,
    /// A tree whose files are the contents of all steps and the index as it was (`index`).
    #[serde(with = "oid_text")]
    pub contents: Oid,
    /// What changes, in the order of the paths.
    pub steps: Vec<Step>,
}

/// One file's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The file.
    pub path: SitePath,
    /// What is there before; none: nothing.
    pub was: Option<State>,
    /// What is there after; none: nothing.
    pub becomes: Option<State>,
}

/// A file or link on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// File, executable or link.
    pub mode: Mode,
    /// The bytes on disk, as a blob.
    #[serde(with = "oid_text")]
    pub oid: Oid,
    /// Who may use it; none: as git makes files.
    pub access: Option<Access>,
}

/// Where the site stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The branch is where it was, and no file is new.
    Old,
    /// The branch is where it goes, and so is every file.
    New,
    /// Neither: apply again, or undo.
    Between,
}

impl Switch {
    /// The objects that must be held (see [`Repo::hold`]) until the run can no longer be undone, by a name for each.
    pub fn objects(&self) -> Vec<(String, Oid)> {
        let named = [
            ("before", self.before),
            ("after", self.after),
            ("from", self.from),
            ("to", self.to),
            ("contents", self.contents),
        ];
        named.into_iter().map(|(name, oid)| (name.to_owned(), oid)).collect()
    }

    /// The files that it touches.
    pub fn paths(&self) -> Vec<&SitePath> {
        self.steps.iter().map(|step| &step.path).collect()
    }

    /// Does it: files, then the index, then the branch, whose log gets `message`. Harmless when done already, whole or in part.
    /// Before the first file is touched, it is certain that nobody has changed one since the plan;
    /// what is written from then on is stored as a blob before it is replaced, and returned.
    pub fn apply(&self, repo: &Repo, message: &str, events: &Events) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        let disk = Disk::open(repo.root())?;
        match self.branch_at(repo)? {
            at if at == self.to && at != self.from => return Ok(kept),
            at if at == self.from => {}
            at => return Err(self.moved(at)),
        }
        self.nobody_changed(&disk)?;
        // What the branch will point to, and what undoing needs, is on the disk before anything depends on it.
        rustix::fs::syncfs(&disk).what("could not sync the site's file system")?;
        let task = "Switching files";
        let removals = self.steps.iter().rev().filter(|step| step.becomes.is_none());
        let writes = self.steps.iter().filter(|step| step.becomes.is_some());
        for (step, done) in removals.chain(writes).zip(1_u64..) {
            let states = (step.was.as_ref(), step.becomes.as_ref());
            put(repo, &disk, &step.path, states, &mut kept)?;
            events.progress(task, done, Some(self.steps.len() as u64), Unit::Items);
        }
        events.finished(task, self.steps.len() as u64, Unit::Items);
        index::write(repo, self)?;
        self.move_branch(repo, self.to, message)?;
        Ok(kept)
    }

    /// Brings back files, index and branch as they were. Harmless when done already, whole or in part. What was neither the
    /// old nor the new version (written since) is stored as a blob before it is replaced, and named.
    pub fn undo(&self, repo: &Repo, message: &str, events: &Events) -> Result<Vec<Kept>> {
        let disk = Disk::open(repo.root())?;
        let at = self.branch_at(repo)?;
        if at != self.from && at != self.to {
            return Err(self.moved(at));
        }
        // Before anything moves: what somebody wrote since.
        let mut kept = self.written_since(repo, &disk)?;
        self.move_branch(repo, self.from, message)?;
        let task = "Bringing files back";
        let removals = self.steps.iter().rev().filter(|step| step.was.is_none());
        let writes = self.steps.iter().filter(|step| step.was.is_some());
        for (step, done) in removals.chain(writes).zip(1_u64..) {
            let states = (step.becomes.as_ref(), step.was.as_ref());
            put(repo, &disk, &step.path, states, &mut kept)?;
            events.progress(task, done, Some(self.steps.len() as u64), Unit::Items);
        }
        events.finished(task, self.steps.len() as u64, Unit::Items);
        index::restore(repo, self)?;
        Ok(kept)
    }

    /// Where the site stands. Reads only.
    pub fn standing(&self, repo: &Repo) -> Result<Standing> {
        let at = self.branch_at(repo)?;
        if at == self.to && at != self.from {
            return Ok(Standing::New);
        }
        let disk = Disk::open(repo.root())?;
        for step in &self.steps {
            let now = disk.find(&step.path)?;
            if is(&now, step.becomes.as_ref())? && !is(&now, step.was.as_ref())? {
                return Ok(Standing::Between);
            }
        }
        Ok(if at == self.from { Standing::Old } else { Standing::Between })
    }

    /// Where the branch is. HEAD has to be on it: the index and working tree are HEAD's.
    fn branch_at(&self, repo: &Repo) -> Result<Oid> {
        let head = repo.git.find_reference("HEAD").what("could not read HEAD of the clone")?;
        let expected =
            std::iter::once(&self.reference).chain(self.onto.iter().map(|onto| &onto.reference));
        let found =
            expected.clone().find(|name| head.symbolic_target_bytes() == Some(name.as_bytes()));
        let Some(reference) = found else {
            let name = self.reference.trim_start_matches("refs/heads/");
            return Err(Error::new(format!("the site is not on branch {name} any more"))
                .hint(format!("git -C {} switch {name}", repo.root().display())));
        };
        let found = repo.git.find_reference(reference).and_then(|found| found.peel_to_commit());
        Ok(found.what_with(|| format!("could not read {reference}"))?.id())
    }

    fn moved(&self, at: Oid) -> Error {
        Error::new(format!(
            "{} is at {at}: somebody moved it since the update began",
            self.reference
        ))
        .because(format!("the update moves it from {} to {}", self.from, self.to))
        .hint(format!(
            "git branch saved-work {at}, then git update-ref {} {}",
            self.reference, self.from
        ))
    }

    fn move_branch(&self, repo: &Repo, to: Oid, message: &str) -> Result<()> {
        let at = self.branch_at(repo)?;
        if at != self.from && at != self.to {
            return Err(self.moved(at));
        }
        let is_unmoved = || match self.branch_at(repo)? {
            now if now == at => Ok(()),
            now => Err(self.moved(now)),
        };
        if let Some(onto) = &self.onto {
            return if to == self.to {
                onto.take(repo, to, message, is_unmoved)
            } else {
                onto.leave(repo, &self.reference, self.to, message, is_unmoved)
            };
        }
        if at == to {
            return Ok(());
        }
        place::line(
            repo,
            &repo.common_folder().join(&self.reference),
            &to.to_string(),
            is_unmoved,
        )?;
        place::log(repo, &[&self.reference, "HEAD"], to, message);
        Ok(())
    }

    /// The files of the plan that are neither the old nor the new version: somebody has written them since. Reads only.
    pub fn changed_since(&self, repo: &Repo) -> Result<Vec<SitePath>> {
        self.changed(&Disk::open(repo.root())?)
    }

    fn changed(&self, disk: &Disk) -> Result<Vec<SitePath>> {
        let mut changed = Vec::new();
        for step in &self.steps {
            let now = disk.find(&step.path)?;
            if !is(&now, step.was.as_ref())? && !is(&now, step.becomes.as_ref())? {
                changed.push(step.path.clone());
            }
        }
        Ok(changed)
    }

    /// Every file of the plan is still the old one, or already the new one.
    fn nobody_changed(&self, disk: &Disk) -> Result<()> {
        const NAMED: usize = 5;
        let mut changed: Vec<String> =
            self.changed(disk)?.iter().map(ToString::to_string).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let more = changed.len().saturating_sub(NAMED);
        changed.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        Err(Error::new(format!(
            "files of the site changed while the update was being prepared: {}{more}",
            changed.join(", ")
        ))
        .hint("Start the update again: it takes the changes along.")
        .exit(Exit::Prepare))
    }

    fn written_since(&self, repo: &Repo, disk: &Disk) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for step in &self.steps {
            let now = disk.find(&step.path)?;
            if is(&now, step.was.as_ref())? || is(&now, step.becomes.as_ref())? {
                continue;
            }
            if let Found::File(file) = now {
                let oid = repo.store(&file.content)?;
                kept.push(Kept {
                    path: step.path.clone(),
                    mode: file.mode,
                    oid,
                    collision: Collision::Untracked,
                });
            }
        }
        Ok(kept)
    }
}

/// Whether what is on disk is this state: its content, its type, whether it can be executed.
fn is(now: &Found, state: Option<&State>) -> Result<bool> {
    match (now, state) {
        (Found::Nothing | Found::Folder, None) => Ok(true),
        (Found::File(file), Some(_)) => is_one_of(file, [state, None]),
        _ => Ok(false),
    }
}

/// Makes a path the state `to`, unless it is already; `from` is the state that it should have. What
/// was there and is neither has been written meanwhile: it is stored, and added to `kept`.
fn put(
    repo: &Repo,
    disk: &Disk,
    path: &SitePath,
    (from, to): (Option<&State>, Option<&State>),
    kept: &mut Vec<Kept>,
) -> Result<()> {
    let mut keep = |displaced: Found| match displaced {
        Found::File(file) if !is_one_of(&file, [from, to])? => {
            let oid = repo.store(&file.content)?;
            if !kept.iter().any(|known: &Kept| known.path == *path && known.oid == oid) {
                let collision = Collision::Untracked;
                kept.push(Kept { path: path.clone(), mode: file.mode, oid, collision });
            }
            Ok(())
        }
        _ => Ok::<(), Error>(()),
    };
    let now = disk.find(path)?;
    let leftover = disk.take_leftover(path)?;
    if is(&now, to)? {
        // A kill came after the swap: what it had displaced lay beside.
        keep(leftover)?;
    }
    let Some(state) = to else { return keep(disk.remove(path)?) };
    if is(&now, to)?
        && (state.access.is_none()
            || matches!(&now, Found::File(file) if Some(&file.access) == state.access.as_ref()))
    {
        return Ok(());
    }
    // A state without owner and permissions of its own takes over those of the file it replaces.
    let like = from
        .filter(|from| from.mode.is_file() == state.mode.is_file())
        .and_then(|from| from.access.as_ref());
    let content = repo.blob(state.oid)?;
    let access = state.access.as_ref().or(like);
    keep(disk.write(path, ToWrite { mode: state.mode, content: &content, access })?)
}

fn is_one_of(file: &OnDisk, states: [Option<&State>; 2]) -> Result<bool> {
    let oid = Oid::hash_object(git2::ObjectType::Blob, &file.content);
    let oid = oid.what("could not hash a file")?;
    Ok(states.into_iter().flatten().any(|state| file.mode == state.mode && oid == state.oid))
}
