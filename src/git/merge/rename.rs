//! Detects the renames of one side by git's rules: first equal contents, then equal names with
//! similar contents, then the most similar contents of the rest.

use std::collections::{HashMap, HashSet};

use git2::{Oid, Repository};

use super::similar::{IDENTICAL, Pieces, sizes_differ_too_much};
use super::walk::{Candidate, Walk};
use crate::error::{Context, Result};
use crate::git::blob;

/// The lowest score of a rename: half.
const LEAST: u64 = IDENTICAL / 2;
/// The lowest score if the file kept its name and the name is unique.
const LEAST_SAME_NAME: u64 = LEAST + (IDENTICAL - LEAST) / 2;
/// The square root of the number of comparisons above which git skips them.
const LIMIT: usize = 7000;
/// The number of candidates that git keeps for each destination.
const BEST: usize = 4;

/// A renamed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The path in the base.
    pub from: Vec<u8>,
    /// The path on the side with the rename.
    pub to: Vec<u8>,
    /// The side.
    pub side: usize,
}

/// Returns the renames of `side`.
pub fn find(git: &Repository, walk: &Walk, side: usize) -> Result<Vec<Rename>> {
    let sources: Vec<&Candidate> =
        walk.deleted[side].iter().filter(|file| !is_empty(file.version.oid)).collect();
    let targets: Vec<&Candidate> =
        walk.added[side].iter().filter(|file| !is_empty(file.version.oid)).collect();
    if targets.is_empty() || !sources.iter().any(|source| source.relevant) {
        return Ok(Vec::new());
    }
    let mut search = Search {
        git,
        taken: vec![false; sources.len()],
        found: vec![None; targets.len()],
        pieces: HashMap::new(),
        sources,
        targets,
    };
    search.exact();
    search.same_name(&walk.removed_folders[side])?;
    search.most_similar()?;
    Ok(search.renames(side))
}

/// git does not follow empty files, which are all equal.
fn is_empty(oid: Oid) -> bool {
    const EMPTY: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    oid.to_string() == EMPTY
}

struct Search<'a> {
    git: &'a Repository,
    sources: Vec<&'a Candidate>,
    targets: Vec<&'a Candidate>,
    taken: Vec<bool>,
    /// The source of each target.
    found: Vec<Option<usize>>,
    pieces: HashMap<Oid, Pieces>,
}

impl Search<'_> {
    fn renames(&self, side: usize) -> Vec<Rename> {
        let found = self.found.iter().zip(&self.targets);
        found
            .filter_map(|(source, target)| {
                let from = self.sources[(*source)?].path.clone();
                Some(Rename { from, to: target.path.clone(), side })
            })
            .collect()
    }

    fn take(&mut self, source: usize, target: usize) {
        self.taken[source] = true;
        self.found[target] = Some(source);
    }

    /// Matches equal contents. Among several sources, the first with the same name wins.
    fn exact(&mut self) {
        let mut by_content: HashMap<Oid, Vec<usize>> = HashMap::new();
        for (index, source) in self.sources.iter().enumerate() {
            by_content.entry(source.version.oid).or_default().push(index);
        }
        for target in 0..self.targets.len() {
            let wanted = self.targets[target];
            let Some(same) = by_content.get(&wanted.version.oid) else { continue };
            let fits = |source: &&usize| {
                let mode = self.sources[**source].version.mode;
                !self.taken[**source]
                    && (mode == wanted.version.mode
                        || is_file(mode) && is_file(wanted.version.mode))
            };
            let named = |source: &&usize| {
                base_name(&self.sources[**source].path) == base_name(&wanted.path)
            };
            let best =
                same.iter().filter(fits).find(named).or_else(|| same.iter().find(fits)).copied();
            if let Some(source) = best {
                self.take(source, target);
            }
        }
    }

    /// Matches files that kept their name, if the name is unique or other files show where the
    /// directory moved.
    fn same_name(&mut self, removed: &[Vec<u8>]) -> Result<()> {
        let guesses = self.folder_guesses(removed);
        let sources = unique(
            self.sources
                .iter()
                .enumerate()
                .filter(|(at, _)| !self.taken[*at])
                .map(|(at, file)| (at, &file.path)),
        );
        let targets = unique(
            self.targets
                .iter()
                .enumerate()
                .filter(|(at, _)| self.found[*at].is_none())
                .map(|(at, file)| (at, &file.path)),
        );
        let by_path: HashMap<&[u8], usize> = (0..self.targets.len())
            .filter(|target| self.found[*target].is_none())
            .map(|target| (self.targets[target].path.as_slice(), target))
            .collect();
        let mut pairs = Vec::new();
        for (index, source) in self.sources.iter().enumerate() {
            if self.taken[index] || !source.relevant {
                continue;
            }
            let name = base_name(&source.path);
            let target = match (sources.get(name), targets.get(name)) {
                (_, None) => None,
                (Some(Some(_)), Some(Some(target))) => Some(*target),
                _ => guess(&guesses, &source.path)
                    .and_then(|path| by_path.get(path.as_slice()).copied()),
            };
            pairs.extend(target.map(|target| (index, target)));
        }
        for (source, target) in pairs {
            if self.found[target].is_none()
                && self.score(source, target, LEAST_SAME_NAME)? >= LEAST_SAME_NAME
            {
                self.take(source, target);
            }
        }
        Ok(())
    }

    /// For directories that the side removed: the destination of most of their unchanged files.
    fn folder_guesses(&self, removed: &[Vec<u8>]) -> HashMap<Vec<u8>, Vec<u8>> {
        let removed: HashSet<&[u8]> = removed.iter().map(Vec::as_slice).collect();
        let mut counts: HashMap<&[u8], Vec<(&[u8], usize)>> = HashMap::new();
        for (target, source) in self.found.iter().enumerate() {
            let Some(source) = source else { continue };
            let (from, to) =
                (folder_name(&self.sources[*source].path), folder_name(&self.targets[target].path));
            if !removed.contains(from) {
                continue;
            }
            let known = counts.entry(from).or_default();
            match known.iter_mut().find(|(folder, _)| *folder == to) {
                Some((_, count)) => *count += 1,
                None => known.push((to, 1)),
            }
        }
        let mut guesses = HashMap::new();
        for (from, places) in counts {
            let best = places.into_iter().rev().max_by_key(|(_, count)| *count);
            guesses.extend(best.map(|(to, _)| (from.to_vec(), to.to_vec())));
        }
        guesses
    }

    /// Compares every relevant source with every remaining target, best pairs first.
    fn most_similar(&mut self) -> Result<()> {
        let sources: Vec<usize> = (0..self.sources.len())
            .filter(|at| !self.taken[*at] && self.sources[*at].relevant)
            .collect();
        let targets: Vec<usize> =
            (0..self.targets.len()).filter(|at| self.found[*at].is_none()).collect();
        if sources.len().saturating_mul(targets.len()) > LIMIT * LIMIT {
            return Ok(());
        }
        let mut pairs = Vec::new();
        for target in targets {
            let mut best: Vec<(u64, bool, usize, usize)> = Vec::new();
            for source in &sources {
                let score = self.score(*source, target, LEAST)?;
                if score < LEAST {
                    continue;
                }
                let same =
                    base_name(&self.sources[*source].path) == base_name(&self.targets[target].path);
                best.push((score, same, *source, target));
            }
            best.sort_by_key(|pair| std::cmp::Reverse((pair.0, pair.1)));
            best.truncate(BEST);
            pairs.extend(best);
        }
        pairs.sort_by_key(|pair| std::cmp::Reverse((pair.0, pair.1)));
        for (_, _, source, target) in pairs {
            if !self.taken[source] && self.found[target].is_none() {
                self.take(source, target);
            }
        }
        Ok(())
    }

    fn score(&mut self, source: usize, target: usize, least: u64) -> Result<u64> {
        let (one, two) = (self.sources[source].version, self.targets[target].version);
        if !is_file(one.mode) || !is_file(two.mode) {
            return Ok(0);
        }
        if sizes_differ_too_much(self.size(one.oid)?, self.size(two.oid)?, least) {
            return Ok(0);
        }
        self.cut(one.oid)?;
        self.cut(two.oid)?;
        Ok(self.pieces[&one.oid].score(&self.pieces[&two.oid]))
    }

    fn size(&self, oid: Oid) -> Result<u64> {
        let header = self.git.odb().and_then(|odb| odb.read_header(oid));
        Ok(header.what_with(|| format!("could not read object {oid}"))?.0 as u64)
    }

    fn cut(&mut self, oid: Oid) -> Result<()> {
        if !self.pieces.contains_key(&oid) {
            self.pieces.insert(oid, Pieces::new(blob::find(self.git, oid)?.content()));
        }
        Ok(())
    }
}

/// Returns the index of a name. `None` if several have it.
fn unique<'p>(
    files: impl Iterator<Item = (usize, &'p Vec<u8>)>,
) -> HashMap<&'p [u8], Option<usize>> {
    let mut names = HashMap::new();
    for (index, path) in files {
        names.entry(base_name(path)).and_modify(|known| *known = None).or_insert(Some(index));
    }
    names
}

fn guess(guesses: &HashMap<Vec<u8>, Vec<u8>>, path: &[u8]) -> Option<Vec<u8>> {
    let folder = guesses.get(folder_name(path))?;
    Some([folder, &b"/"[..], base_name(path)].concat())
}

fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

fn folder_name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &path[..at])
}
