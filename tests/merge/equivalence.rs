//! The stock policy gives the tree that `git merge -Xtheirs -Xpatience` (or ours) gives once what
//! one side deleted is removed: generated cases, the same ones every time, compared by tree id.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cowhand::git::Oid;
use cowhand::git::conflict::Kind;
use cowhand::git::merge::{Favor, Merged, Mode};

use crate::kit::{Files, Lab, files};
use crate::upstream::{self, Pair};

const CASES: u64 = 1200;

#[test]
fn generated_cases_give_git_s_trees() {
    let cases = std::env::var("COWHAND_MERGE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(CASES);
    let first =
        std::env::var("COWHAND_MERGE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let lab = Lab::new();
    let cases: Vec<Case> =
        lab.in_one_pack(|lab| (first..first + cases).map(|seed| Case::new(lab, seed)).collect());
    let mut wrong = String::new();
    let mut count = 0;
    for (favor, name) in [(Favor::Theirs, "theirs"), (Favor::Ours, "ours")] {
        let pairs: Vec<Pair> =
            cases.iter().map(|case| Pair { ours: case.ours, theirs: case.theirs }).collect();
        let expected = upstream::trees(&lab, &pairs, name);
        for (case, expected) in cases.iter().zip(expected) {
            if let Some(difference) = case.difference(&lab, expected, favor, name) {
                count += 1;
                wrong += &difference;
            }
        }
    }
    assert!(count == 0, "{count} of {} merges differ from git's:\n{wrong}", 2 * cases.len());
}

/// The fuzz target's seeds, and what it has found.
#[test]
fn what_the_fuzzer_starts_from_gives_git_s_trees() {
    let lab = Lab::new();
    let seeds = std::fs::read_dir("fuzz/seeds/merge").unwrap();
    for seed in seeds.map(|seed| seed.unwrap().path()) {
        let difference = Case::thrown_by_a_fuzzer(&lab, &std::fs::read(&seed).unwrap());
        assert_eq!(difference, None, "{}", seed.display());
    }
}

/// Where every common line comes back too often to tell anything, git compares by another method.
/// The fuzzer found that its last bit counts.
#[test]
fn lines_that_come_back_too_often_give_git_s_trees() {
    let lab = Lab::new();
    let commit = |runs: &[(&str, usize)], parents: &[Oid]| {
        let lines = runs.iter().map(|(line, times)| format!("{line}\n").repeat(*times));
        let content = lines.collect::<String>().into_bytes();
        lab.commit(&Files::from([(b"list".to_vec(), (Mode::File, content))]), parents)
    };
    let base = commit(&[("b", 1), ("a", 1), ("b", 1), ("c", 1), ("d", 73), ("c", 113)], &[]);
    let ours = commit(&[("i", 1), ("b", 89), ("c", 1), ("d", 73), ("b", 1), ("a", 1)], &[base]);
    let theirs = commit(&[("b", 89), ("a", 8), ("d", 75), ("c", 1), ("j", 1)], &[base]);
    let case = Case { seed: 0, base, ours, theirs };
    for (favor, name) in [(Favor::Theirs, "theirs"), (Favor::Ours, "ours")] {
        let expected = upstream::trees(&lab, &[Pair { ours, theirs }], name)[0];
        assert_eq!(case.difference(&lab, expected, favor, name), None);
    }
}

/// The closed list of docs/merge.md: a file against a link becomes the favoured side, whole.
/// Everything else is as git has it.
fn is_listed(lab: &Lab, case: &Case, merged: &Merged, expected: Oid, favor: Favor) -> bool {
    let types = merged
        .decisions
        .iter()
        .filter(|told| told.kind == Kind::Type)
        .map(|told| told.path.as_bytes());
    let types: Vec<&[u8]> = types.collect();
    let side = files(
        &lab.git,
        lab.repo.tree_of(if favor == Favor::Theirs { case.theirs } else { case.ours }).unwrap(),
    );
    let (mut found, mut expected) = (files(&lab.git, merged.tree), files(&lab.git, expected));
    for path in &types {
        let Some(whole) = found.remove(*path) else { return false };
        // Where the favoured side renamed the file, it is the side's with the other one's edits.
        if !side.values().chain(expected.values()).any(|file| *file == whole) {
            return false;
        }
        expected.remove(*path);
        for aside in ["HEAD", upstream::ASIDE] {
            expected.remove(&[path, &b"~"[..], aside.as_bytes()].concat());
        }
    }
    !types.is_empty() && found == expected
}

/// Two sides that come from the same files.
pub struct Case {
    seed: u64,
    base: Oid,
    ours: Oid,
    theirs: Oid,
}

impl Case {
    fn new(lab: &Lab, seed: u64) -> Self {
        Self { seed, ..Self::thrown(lab, Dice::new(seed)) }
    }

    /// A fuzzer's bytes choose the favoured side and throw the dice: what comes out differently
    /// from git's.
    pub fn thrown_by_a_fuzzer(lab: &Lab, bytes: &[u8]) -> Option<String> {
        let (favor, name) = match bytes.first()? % 2 {
            0 => (Favor::Theirs, "theirs"),
            _ => (Favor::Ours, "ours"),
        };
        let thrown: Vec<u8> = bytes.iter().copied().skip(1).collect();
        let case = Self::thrown(lab, Dice::Given(thrown.into_iter()));
        let pair = Pair { ours: case.ours, theirs: case.theirs };
        let expected = upstream::trees(lab, &[pair], name)[0];
        case.difference(lab, expected, favor, name)
    }

    /// Makes a case as the dice fall.
    fn thrown(lab: &Lab, mut dice: Dice) -> Self {
        let start = dice.files();
        let base = lab.commit(&start, &[]);
        let mut sides = [start.clone(), start];
        for side in &mut sides {
            for _ in 0..=dice.below(5) {
                dice.change(side);
            }
        }
        // Now and then both sides do something at the same place.
        let [ours, theirs] = sides.map(|side| lab.commit(&side, &[base]));
        Self { seed: 0, base, ours, theirs }
    }

    /// Returns how our merge differs from git's, for a person; `None` if it does not.
    fn difference(&self, lab: &Lab, expected: Oid, favor: Favor, name: &str) -> Option<String> {
        let merged = lab.merge(self.ours, self.theirs, favor, upstream::LABEL);
        let fine = merged.tree == expected || is_listed(lab, self, &merged, expected, favor);
        (!fine).then(|| {
            let mut told = String::new();
            self.tell(lab, merged.tree, expected, name, &mut told);
            told
        })
    }

    fn tell(&self, lab: &Lab, found: Oid, expected: Oid, favor: &str, out: &mut String) {
        writeln!(out, "seed {} favouring {favor}: found {found}, git {expected}", self.seed)
            .unwrap();
        let tree = |commit: Oid| files(&lab.git, lab.repo.tree_of(commit).unwrap());
        let (base, ours, theirs) = (tree(self.base), tree(self.ours), tree(self.theirs));
        let (found, expected) = (files(&lab.git, found), files(&lab.git, expected));
        let paths: std::collections::BTreeSet<&Vec<u8>> =
            [&base, &ours, &theirs, &found, &expected]
                .into_iter()
                .flat_map(BTreeMap::keys)
                .collect();
        for path in paths {
            let short = |files: &Files| {
                files.get(path).map_or("-".to_owned(), |(mode, content)| {
                    let oid =
                        Oid::hash_object(git2::ObjectType::Blob, content).unwrap().to_string();
                    format!("{mode:?}:{}", &oid[..6])
                })
            };
            let mark = if found.get(path) == expected.get(path) { ' ' } else { '!' };
            let name = String::from_utf8_lossy(path);
            writeln!(
                out,
                "  {mark} {name}: base {} ours {} theirs {} found {} git {}",
                short(&base),
                short(&ours),
                short(&theirs),
                short(&found),
                short(&expected)
            )
            .unwrap();
        }
    }
}

/// A small generator of numbers.
pub enum Dice {
    /// Random ones, the same everywhere, always.
    Random(u64),
    /// Those that are given, then zeros: a fuzzer throws.
    Given(std::vec::IntoIter<u8>),
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self::Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        match self {
            Self::Random(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
            }
            Self::Given(bytes) => bytes.next().unwrap_or_default().into(),
        }
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn path(&mut self) -> Vec<u8> {
        const FOLDERS: [&str; 6] =
            ["", "data/", "data/conf/", "data/conf/postfix/", "data/web/", "lib/"];
        const NAMES: [&str; 8] =
            ["main.cf", "site.conf", "a b.txt", "x", "compose.yml", "-rf", "list", "sub"];
        format!("{}{}", FOLDERS[self.below(6)], NAMES[self.below(8)]).into_bytes()
    }

    fn line(&mut self) -> String {
        const WORDS: [&str; 9] =
            ["}", "", "listen 80", "server {", "port = 25", "# note", "user", "  - x", "end"];
        // Some lines occur over and over, as in real files; most are their own.
        if self.one_in(3) {
            format!("{}\n", WORDS[self.below(9)])
        } else {
            format!("option_{} = {}\n", self.below(400), self.below(9))
        }
    }

    fn content(&mut self) -> Vec<u8> {
        match self.below(24) {
            0 => Vec::new(),
            1 => vec![0, 1, 2, u8::try_from(self.below(256)).unwrap()],
            2 => (0..=self.below(8))
                .map(|_| self.line().replace('\n', "\r\n"))
                .collect::<String>()
                .into_bytes(),
            3 => {
                let mut text = (0..=self.below(8)).map(|_| self.line()).collect::<String>();
                text.pop();
                text.into_bytes()
            }
            _ => (0..=self.below(40)).map(|_| self.line()).collect::<String>().into_bytes(),
        }
    }

    fn file(&mut self) -> (Mode, Vec<u8>) {
        match self.below(20) {
            0 => (Mode::Link, format!("../target{}", self.below(4)).into_bytes()),
            1 | 2 => (Mode::Executable, self.content()),
            _ => (Mode::File, self.content()),
        }
    }

    fn files(&mut self) -> Files {
        let mut files = Files::new();
        for _ in 0..3 + self.below(8) {
            let (path, file) = (self.path(), self.file());
            put(&mut files, path, file);
        }
        files
    }

    fn pick(&mut self, files: &Files) -> Option<Vec<u8>> {
        if files.is_empty() {
            return None;
        }
        files.keys().nth(self.below(files.len())).cloned()
    }

    fn change(&mut self, files: &mut Files) {
        let Some(path) = self.pick(files) else {
            let (path, file) = (self.path(), self.file());
            return put(files, path, file);
        };
        match self.below(16) {
            0 | 1 => drop(files.remove(&path)),
            2 | 3 => {
                let (path, file) = (self.path(), self.file());
                put(files, path, file);
            }
            4 | 5 => {
                let Some((mode, mut content)) = files.remove(&path) else { return };
                if mode != Mode::Link && self.one_in(2) {
                    content = self.edit(&content);
                }
                let target = self.path();
                put(files, target, (mode, content));
            }
            6 => {
                if let Some((mode, _)) = files.get_mut(&path) {
                    *mode = match *mode {
                        Mode::File => Mode::Executable,
                        Mode::Executable => Mode::File,
                        other => other,
                    };
                }
            }
            7 => {
                let file = self.file();
                put(files, path, file);
            }
            8 if self.one_in(3) => {
                // A file becomes a folder.
                let file = files.remove(&path);
                let inner = [&path, &b"/inner"[..]].concat();
                put(files, inner, file.unwrap_or((Mode::File, Vec::new())));
            }
            _ => {
                let Some((mode, content)) = files.get(&path).cloned() else { return };
                let content = if mode == Mode::Link {
                    format!("to{}", self.below(5)).into_bytes()
                } else {
                    self.edit(&content)
                };
                files.insert(path, (mode, content));
            }
        }
    }

    /// A few lines replaced, inserted or deleted.
    pub fn edit(&mut self, content: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> =
            content.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for _ in 0..=self.below(3) {
            let at = self.below(lines.len() + 1);
            let end = (at + self.below(3)).min(lines.len());
            let new: Vec<Vec<u8>> = (0..self.below(4)).map(|_| self.line().into_bytes()).collect();
            lines.splice(at..end, new);
        }
        lines.concat()
    }
}

/// Sets a file; what stands in its way (a folder of that name, a file where it needs a folder)
/// goes.
fn put(files: &mut Files, path: Vec<u8>, file: (Mode, Vec<u8>)) {
    let beneath = [&path, &b"/"[..]].concat();
    files.retain(|other, _| {
        !other.starts_with(&beneath) && !path.starts_with(&[other, &b"/"[..]].concat())
    });
    files.insert(path, file);
}
