//! Releases of the real upstream with random local edits, for looking for differences from git:
//! `COWHAND_UPSTREAM` names a clone of it; nothing of it is kept here. `COWHAND_MERGE_CASES` and
//! `COWHAND_MERGE_SEED` choose how many and which.

use std::path::Path;

use cowhand::git::Oid;
use cowhand::git::merge::Favor;
use git2::{Index, Repository};

use crate::equivalence::Dice;
use crate::kit::{Lab, files};
use crate::upstream::{self, Pair};

#[test]
fn real_releases_with_random_edits_give_git_s_trees() {
    let Some(upstream) = std::env::var_os("COWHAND_UPSTREAM") else { return };
    let number = |name, usual| {
        std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
    };
    let (cases, seed) = (number("COWHAND_MERGE_CASES", 100), number("COWHAND_MERGE_SEED", 1));
    let lab = Lab::new();
    let objects = Repository::open(Path::new(&upstream)).unwrap().path().join("objects");
    std::fs::write(
        lab.path().join(".git/objects/info/alternates"),
        objects.display().to_string() + "\n",
    )
    .unwrap();
    let releases = releases(Path::new(&upstream));
    let pairs: Vec<Pair> = (seed..seed + cases).map(|seed| case(&lab, &releases, seed)).collect();
    let mut wrong = Vec::new();
    for (favor, name) in [(Favor::Theirs, "theirs"), (Favor::Ours, "ours")] {
        for ((pair, expected), seed) in
            pairs.iter().zip(upstream::trees(&lab, &pairs, name)).zip(seed..)
        {
            let merged = lab.merge(pair.ours, pair.theirs, favor, upstream::LABEL);
            if merged.tree != expected {
                let (found, expected) = (files(&lab.git, merged.tree), files(&lab.git, expected));
                let paths = found
                    .keys()
                    .chain(expected.keys())
                    .filter(|path| found.get(*path) != expected.get(*path));
                let paths: Vec<_> =
                    paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
                wrong.push(format!(
                    "seed {seed}, {name}: {} into {}: {paths:?}",
                    pair.theirs, pair.ours
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} merges differ from git's:\n{}",
        wrong.len(),
        2 * cases,
        wrong.join("\n")
    );
}

/// The commits of the tags, oldest first.
fn releases(upstream: &Path) -> Vec<Oid> {
    let git = Repository::open(upstream).unwrap();
    let mut releases = Vec::new();
    git.tag_foreach(|oid, _| {
        if let Ok(commit) = git.find_object(oid, None).and_then(|object| object.peel_to_commit()) {
            releases.push((commit.time().seconds(), commit.id()));
        }
        true
    })
    .unwrap();
    releases.sort();
    releases.into_iter().map(|(_, commit)| commit).collect()
}

/// A site on one release, with edits where upstream's next ones changed something, and a later
/// release.
fn case(lab: &Lab, releases: &[Oid], seed: u64) -> Pair {
    let mut dice = Dice::new(seed);
    let from = dice.below(releases.len() - 1);
    let to = (from + 1 + dice.below(8)).min(releases.len() - 1);
    let tree = lab.repo.tree_of(releases[from]).unwrap();
    let changed = lab.repo.changed_paths(tree, lab.repo.tree_of(releases[to]).unwrap()).unwrap();
    let mut index = Index::new().unwrap();
    index.read_tree(&lab.git.find_tree(tree).unwrap()).unwrap();
    for _ in 0..=dice.below(20) {
        if changed.is_empty() {
            break;
        }
        let path = changed[dice.below(changed.len())].0.as_path().to_owned();
        let Some(mut entry) =
            index.get_path(&path, 0).filter(|entry| entry.mode & 0o170_000 == 0o100_000)
        else {
            continue;
        };
        match dice.below(10) {
            0 => index.remove_path(&path).unwrap(),
            1 => {
                index.remove_path(&path).unwrap();
                entry.path = [&entry.path[..], b".site"].concat();
                index.add(&entry).unwrap();
            }
            2 => {
                entry.mode ^= 0o111;
                index.add(&entry).unwrap();
            }
            _ => {
                let content = dice.edit(lab.git.find_blob(entry.id).unwrap().content());
                entry.id = lab.git.blob(&content).unwrap();
                index.add(&entry).unwrap();
            }
        }
    }
    let ours =
        lab.commit_tree(index.write_tree_to(&lab.git).unwrap(), &[releases[from]], 1_800_000_000);
    Pair { ours, theirs: releases[to] }
}
