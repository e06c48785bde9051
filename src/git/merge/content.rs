//! Merges three versions of one file: mode, type and content, by git's rules.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use git2::{Oid, Repository};

use super::Favor;
use super::attributes::{Attributes, Driver};
use super::text::{self, Hunks};
use super::walk::{BASE, OURS, Stage, THEIRS, Version};
use crate::error::{Context, Error, Result};
use crate::git::blob::{self, Blobs, Content, Known};

/// The result of merging three versions.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The result, as far as it exists.
    pub version: Version,
    /// True if the modes agreed.
    pub same_mode: bool,
    /// True if the contents agreed.
    pub same_content: bool,
    /// True if the contents are not text.
    pub binary: bool,
}

impl Outcome {
    /// Returns true if nothing conflicted.
    pub fn clean(&self) -> bool {
        self.same_mode && self.same_content
    }
}

/// The treatment of conflicts in a content merge.
#[derive(Clone, Copy, Debug)]
pub enum Policy {
    /// Only detect conflicts. A conflicting result is not used, and not stored.
    Look,
    /// Take a side's hunks.
    Favor(Favor),
    /// For a merge of merge bases at this depth: write markers, and take the base of files without
    /// lines.
    Inner(u16),
}

/// git's names for the sides in markers of merged merge bases.
pub const INNER_NAMES: [&str; 2] = ["Temporary merge branch 1", "Temporary merge branch 2"];

/// git's marker size.
const MARKER: usize = 7;

/// The number of files that is worth a thread.
const WORTH_A_THREAD: usize = 64;

/// Reads and writes the objects that content merges need.
pub struct Contents<'g> {
    /// The clone.
    pub git: &'g Repository,
    attributes: Attributes<'g>,
    known: Arc<Known>,
}

impl<'g> Contents<'g> {
    /// Returns the store of this clone.
    pub fn of(git: &'g Repository) -> Self {
        Self::with(git, Arc::default())
    }

    fn with(git: &'g Repository, known: Arc<Known>) -> Self {
        Self { git, attributes: Attributes::of(git), known }
    }

    /// Returns a reader of the same contents for other threads.
    pub fn blobs(&self) -> Result<Blobs> {
        Blobs::open(self.git.path(), Arc::clone(&self.known))
    }

    /// Maps items in parallel, in order. Each thread has its own handle to the clone, since
    /// libgit2's handles are for one thread at a time. Few items need no threads.
    pub fn each<T, R>(
        &self,
        items: &[T],
        work: impl Fn(&Contents<'_>, &T) -> Result<R> + Sync,
    ) -> Result<Vec<R>>
    where
        T: Sync,
        R: Send,
    {
        let threads = match items.len() / WORTH_A_THREAD {
            0 | 1 => 1,
            // The query reads a dozen files.
            worth => thread::available_parallelism().map_or(1, NonZeroUsize::get).min(worth),
        };
        let (clone, known, work) = (self.git.path(), &self.known, &work);
        let (own, others) = items.split_at(items.len() / threads);
        let on_its_own = move |part: &[T]| -> Result<Vec<R>> {
            let git = Repository::open(clone)
                .what_with(|| format!("could not open {} again", clone.display()))?;
            let contents = Contents::with(&git, Arc::clone(known));
            part.iter().map(|item| work(&contents, item)).collect()
        };
        thread::scope(|scope| {
            let parts = others.chunks(own.len().max(1));
            let others: Vec<_> = parts.map(|part| scope.spawn(move || on_its_own(part))).collect();
            let mut done = own.iter().map(|item| work(self, item)).collect::<Result<Vec<R>>>()?;
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok(done)
        })
    }

    /// Returns an object's content.
    pub fn read(&self, oid: Oid) -> Result<Content<'g>> {
        self.known.read(self.git, oid)
    }

    /// Merges two versions of the same type with their base, which may be missing or of another
    /// type.
    pub fn merge(
        &self,
        path: &[u8],
        versions: [Option<Version>; 3],
        policy: Policy,
        extra: u16,
    ) -> Result<Outcome> {
        let [base, Some(ours), Some(theirs)] = versions else {
            return Err(Error::new("a content merge needs both sides"));
        };
        let base_mode = base.map(|base| base.mode);
        let (mode, same_mode) = match (ours.mode, theirs.mode) {
            (one, two) if one == two || Some(one) == base_mode => (two, true),
            (one, two) => (one, Some(two) == base_mode),
        };
        let settled = |oid| Outcome {
            version: Version { mode, oid },
            same_mode,
            same_content: true,
            binary: false,
        };
        let base_oid = base.map(|base| base.oid);
        if ours.oid == theirs.oid || Some(ours.oid) == base_oid {
            return Ok(settled(theirs.oid));
        }
        if Some(theirs.oid) == base_oid {
            return Ok(settled(ours.oid));
        }
        let same_type = base.filter(|base| kind_of(base.mode) == kind_of(ours.mode));
        let merged = match kind_of(ours.mode) {
            REGULAR => self.files(
                path,
                same_type.map(|base| base.oid),
                ours.oid,
                theirs.oid,
                policy,
                extra,
            )?,
            _ => whole(base, ours, theirs, policy),
        };
        Ok(Outcome { version: Version { mode, oid: merged.version.oid }, same_mode, ..merged })
    }

    fn files(
        &self,
        path: &[u8],
        base: Option<Oid>,
        ours: Oid,
        theirs: Oid,
        policy: Policy,
        extra: u16,
    ) -> Result<Outcome> {
        let old = base.map(|base| self.read(base)).transpose()?;
        let old = old.as_deref().unwrap_or_default();
        let (one, two) = (self.read(ours)?, self.read(theirs)?);
        let driver = self.attributes.driver(path);
        let hunks = match (policy, driver) {
            (_, Driver::Union) => Hunks::Favor(Favor::Union),
            (Policy::Favor(favor), _) => Hunks::Favor(favor),
            (Policy::Look, _) => Hunks::Unwritten,
            (Policy::Inner(depth), _) => {
                let size = MARKER + usize::from(depth * 2 + extra);
                Hunks::Marked { size, ours: INNER_NAMES[0], theirs: INNER_NAMES[1] }
            }
        };
        let merged = match driver {
            Driver::Binary => None,
            _ => text::merge(old, &one, &two, hunks),
        };
        let Some((bytes, clean)) = merged else {
            let regular = |oid| Version { mode: REGULAR, oid };
            return Ok(whole(base.map(regular), regular(ours), regular(theirs), policy));
        };
        let oid = match (policy, clean) {
            (Policy::Look, false) => ours,
            // An existing object need not be written.
            _ if *bytes == *one => ours,
            _ if *bytes == *two => theirs,
            _ => blob::write(self.git, &bytes)
                .what("could not write a merged file into the clone")?,
        };
        Ok(Outcome {
            version: Version { mode: REGULAR, oid },
            same_mode: true,
            same_content: clean,
            binary: false,
        })
    }

    /// Returns a stage's version, after its own merge if it needs one.
    pub fn version(&self, path: &[u8], stage: &Stage, policy: Policy) -> Result<Version> {
        let Some(nested) = &stage.nested else { return Ok(stage.version) };
        let extra = match policy {
            Policy::Inner(depth) => 1 + 2 * depth,
            _ => 1,
        };
        let merged = self.merge(path, **nested, policy, extra)?;
        Ok(merged.version)
    }
}

const REGULAR: u32 = 0o100_000;

/// Returns a mode's type: file, link or submodule.
pub fn kind_of(mode: u32) -> u32 {
    mode & 0o170_000
}

/// Decides files without lines as a whole.
fn whole(base: Option<Version>, ours: Version, theirs: Version, policy: Policy) -> Outcome {
    let (version, agreed) = match policy {
        Policy::Favor(Favor::Theirs) => (theirs, true),
        Policy::Favor(_) => (ours, true),
        Policy::Look => (ours, false),
        Policy::Inner(_) => (base.unwrap_or(ours), false),
    };
    Outcome { version, same_mode: true, same_content: agreed, binary: true }
}

/// Returns the versions of an entry's stages, without names.
pub fn versions(stages: &[Option<Stage>; 3]) -> [Option<Version>; 3] {
    [BASE, OURS, THEIRS].map(|side| stages[side].as_ref().map(|stage| stage.version))
}
