//! Walks three trees in parallel and separates the changes of one side from those that need a
//! closer look.

use std::collections::BTreeMap;

use git2::Oid;

use super::guard::{Guard, join};
use super::trees::Trees;
use crate::error::Result;

/// The index of a side in every array of three: base, ours, theirs.
pub const BASE: usize = 0;
/// The site's side.
pub const OURS: usize = 1;
/// Upstream's side.
pub const THEIRS: usize = 2;

/// The mode of a directory.
pub const FOLDER: u32 = 0o040_000;

/// A mode and an object, as in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// git's mode.
    pub mode: u32,
    /// The object.
    pub oid: Oid,
}

impl Version {
    /// Returns true if it is a directory, whose object is its tree.
    pub fn is_folder(self) -> bool {
        self.mode == FOLDER
    }
}

/// A side's version, or three versions that are still to be merged (a renamed file that met another
/// one).
#[derive(Clone, Debug)]
pub struct Stage {
    /// Mode and content. Of a nested one only the mode counts.
    pub version: Version,
    /// The versions to merge: base, ours, theirs.
    pub nested: Option<Box<[Option<Version>; 3]>>,
    /// The path on its side.
    pub path: Vec<u8>,
}

/// A path whose versions need a closer look.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The files at this path: base, ours, theirs.
    pub stages: [Option<Stage>; 3],
    /// True for each side that has a directory here.
    pub folders: [bool; 3],
    /// True if two sides were equal: the third one is the result.
    pub equal: Option<(usize, usize)>,
    /// True if a rename conflicts here, whatever the contents.
    pub rename_conflict: bool,
    /// The other side's name for the same renamed file, if it differs.
    pub twin: Option<Vec<u8>>,
    /// The site's change to a file that a rename brought onto another one here.
    pub carried: Option<Carried>,
    /// True if a rename moved this path: it is settled as removed.
    pub gone: bool,
}

/// The site's change to a file before both sides of it were merged into one version.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// The side that renamed it.
    pub side: usize,
    /// The version before.
    pub base: Version,
    /// The site's version.
    pub ours: Version,
}

impl Entry {
    /// Returns true for each of base, ours and theirs that has a file here.
    pub fn files(&self) -> [bool; 3] {
        [self.stages[BASE].is_some(), self.stages[OURS].is_some(), self.stages[THEIRS].is_some()]
    }
}

/// A deleted or added file of one side: a candidate for renames.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its path.
    pub path: Vec<u8>,
    /// Its mode and content.
    pub version: Version,
    /// For a deleted file: true if the other side changed it, so that its destination matters.
    pub relevant: bool,
}

/// The result of the walk.
#[derive(Default)]
pub struct Walk {
    /// Everything that needs a closer look.
    pub entries: BTreeMap<Vec<u8>, Entry>,
    /// Files that only theirs changed (`None`: deleted), and that differ from ours.
    pub files: Vec<(Vec<u8>, Option<Version>)>,
    /// Directories that only theirs changed (`None`: deleted).
    pub folders: Vec<(Vec<u8>, Option<Oid>)>,
    /// The deleted files of each side; index 0 is unused.
    pub deleted: [Vec<Candidate>; 3],
    /// The added files of each side.
    pub added: [Vec<Candidate>; 3],
    /// Directories that only ours changed and still has: they are in the result.
    pub kept_folders: Vec<Vec<u8>>,
    /// The directories that each side removed.
    pub removed_folders: [Vec<Vec<u8>>; 3],
    /// Directories that only one side changed, which are not walked: `(path, versions)`.
    deferred: [Vec<(Vec<u8>, Three)>; 3],
    guard: Guard,
}

type Three = [Option<Version>; 3];

impl Walk {
    /// Walks the three trees.
    pub fn new(trees: &Trees<'_>, roots: [Oid; 3]) -> Result<Self> {
        let mut walk = Self::default();
        let roots = roots.map(|oid| Some(Version { mode: FOLDER, oid }));
        walk.folder(trees, &[], roots, [true; 3])?;
        // The destination of a changed file is known only when all new files of the other side are.
        for side in [OURS, THEIRS] {
            let defer = walk.deleted[side].iter().all(|candidate| !candidate.relevant);
            let deferred = std::mem::take(&mut walk.deferred[side]);
            for (path, versions) in if defer { deferred } else { hash_order(deferred) } {
                if defer {
                    walk.take_folder(side, path, versions);
                } else {
                    let mut deferrable = [true; 3];
                    deferrable[side] = false;
                    walk.children(trees, &path, versions, deferrable)?;
                }
            }
        }
        Ok(walk)
    }

    /// Only `side` changed this directory: its version is the result.
    fn take_folder(&mut self, side: usize, path: Vec<u8>, versions: Three) {
        match side {
            THEIRS => self.folders.push((path, versions[THEIRS].map(|version| version.oid))),
            _ if versions[OURS].is_some() => self.kept_folders.push(path),
            _ => {}
        }
    }

    fn folder(
        &mut self,
        trees: &Trees<'_>,
        path: &[u8],
        versions: Three,
        deferrable: [bool; 3],
    ) -> Result<()> {
        let [base, ours, theirs] = versions;
        let changed = match versions {
            _ if base == ours && base == theirs => return Ok(()),
            _ if base.is_some() && base == ours => Some(THEIRS),
            _ if base.is_some() && base == theirs => Some(OURS),
            [None, Some(_), None] => Some(OURS),
            [None, None, Some(_)] => Some(THEIRS),
            _ => None,
        };
        match changed {
            Some(side) if deferrable[side] => self.deferred[side].push((path.to_vec(), versions)),
            _ => self.children(trees, path, versions, deferrable)?,
        }
        Ok(())
    }

    fn children(
        &mut self,
        trees: &Trees<'_>,
        path: &[u8],
        folders: Three,
        deferrable: [bool; 3],
    ) -> Result<()> {
        let mut names: BTreeMap<Vec<u8>, Three> = BTreeMap::new();
        for (side, folder) in folders.iter().enumerate() {
            let Some(folder) = folder else { continue };
            let held = trees.read(folder.oid)?;
            if side == THEIRS {
                self.guard.folder(&held, path)?;
            }
            for (name, version) in held.iter() {
                names.entry(name.clone()).or_default()[side] = Some(*version);
            }
        }
        for (name, versions) in names {
            self.child(trees, join(path, &name), versions, deferrable)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        trees: &Trees<'_>,
        path: Vec<u8>,
        versions: Three,
        deferrable: [bool; 3],
    ) -> Result<()> {
        let [base, ours, theirs] = versions;
        if base == ours && base == theirs {
            return Ok(());
        }
        let is = |side: usize, folder: bool| {
            versions[side].is_some_and(|version| version.is_folder() == folder)
        };
        let files = [is(BASE, false), is(OURS, false), is(THEIRS, false)];
        let folders = [is(BASE, true), is(OURS, true), is(THEIRS, true)];
        if files == [true; 3] && (base == ours || base == theirs || ours == theirs) {
            if base == ours {
                self.files.push((path, theirs));
            }
            return Ok(());
        }
        self.note_removed_folders(&path, folders);
        if files.contains(&true) {
            self.note_candidates(&path, versions, files);
            self.entries.insert(path.clone(), entry(&path, versions, files, folders));
        }
        if !folders.contains(&true) {
            return Ok(());
        }
        let only_folders =
            [BASE, OURS, THEIRS].map(|side| versions[side].filter(|_| folders[side]));
        if files.contains(&true) && base != ours && base != theirs {
            // A file meets a directory, and both sides changed it: every file below must be known.
            return self.children(trees, &path, only_folders, deferrable);
        }
        self.folder(trees, &path, only_folders, deferrable)
    }

    fn note_removed_folders(&mut self, path: &[u8], folders: [bool; 3]) {
        for side in [OURS, THEIRS] {
            if folders[BASE] && !folders[side] {
                self.removed_folders[side].push(path.to_vec());
            }
        }
    }

    fn note_candidates(&mut self, path: &[u8], versions: Three, files: [bool; 3]) {
        let any_equal = equal(versions).is_some_and(|(one, two)| files[one] && files[two]);
        for side in [OURS, THEIRS] {
            let list = match (files[BASE], files[side]) {
                (true, false) => &mut self.deleted[side],
                (false, true) => &mut self.added[side],
                _ => continue,
            };
            let source = if files[BASE] { versions[BASE] } else { versions[side] };
            let Some(version) = source else { continue };
            list.push(Candidate {
                path: path.to_vec(),
                version,
                relevant: files[BASE] && !any_equal,
            });
        }
    }
}

/// git's order of postponed directories: that of its hash table. It decides the matches among
/// identical files.
fn hash_order<T>(folders: Vec<(Vec<u8>, T)>) -> Vec<(Vec<u8>, T)> {
    const FULL: usize = 80;
    let hash = |path: &[u8]| {
        path.iter()
            .fold(0x811c_9dc5_u32, |hash, byte| hash.wrapping_mul(0x0100_0193) ^ u32::from(*byte))
    };
    let mut table: Vec<Vec<(Vec<u8>, T)>> = std::iter::repeat_with(Vec::new).take(64).collect();
    let put = |table: &mut Vec<Vec<(Vec<u8>, T)>>, entry: (Vec<u8>, T)| {
        let slot = hash(&entry.0) as usize & (table.len() - 1);
        table[slot].insert(0, entry);
    };
    for (count, folder) in folders.into_iter().enumerate() {
        put(&mut table, folder);
        if (count + 1) * 100 > table.len() * FULL {
            let mut larger: Vec<Vec<(Vec<u8>, T)>> =
                std::iter::repeat_with(Vec::new).take(table.len() * 4).collect();
            table.into_iter().flatten().for_each(|entry| put(&mut larger, entry));
            table = larger;
        }
    }
    table.into_iter().flatten().collect()
}

/// Returns the two of three versions that exist and are equal.
fn equal(versions: Three) -> Option<(usize, usize)> {
    [(BASE, OURS), (BASE, THEIRS), (OURS, THEIRS)]
        .into_iter()
        .find(|(one, two)| versions[*one].is_some() && versions[*one] == versions[*two])
}

fn entry(path: &[u8], versions: Three, files: [bool; 3], folders: [bool; 3]) -> Entry {
    let stage = |side: usize| {
        let version = versions[side].filter(|_| files[side])?;
        Some(Stage { version, nested: None, path: path.to_vec() })
    };
    let equal = equal(versions).filter(|(one, two)| files[*one] && files[*two]);
    Entry { stages: [stage(BASE), stage(OURS), stage(THEIRS)], folders, equal, ..Entry::default() }
}
