//! The switch of the site to the merge and back: file by file, in repeatable steps, so that it can
//! be finished or undone after a kill.
//!
//! The order forwards is files, index, branch; backwards it is branch, files, index. A moved branch
//! therefore means that every file is in place.

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

/// All changes of the switch, in order, with the previous state. Written to the journal before the
/// first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// The branch's full name.
    pub reference: String,
    /// The branch's old commit.
    #[serde(with = "oid_text")]
    pub from: Oid,
    /// The new commit of the branch, or of the branch that HEAD moves to.
    #[serde(with = "oid_text")]
    pub to: Oid,
    /// The branch that HEAD moves to, if it is another one. `reference` then stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<Onto>,
    /// The tree of the working tree before: the site with its uncommitted changes.
    #[serde(with = "oid_text")]
    pub before: Oid,
    /// The tree of the working tree after.
    #[serde(with = "oid_text")]
    pub after: Oid,
    /// A tree with the contents of all steps and the old index (`index`).
    #[serde(with = "oid_text")]
    pub contents: Oid,
    /// The changes, sorted by path.
    pub steps: Vec<Step>,
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The file.
    pub path: SitePath,
    /// The file before. `None` if there was none.
    pub was: Option<State>,
    /// The file after. `None` if it is removed.
    pub becomes: Option<State>,
}

/// A file or link on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// File, executable or link.
    pub mode: Mode,
    /// The content on disk, as a blob.
    #[serde(with = "oid_text")]
    pub oid: Oid,
    /// The owner and the permissions. `None` uses git's modes.
    pub access: Option<Access>,
}

/// The state of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// The branch has its old commit, and no file is new.
    Old,
    /// The branch has its new commit, and every file is new.
    New,
    /// Neither: apply again, or undo.
    Between,
}

impl Switch {
    /// Returns the objects to hold (see [`Repo::hold`]) while the run can be undone, each with a
    /// name.
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

    /// Returns the files that it changes.
    pub fn paths(&self) -> Vec<&SitePath> {
        self.steps.iter().map(|step| &step.path).collect()
    }

    /// Applies the switch: files, then the index, then the branch, whose reflog gets `message`.
    /// Repeatable after any interruption. It first verifies that no file has changed since the
    /// plan. A change after that is stored as a blob before it is replaced, and returned.
    pub fn apply(&self, repo: &Repo, message: &str, events: &Events) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        let disk = Disk::open(repo.root())?;
        match self.branch_at(repo)? {
            at if at == self.to && at != self.from => return Ok(kept),
            at if at == self.from => {}
            at => return Err(self.moved(at)),
        }
        self.nobody_changed(&disk)?;
        // The branch's target, and the objects for undoing, are on disk before anything depends on
        // them.
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

    /// Restores files, index and branch. Repeatable after any interruption. A file that is neither
    /// old nor new has been changed since: it is stored as a blob before it is replaced, and
    /// returned.
    pub fn undo(&self, repo: &Repo, message: &str, events: &Events) -> Result<Vec<Kept>> {
        let disk = Disk::open(repo.root())?;
        let at = self.branch_at(repo)?;
        if at != self.from && at != self.to {
            return Err(self.moved(at));
        }
        // Changes since the switch are collected before anything moves.
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

    /// Returns the state of the site. Reads only.
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

    /// Returns the branch's commit. HEAD must be on the branch: index and working tree belong to
    /// HEAD.
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

    /// Returns the files of the plan that are neither old nor new: they have been changed since.
    /// Reads only.
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

    /// Fails unless every file of the plan is old or new.
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

/// Returns true if the file on disk has this state: content, type and executable bit.
fn is(now: &Found, state: Option<&State>) -> Result<bool> {
    match (now, state) {
        (Found::Nothing | Found::Folder, None) => Ok(true),
        (Found::File(file), Some(_)) => is_one_of(file, [state, None]),
        _ => Ok(false),
    }
}

/// Brings a path to the state `to`, unless it has it already. `from` is the expected state. A file
/// that has neither was changed meanwhile: it is stored and added to `kept`.
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
        // A kill came after the exchange and left the displaced file behind.
        keep(leftover)?;
    }
    let Some(state) = to else { return keep(disk.remove(path)?) };
    if is(&now, to)?
        && (state.access.is_none()
            || matches!(&now, Found::File(file) if Some(&file.access) == state.access.as_ref()))
    {
        return Ok(());
    }
    // A state without owner and permissions inherits those of the replaced file.
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
