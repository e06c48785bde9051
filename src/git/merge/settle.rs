//! Settles each entry: agreements are merged, and the rest are conflicts to decide.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::Favor;
use super::content::{Contents, Outcome, Policy, kind_of, versions};
use super::walk::{BASE, Entry, OURS, Stage, THEIRS, Version, Walk};
use crate::error::Result;
use crate::git::conflict::Kind;

/// A conflicting path, with everything that an answer may need.
#[derive(Clone, Debug)]
pub struct Clash {
    /// The path of its result.
    pub path: Vec<u8>,
    /// The kind.
    pub kind: Kind,
    /// The versions: base, ours, theirs.
    pub stages: [Option<Stage>; 3],
    /// The file's path if a directory keeps its place.
    pub aside: Option<Vec<u8>>,
    /// Upstream's name for a file that both renamed.
    pub twin: Option<Vec<u8>>,
}

/// The result of the entries.
#[derive(Default)]
pub struct Settled {
    /// The result of each path. `None` if it is removed.
    pub clean: BTreeMap<Vec<u8>, Option<Version>>,
    /// The conflicts, sorted by path.
    pub clashes: Vec<Clash>,
}

/// Settles everything that the walk could not. `labels` are the sides' names in paths, as git
/// writes them.
pub fn settle(walk: &Walk, contents: &Contents<'_>, labels: [&str; 2]) -> Result<Settled> {
    let mut settling = Settling {
        walk,
        merged: merge_contents(walk, contents)?,
        labels,
        folders: HashSet::new(),
        covered: BTreeSet::new(),
        done: Settled::default(),
    };
    for (path, _) in walk.folders.iter().filter(|(_, oid)| oid.is_some()) {
        settling.occupy(path);
        settling.folders.insert(path.clone());
    }
    for path in &walk.kept_folders {
        settling.occupy(path);
        settling.folders.insert(path.clone());
    }
    // Backwards, so that a directory's contents are known before a file that would take its place.
    for (path, entry) in walk.entries.iter().rev() {
        settling.entry(path, entry);
    }
    settling.done.clashes.sort_by(|one, two| one.path.cmp(&two.path));
    Ok(settling.done)
}

/// The merged contents of each path that both sides have.
fn merge_contents<'w>(
    walk: &'w Walk,
    contents: &Contents<'_>,
) -> Result<HashMap<&'w [u8], Outcome>> {
    let both =
        walk.entries.iter().filter_map(|(path, entry)| Some((path.as_slice(), to_merge(entry)?)));
    let both: Vec<(&[u8], [Option<Version>; 3])> = both.collect();
    let merged = contents
        .each(&both, |contents, (path, three)| contents.merge(path, *three, Policy::Look, 0))?;
    Ok(both.into_iter().map(|(path, _)| path).zip(merged).collect())
}

/// The versions whose contents are merged: two files of one type, with their base.
fn to_merge(entry: &Entry) -> Option<[Option<Version>; 3]> {
    let [_, Some(ours), Some(theirs)] = &entry.stages else { return None };
    let same_kind = kind_of(ours.version.mode) == kind_of(theirs.version.mode);
    let nested = ours.nested.is_some() || theirs.nested.is_some();
    (!entry.gone && same_kind && !nested).then(|| versions(&entry.stages))
}

/// The outcome for a path.
enum Verdict {
    /// This version, or none.
    Agreed(Option<Version>),
    /// A conflict.
    Clash(Kind),
}

struct Settling<'a> {
    walk: &'a Walk,
    /// The merged contents.
    merged: HashMap<&'a [u8], Outcome>,
    labels: [&'a str; 2],
    /// Directories that are not empty in the result.
    folders: HashSet<Vec<u8>>,
    /// Paths that another path's conflict decides too.
    covered: BTreeSet<Vec<u8>>,
    done: Settled,
}

impl Settling<'_> {
    fn entry(&mut self, path: &[u8], entry: &Entry) {
        let in_the_way = entry.folders.contains(&true) && self.folders.contains(path);
        match self.agreed(path, entry, in_the_way) {
            Verdict::Agreed(None) if in_the_way => {}
            Verdict::Agreed(version) => self.clean(path, version),
            Verdict::Clash(kind) => {
                let aside = in_the_way.then(|| self.aside(path, entry));
                self.clash(path, entry, kind, aside);
            }
        }
    }

    /// Returns the outcome for a path, as far as the sides agree.
    fn agreed(&self, path: &[u8], entry: &Entry, in_the_way: bool) -> Verdict {
        if entry.gone {
            return Verdict::Agreed(None);
        }
        let free = !in_the_way && !entry.rename_conflict;
        if let Some((one, two)) = entry.equal {
            let third = BASE + OURS + THEIRS - one - two;
            let result = if one == BASE { &entry.stages[third] } else { &entry.stages[one] };
            if result.is_none() || free {
                return Verdict::Agreed(result.as_ref().map(|stage| stage.version));
            }
        }
        match &entry.stages {
            [_, Some(ours), Some(theirs)] => self.both(path, entry, ours, theirs, free),
            [Some(_), Some(_), None] => Verdict::Clash(Kind::ModifyDelete),
            [Some(_), None, Some(_)] => Verdict::Clash(Kind::DeleteModify),
            [None, Some(stage), None] | [None, None, Some(stage)] if free => {
                Verdict::Agreed(Some(stage.version))
            }
            [None, Some(_), None] | [None, None, Some(_)] => Verdict::Clash(Kind::DirectoryFile),
            [_, None, None] => Verdict::Agreed(None),
        }
    }

    /// Settles a path that both sides have.
    fn both(
        &self,
        path: &[u8],
        entry: &Entry,
        ours: &Stage,
        theirs: &Stage,
        free: bool,
    ) -> Verdict {
        let Some(merged) = self.merged.get(path) else {
            let same_kind = kind_of(ours.version.mode) == kind_of(theirs.version.mode);
            return Verdict::Clash(if same_kind { Kind::RenameRename } else { Kind::Type });
        };
        if merged.clean() && free {
            return Verdict::Agreed(Some(merged.version));
        }
        Verdict::Clash(match kind_of(ours.version.mode) {
            0o160_000 => Kind::Submodule,
            _ if merged.same_content && !merged.same_mode => Kind::Mode,
            _ if entry.stages[BASE].is_none() => Kind::AddAdd,
            _ if merged.binary => Kind::Binary,
            _ => Kind::Content,
        })
    }

    fn clean(&mut self, path: &[u8], version: Option<Version>) {
        if version.is_some() {
            self.occupy(path);
        }
        self.done.clean.insert(path.to_vec(), version);
    }

    fn clash(&mut self, path: &[u8], entry: &Entry, kind: Kind, aside: Option<Vec<u8>>) {
        let kind = match (kind, entry.files()) {
            _ if aside.is_some() => Kind::DirectoryFile,
            (_, [true, true, false] | [true, false, true]) if entry.rename_conflict => {
                Kind::RenameDelete
            }
            (_, [false, _, _]) if entry.twin.is_some() => Kind::RenameRename,
            (kind, _) => kind,
        };
        self.occupy(aside.as_deref().unwrap_or(path));
        if self.covered.contains(path) {
            return;
        }
        let mut clash =
            Clash { path: path.to_vec(), kind, stages: entry.stages.clone(), aside, twin: None };
        self.join_twins(&mut clash, entry);
        self.done.clashes.push(clash);
    }

    /// A file that both renamed differently is one conflict if neither name meets another file.
    fn join_twins(&mut self, clash: &mut Clash, entry: &Entry) {
        let Some((name, twin)) =
            entry.twin.as_ref().and_then(|name| Some((name, self.walk.entries.get(name)?)))
        else {
            return;
        };
        let alone = |entry: &Entry| {
            let [_, ours, theirs] = entry.files();
            ours != theirs && !entry.folders.contains(&true)
        };
        if !alone(entry) || !alone(twin) {
            return;
        }
        let (ours, theirs, our_name, their_name) = if entry.files()[OURS] {
            (entry, twin, clash.path.clone(), name.clone())
        } else {
            (twin, entry, name.clone(), clash.path.clone())
        };
        clash.stages = [None, ours.stages[OURS].clone(), theirs.stages[THEIRS].clone()];
        let nested = ours.stages[OURS].as_ref().and_then(|stage| stage.nested.as_ref());
        let base = nested.and_then(|nested| nested[BASE]);
        clash.stages[BASE] =
            base.map(|version| Stage { version, nested: None, path: our_name.clone() });
        self.covered.insert(name.clone());
        self.occupy(name);
        (clash.path, clash.twin) = (our_name, Some(their_name));
    }

    fn occupy(&mut self, path: &[u8]) {
        for (at, _) in path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/') {
            if !self.folders.insert(path[..at].to_vec()) {
                break;
            }
        }
    }

    /// Returns git's name for a file whose place a directory has.
    fn aside(&self, path: &[u8], entry: &Entry) -> Vec<u8> {
        let label = if entry.folders[OURS] { self.labels[1] } else { self.labels[0] };
        let flat = label.replace('/', "_");
        let plain = [path, b"~", flat.as_bytes()].concat();
        let free = |name: &Vec<u8>| !self.walk.entries.contains_key(name);
        if free(&plain) {
            return plain;
        }
        let numbered = (0_u32..).map(|number| [&plain, format!("_{number}").as_bytes()].concat());
        numbered.into_iter().find(free).unwrap_or(plain)
    }
}

impl Clash {
    /// Returns the conflict's paths if a side is favoured hunk by hunk, as git's `-X` does.
    pub fn favored(
        &self,
        contents: &Contents<'_>,
        favor: Favor,
    ) -> Result<Vec<(Vec<u8>, Option<Version>)>> {
        let policy = Policy::Favor(favor);
        let place = self.aside.as_ref().unwrap_or(&self.path);
        let version = match &self.stages {
            // The side with the directory has deleted the file.
            [Some(_), one, two] if self.aside.is_some() && (one.is_none() || two.is_none()) => None,
            [_, Some(ours), Some(theirs)] if self.twin.is_some() => {
                let names =
                    [(&self.path, ours), (self.twin.as_ref().unwrap_or(&self.path), theirs)];
                let merged = names.map(|(path, stage)| {
                    Ok((path.clone(), Some(contents.version(path, stage, policy)?)))
                });
                return merged.into_iter().collect();
            }
            [_, Some(ours), Some(theirs)]
                if kind_of(ours.version.mode) != kind_of(theirs.version.mode) =>
            {
                Some(if favor == Favor::Theirs { theirs.version } else { ours.version })
            }
            [_, Some(_), Some(_)] => Some(self.merged(contents, policy)?),
            [_, Some(stage), None] | [_, None, Some(stage)] => {
                Some(contents.version(place, stage, policy)?)
            }
            [_, None, None] => None,
        };
        Ok(vec![(place.clone(), version)])
    }

    fn merged(&self, contents: &Contents<'_>, policy: Policy) -> Result<Version> {
        let mut three = [None; 3];
        for (version, stage) in three.iter_mut().zip(&self.stages) {
            *version = stage
                .as_ref()
                .map(|stage| contents.version(&self.path, stage, policy))
                .transpose()?;
        }
        Ok(contents.merge(&self.path, three, policy, 0)?.version)
    }

    /// Returns the paths in a merge of merge bases, where no plugin is asked.
    pub fn inner(
        &self,
        contents: &Contents<'_>,
        depth: u16,
    ) -> Result<Vec<(Vec<u8>, Option<Version>)>> {
        let policy = Policy::Inner(depth);
        let place = self.aside.as_ref().unwrap_or(&self.path);
        let base = self.stages[BASE].as_ref().map(|stage| stage.version);
        let version = match &self.stages {
            [_, Some(_), Some(_)] if self.twin.is_some() => {
                return self.favored(contents, Favor::Ours);
            }
            [_, Some(ours), Some(theirs)]
                if kind_of(ours.version.mode) != kind_of(theirs.version.mode) =>
            {
                base
            }
            [_, Some(_), Some(_)] => Some(self.merged(contents, policy)?),
            [Some(_), _, _] => base,
            [None, Some(stage), None] | [None, None, Some(stage)] => {
                Some(contents.version(place, stage, policy)?)
            }
            [None, None, None] => None,
        };
        Ok(vec![(place.clone(), version)])
    }

    /// Returns the mode that git would give to content without a mode.
    pub fn mode(&self) -> u32 {
        let mode = |side: usize| self.stages[side].as_ref().map(|stage| stage.version.mode);
        match (mode(BASE), mode(OURS), mode(THEIRS)) {
            (base, Some(ours), Some(theirs)) if Some(ours) == base => theirs,
            (_, Some(one), _) | (_, None, Some(one)) => one,
            (_, None, None) => 0o100_644,
        }
    }
}
