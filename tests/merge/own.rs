//! Names that are the site's alone: whatever upstream's side has there, the result has the site's.

use cowhand::git::Oid;
use cowhand::git::merge::{Merge, Merged, Options, Relation};

use crate::kit::{Files, Lab, files, now, tree_of};

const OWN: [&str; 2] = ["own.toml", "own"];

fn merge(lab: &Lab, ours: Oid, theirs: Oid) -> Merged {
    let options = Options { own: &OWN, ..Options::default() };
    let merge = Merge::new(&lab.repo, ours, theirs, options).unwrap();
    assert_eq!(merge.conflicts(), []);
    merge.finish("After update", &now()).unwrap()
}

fn result(lab: &Lab, merged: &Merged) -> Files {
    files(&lab.git, merged.tree)
}

#[test]
fn a_site_without_them_gets_none() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("a", "1")]), &[]);
    let theirs =
        [("a", "2"), ("own.toml", "x"), ("own/b", "x"), ("OWN/c", "x"), ("sub/own/d", "x")];
    let theirs = lab.commit(&tree_of(&theirs), &[base]);
    // The branch could be moved forward, but upstream's commit has what the result has not.
    let merged = merge(&lab, base, theirs);
    assert_eq!(merged.relation, Relation::FastForward);
    assert_ne!(merged.commit, theirs);
    let expected = tree_of(&[("a", "2"), ("sub/own/d", "x")]);
    assert_eq!(result(&lab, &merged), expected);
    let mut left_out = lab.repo.left_out(base, theirs, &OWN).unwrap();
    left_out.sort();
    assert_eq!(left_out, ["OWN", "own", "own.toml"]);
    // The next update brings none either, and upstream's changes there do not conflict.
    let next = [("a", "3"), ("own.toml", "y"), ("own/e", "y"), ("sub/own/d", "x")];
    let next = lab.commit(&tree_of(&next), &[theirs]);
    let merged = merge(&lab, merged.commit, next);
    assert_eq!(result(&lab, &merged), tree_of(&[("a", "3"), ("sub/own/d", "x")]));
}

#[test]
fn a_site_that_has_them_keeps_its_own() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("a", "1"), ("own.toml", "1"), ("own/b", "1")]), &[]);
    let ours = lab.commit(&tree_of(&[("a", "1"), ("own.toml", "2"), ("own/b", "1")]), &[base]);
    let theirs = lab.commit(&tree_of(&[("a", "2"), ("own.toml", "3")]), &[base]);
    let merged = merge(&lab, ours, theirs);
    let expected = tree_of(&[("a", "2"), ("own.toml", "2"), ("own/b", "1")]);
    assert_eq!(result(&lab, &merged), expected);
    assert_eq!(lab.repo.left_out(ours, theirs, &OWN).unwrap(), ["own.toml"]);
}

#[test]
fn untracked_ones_are_in_nobody_s_way() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("a", "1")]), &[]);
    std::fs::write(lab.path().join("own.toml"), "the site's").unwrap();
    let theirs = lab.commit(&tree_of(&[("a", "1"), ("own.toml", "x")]), &[base]);
    let merged = merge(&lab, base, theirs);
    assert_eq!(result(&lab, &merged), tree_of(&[("a", "1")]));
    assert!(merged.kept.is_empty() && merged.losses.is_empty());
}
