//! Applies the valid answers to conflicts and creates the merge commit.

use super::answer::{Answer, Conflict, Favor, Kept, Merged, Mode, Relation, Side};
use super::content::{Policy, kind_of};
use super::edit::Edits;
use super::obstacle::Obstacle;
use super::settle::Clash;
use super::walk::{BASE, OURS, Stage, THEIRS, Version};
use super::{Behind, Merge, loss};
use crate::error::{Context, Error, Result};
use crate::git::conflict::{Decision, Kind, Resolution};
use crate::path::SitePath;

/// The longest target of a link, in bytes.
const LONGEST_LINK: usize = 4095;

/// The effect of an answer.
pub struct Decided {
    by: String,
    resolution: Resolution,
    becomes: Becomes,
}

/// The effect on the files of a conflict.
enum Becomes {
    /// Directories are removed with their contents; files get these versions or are removed.
    Known(Changes),
    /// They are merged with this side's hunks, together with all such conflicts at the end.
    Favored(Favor),
}

impl Merge<'_> {
    /// Decides one conflict. `by` is the plugin's name. Fails if the answer is not valid. Another
    /// answer may follow; the last one counts.
    pub fn resolve(&self, conflict: &Conflict, answer: Answer, by: &str) -> Result<()> {
        let first = self.conflicts.partition_point(|offered| offered.path < conflict.path);
        let index = (first..self.conflicts.len())
            .take_while(|at| self.conflicts[*at].path == conflict.path);
        let index = index.into_iter().find(|at| &self.conflicts[*at] == conflict);
        let index = index.ok_or_else(|| {
            Error::new(format!("{} is not among the conflicts of this merge", conflict.path))
        })?;
        let behind = &self.behind[index];
        let resolution = resolution(&answer);
        let becomes = match (behind, answer) {
            (Behind { clash: Some(_), .. }, Answer::Favor(favor)) => Becomes::Favored(favor),
            (behind, answer) => Becomes::Known(self.changes(conflict, behind, &answer)?),
        };
        let decided = Decided { by: by.to_owned(), resolution, becomes };
        self.decided.borrow_mut().insert(index, decided);
        Ok(())
    }

    fn changes(&self, conflict: &Conflict, behind: &Behind, answer: &Answer) -> Result<Changes> {
        match (behind, answer) {
            (_, Answer::Content { bytes, mode }) => self.given(conflict, behind, bytes, *mode),
            (Behind { clash: Some(clash), .. }, Answer::Ours) => Ok(clash.taken(OURS)),
            (Behind { clash: Some(clash), .. }, Answer::Theirs) => Ok(clash.taken(THEIRS)),
            (Behind { clash: None, obstacle: Some(obstacle) }, answer) => {
                self.obstacle(obstacle, answer)
            }
            _ => Ok(Changes::default()),
        }
    }

    fn given(
        &self,
        conflict: &Conflict,
        behind: &Behind,
        bytes: &[u8],
        mode: Option<Mode>,
    ) -> Result<Changes> {
        let refuse = |why: &str| {
            Err(Error::new(format!(
                "the content answered for {} cannot stand: {why}",
                conflict.path
            )))
        };
        if bytes.len() as u64 > self.options.limit {
            return refuse(&format!(
                "{} bytes are more than the limit of {}",
                bytes.len(),
                self.options.limit
            ));
        }
        if conflict.kind == Kind::DirectoryFile || conflict.kind == Kind::Submodule {
            return refuse("a folder or submodule is there, not content");
        }
        let mode = mode.or_else(|| behind.mode()).unwrap_or(Mode::File);
        match mode {
            Mode::Submodule => return refuse("a submodule has no content"),
            Mode::Link if bytes.is_empty() || bytes.len() > LONGEST_LINK || bytes.contains(&0) => {
                return refuse("no link can point there");
            }
            _ => {}
        }
        if self.leaves_markers(conflict, bytes)? {
            return refuse("conflict markers are left in it");
        }
        let version = Version { mode: mode.bits(), oid: self.repo.store(bytes)? };
        let twin = behind.clash.as_ref().and_then(|clash| clash.twin.clone());
        let mut files: Vec<_> = twin.map(|twin| (twin, None)).into_iter().collect();
        files.push((conflict.path.as_bytes().to_vec(), Some(version)));
        Ok((Vec::new(), files))
    }

    /// Returns true if the bytes contain conflict markers that no side contains.
    fn leaves_markers(&self, conflict: &Conflict, bytes: &[u8]) -> Result<bool> {
        if !has_markers(bytes) {
            return Ok(false);
        }
        for side in [&conflict.base, &conflict.ours, &conflict.theirs].into_iter().flatten() {
            if side.mode.is_file() && has_markers(&self.repo.blob(side.oid)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn obstacle(&self, obstacle: &Obstacle, answer: &Answer) -> Result<Changes> {
        let (path, version) = (obstacle.path().to_vec(), obstacle.version());
        let ours = matches!(answer, Answer::Ours | Answer::Favor(Favor::Ours | Favor::Union));
        if !obstacle.is_at_its_place() {
            let blocked =
                if ours { obstacle.blocks.clone() } else { return Ok(Changes::default()) };
            // Either the result's file is removed, or the directory that the file would replace.
            return Ok(match obstacle.theirs {
                Some(_) => (Vec::new(), vec![(blocked, None)]),
                None => (vec![blocked], Vec::new()),
            });
        }
        let files = match (answer, obstacle.theirs) {
            (Answer::Remove, _) => vec![(path, None)],
            (Answer::Ours, _) => vec![(path, Some(version))],
            (Answer::Favor(favor), Some(theirs))
                if kind_of(theirs.mode) == kind_of(version.mode) =>
            {
                let three = [None, Some(version), Some(theirs)];
                let merged = self.contents.merge(&path, three, Policy::Favor(*favor), 0)?;
                let mode = if *favor == Favor::Theirs { theirs.mode } else { version.mode };
                vec![(path, Some(Version { mode, ..merged.version }))]
            }
            (Answer::Favor(_), _) if ours => vec![(path, Some(version))],
            _ => Vec::new(),
        };
        Ok((Vec::new(), files))
    }

    /// Returns the result once every conflict is decided. `message` and `at` are the merge
    /// commit's.
    pub fn finish(self, message: &str, at: &jiff::ZonedDateTime) -> Result<Merged> {
        let our_tree = self.repo.tree_of(self.ours)?;
        let tree = self.edits()?.apply(&self.trees, our_tree)?;
        self.trees.store(tree)?;
        let commit = self.commit(tree, message, at)?;
        let kept = self.kept(tree)?;
        let losses =
            loss::find(&self.contents, &self.trees, &self.computed.walk, &self.behind, tree)?;
        let decided = self.decided.into_inner();
        let told = self.conflicts.iter().enumerate().filter_map(|(index, conflict)| {
            let decided = decided.get(&index)?;
            Some(Decision {
                path: conflict.path.clone(),
                kind: conflict.kind,
                collision: conflict.collision,
                plugin: decided.by.clone(),
                resolution: decided.resolution,
            })
        });
        let decisions = told.collect();
        let (relation, base) = (self.relation, self.base);
        Ok(Merged {
            relation,
            base,
            ours: self.ours,
            theirs: self.theirs,
            commit,
            tree,
            decisions,
            losses,
            kept,
        })
    }

    fn edits(&self) -> Result<Edits> {
        let mut edits = self.computed.edits.clone();
        let decided = self.decided.borrow();
        for (index, conflict) in self.conflicts.iter().enumerate() {
            if !decided.contains_key(&index) {
                return Err(Error::new(format!(
                    "nobody has decided the conflict at {}",
                    conflict.path
                )));
            }
        }
        for clash in self.behind.iter().filter_map(|behind| behind.clash.as_ref()) {
            clash.release(&mut edits);
        }
        // Conflicts between the trees come first: an uncommitted file decides last about its own
        // path.
        let (clashes, obstacles): (Vec<_>, Vec<_>) =
            decided.iter().partition(|(index, _)| self.behind[**index].clash.is_some());
        let mut favored = self.favored(&clashes)?.into_iter();
        for (_, decided) in clashes.iter().chain(&obstacles) {
            match &decided.becomes {
                Becomes::Known((cleared, files)) => {
                    for path in cleared {
                        edits.clear(path);
                    }
                    edits.files(files);
                }
                Becomes::Favored(_) => edits.files(&favored.next().unwrap_or_default()),
            }
        }
        Ok(edits)
    }

    /// Merges the files of these conflicts with a favoured side, in order.
    fn favored(&self, decided: &[(&usize, &Decided)]) -> Result<Vec<Files>> {
        let clashes = decided.iter().filter_map(|(index, decided)| match decided.becomes {
            Becomes::Favored(favor) => Some((self.behind[**index].clash.as_ref()?, favor)),
            Becomes::Known(_) => None,
        });
        let clashes: Vec<(&Clash, Favor)> = clashes.collect();
        self.contents.each(&clashes, |contents, (clash, favor)| clash.favored(contents, *favor))
    }

    /// As in git, this is a fast-forward if ours has no commits of its own and the result is
    /// theirs.
    fn commit(
        &self,
        tree: git2::Oid,
        message: &str,
        at: &jiff::ZonedDateTime,
    ) -> Result<git2::Oid> {
        match self.relation {
            Relation::Contained => return Ok(self.ours),
            Relation::FastForward if tree == self.repo.tree_of(self.theirs)? => {
                return Ok(self.theirs);
            }
            _ => {}
        }
        let git = &self.repo.git;
        let doing = "could not write the merge commit";
        let (ours, theirs) =
            (git.find_commit(self.ours).what(doing)?, git.find_commit(self.theirs).what(doing)?);
        let who = self.repo.signature(at)?;
        let tree = git.find_tree(tree).what(doing)?;
        git.commit(None, &who, &who, message, &tree, &[&ours, &theirs]).what(doing)
    }

    /// Returns the site's uncommitted files that do not stay in place.
    fn kept(&self, tree: git2::Oid) -> Result<Vec<Kept>> {
        let mut kept = Vec::new();
        for obstacle in self.behind.iter().filter_map(|behind| behind.obstacle.as_ref()) {
            let goes = match (self.trees.find(tree, &obstacle.blocks)?, obstacle.theirs) {
                (Some(result), theirs) if result.is_folder() => theirs.is_none(),
                (Some(result), _) => {
                    obstacle.path() != obstacle.blocks || result != obstacle.version()
                }
                (None, _) => false,
            };
            if goes {
                kept.push(obstacle.kept.clone());
            }
        }
        Ok(kept)
    }
}

/// Directories to clear and files to set.
type Changes = (Vec<Vec<u8>>, Files);

/// Files with their versions. `None` removes a file.
type Files = Vec<(Vec<u8>, Option<Version>)>;

fn resolution(answer: &Answer) -> Resolution {
    match answer {
        Answer::Ours => Resolution::Ours,
        Answer::Theirs => Resolution::Theirs,
        Answer::Favor(Favor::Ours) => Resolution::FavorOurs,
        Answer::Favor(Favor::Theirs) => Resolution::FavorTheirs,
        Answer::Favor(Favor::Union) => Resolution::FavorUnion,
        Answer::Content { .. } => Resolution::Content,
        Answer::Remove => Resolution::Remove,
    }
}

/// Returns true if the text has a conflict between markers: the three kinds of lines, in order.
fn has_markers(text: &[u8]) -> bool {
    let mut wanted = [&b"<<<<<<< "[..], b"=======", b">>>>>>> "].into_iter().peekable();
    for line in text.split(|byte| *byte == b'\n') {
        if wanted.peek().is_some_and(|marker| line.starts_with(marker)) {
            wanted.next();
        }
    }
    wanted.peek().is_none()
}

impl Clash {
    /// Takes one whole side.
    fn taken(&self, side: usize) -> Changes {
        let Some(stage) = &self.stages[side] else { return Changes::default() };
        let place = self.twin.as_ref().filter(|_| side == THEIRS).unwrap_or(&self.path);
        // The side's file replaces the other side's directory.
        let cleared = self.aside.as_ref().map(|_| self.path.clone()).into_iter().collect();
        (cleared, vec![(place.clone(), Some(stage.version))])
    }
}

impl Behind {
    pub(super) fn path(&self) -> &[u8] {
        match (&self.clash, &self.obstacle) {
            (Some(clash), _) => &clash.path,
            (None, Some(obstacle)) => obstacle.path(),
            (None, None) => &[],
        }
    }

    /// Treats an uncommitted file at a conflicting path as the site's side.
    pub(super) fn meet(&mut self, obstacle: Obstacle) {
        if let Some(clash) = &mut self.clash {
            let path = obstacle.path().to_vec();
            clash.stages[OURS] = Some(Stage { version: obstacle.version(), nested: None, path });
        }
        self.obstacle = Some(obstacle);
    }

    fn mode(&self) -> Option<Mode> {
        match (&self.clash, &self.obstacle) {
            (Some(clash), _) => Mode::of_bits(clash.mode()),
            (None, Some(obstacle)) => Some(obstacle.kept.mode),
            (None, None) => None,
        }
    }

    pub(super) fn conflict(&self) -> Conflict {
        let collision = self.obstacle.as_ref().map(|obstacle| obstacle.kept.collision);
        let path = SitePath::from(self.path());
        let Some(clash) = &self.clash else {
            let obstacle = self.obstacle.as_ref();
            let same_place = obstacle.is_some_and(Obstacle::is_at_its_place);
            let kind = if same_place { Kind::AddAdd } else { Kind::DirectoryFile };
            let theirs = obstacle.and_then(|obstacle| side(&obstacle.blocks, obstacle.theirs?));
            return Conflict {
                path,
                kind,
                collision,
                base: None,
                ours: obstacle.map(Obstacle::side),
                theirs,
            };
        };
        let stage = |at: usize| {
            let stage = clash.stages[at].as_ref()?;
            side(&stage.path, stage.version)
        };
        Conflict {
            path,
            kind: clash.kind,
            collision,
            base: stage(BASE),
            ours: stage(OURS),
            theirs: stage(THEIRS),
        }
    }
}

fn side(path: &[u8], version: Version) -> Option<Side> {
    Some(Side { path: SitePath::from(path), mode: Mode::of_bits(version.mode)?, oid: version.oid })
}
