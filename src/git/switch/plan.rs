//! The plan of the switch: every file that must change, with its current state.

use std::collections::BTreeSet;

use git2::{Oid, TreeBuilder};

use super::disk::{Disk, Found, OnDisk};
use super::eol::Worktree;
use super::{State, Step, Switch};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::git::local::Local;
use crate::git::merge::{Merged, Mode};
use crate::git::{Branch, Repo};
use crate::path::SitePath;

impl Switch {
    /// Plans the switch from the working tree. Writes only objects (the index file, replaced
    /// files).
    pub fn plan(repo: &Repo, branch: &Branch, local: &Local, merged: &Merged) -> Result<Self> {
        let planner = Planner {
            repo,
            disk: Disk::open(repo.root())?,
            worktree: Worktree::new(repo, merged.tree)?,
            local,
            merged,
        };
        let kept: BTreeSet<&SitePath> = merged.kept.iter().map(|kept| &kept.path).collect();
        let changed = repo.changed_paths(local.tree, merged.tree)?;
        let paths: BTreeSet<&SitePath> =
            changed.iter().map(|(path, _)| path).chain(kept.iter().copied()).collect();
        let mut steps = Vec::new();
        for path in paths {
            steps.extend(planner.step(path, kept.contains(path))?);
        }
        let contents = contents(repo, &steps)?;
        Ok(Self {
            reference: branch.reference(),
            from: branch.head,
            to: merged.commit,
            onto: None,
            before: local.tree,
            after: merged.tree,
            contents,
            steps,
        })
    }
}

struct Planner<'a> {
    repo: &'a Repo,
    disk: Disk,
    worktree: Worktree,
    local: &'a Local,
    merged: &'a Merged,
}

impl Planner<'_> {
    fn step(&self, path: &SitePath, kept: bool) -> Result<Option<Step>> {
        let expected = self.repo.version_in(self.local.tree, path.as_bytes())?;
        let becomes = self.becomes(path)?;
        let found = self.disk.find(path)?;
        let was = match found {
            Found::Other => return Err(changed(path)),
            Found::File(file) => Some(self.state(&file)?),
            Found::Nothing | Found::Folder => None,
        };
        let same = |one: &Option<State>, two: &Option<State>| {
            one.as_ref().map(|one| (one.mode, one.oid))
                == two.as_ref().map(|two| (two.mode, two.oid))
        };
        if same(&was, &becomes) {
            return Ok(None);
        }
        let known = match (expected, &was) {
            (None, None) => true,
            (None, Some(_)) => kept,
            // A submodule's directory is left alone.
            (Some(expected), None) => Mode::of_bits(expected.mode) == Some(Mode::Submodule),
            (Some(expected), Some(was)) => self.is_unchanged(path, expected.oid, was)?,
        };
        if !known {
            return Err(changed(path));
        }
        Ok(Some(Step { path: path.clone(), was, becomes }))
    }

    /// Returns true if the file on disk has the local commit's content, by git's conversions.
    fn is_unchanged(&self, path: &SitePath, expected: Oid, was: &State) -> Result<bool> {
        if was.oid == expected {
            return Ok(true);
        }
        let found = self.repo.dir.metadata(path.as_path());
        let Some(found) = found.what_with(|| format!("could not look at {path}"))? else {
            return Ok(false);
        };
        Ok(self.repo.hash(path.as_path(), &found)? == expected)
    }

    fn becomes(&self, path: &SitePath) -> Result<Option<State>> {
        let Some(version) = self.repo.version_in(self.merged.tree, path.as_bytes())? else {
            return Ok(None);
        };
        let Some(mode) = Mode::of_bits(version.mode).filter(|mode| *mode != Mode::Submodule) else {
            return Ok(None);
        };
        let mut oid = version.oid;
        if mode.is_file() {
            let content = self.repo.blob(oid)?;
            let on_disk = self.worktree.content(path, oid, &content)?;
            if on_disk != content {
                oid = self.repo.store(&on_disk)?;
            }
        }
        Ok(Some(State { mode, oid, access: None }))
    }

    fn state(&self, file: &OnDisk) -> Result<State> {
        Ok(State {
            mode: file.mode,
            oid: self.repo.store(&file.content)?,
            access: Some(file.access.clone()),
        })
    }
}

fn changed(path: &SitePath) -> Error {
    Error::new(format!("{path} changed while the update was being prepared"))
        .hint("Start the update again: it takes the change along.")
        .exit(Exit::Prepare)
}

/// Returns a tree with all contents that the switch or its undoing needs.
fn contents(repo: &Repo, steps: &[Step]) -> Result<Oid> {
    let doing = "could not keep the files that the switch replaces";
    let mut all: TreeBuilder<'_> = repo.git.treebuilder(None).what(doing)?;
    let blob = i32::from_be_bytes(0o100_644_u32.to_be_bytes());
    for state in steps.iter().flat_map(|step| [&step.was, &step.becomes]).flatten() {
        all.insert(state.oid.to_string(), state.oid, blob).what(doing)?;
    }
    if let Some(index) = repo.index_file()? {
        all.insert("index", repo.store(&index)?, blob).what(doing)?;
    }
    all.write().what(doing)
}
