//! Relations of the site and upstream: crossed, rewritten and unrelated histories, each as git
//! merges it.

use cowhand::event::Events;
use cowhand::git::Oid;
use cowhand::git::merge::{Favor, Merge, Options, Relation};

use crate::kit::{Files, Lab, files, tree_of};
use crate::site::Site;
use crate::upstream::{self, Pair};

/// Lines that are told apart easily, with some replaced.
fn lines(changes: &[(usize, &str)]) -> Files {
    let line = |at| {
        changes
            .iter()
            .find(|(line, _)| *line == at)
            .map_or(format!("line {at}"), |(_, text)| (*text).to_owned())
    };
    let text: String = (0..30).map(|at| line(at) + "\n").collect();
    tree_of(&[("conf", &text), ("other", "o\n")])
}

/// Both favours give git's tree.
fn as_git(lab: &Lab, ours: Oid, theirs: Oid) {
    for (favor, name) in [(Favor::Theirs, "theirs"), (Favor::Ours, "ours")] {
        let merged = lab.merge(ours, theirs, favor, upstream::LABEL);
        let expected = upstream::trees(lab, &[Pair { ours, theirs }], name)[0];
        assert_eq!(files(&lab.git, merged.tree), files(&lab.git, expected), "{name}");
        assert_eq!(merged.tree, expected, "{name}");
    }
}

#[test]
fn a_criss_cross_history() {
    let lab = Lab::new();
    let base = lab.commit(&lines(&[]), &[]);
    let one = lab.commit_tree(lab.tree(&lines(&[(3, "one")])), &[base], 1_700_000_100);
    let two = lab.commit_tree(lab.tree(&lines(&[(3, "two"), (20, "two")])), &[base], 1_700_000_200);
    // Each has merged the other, and decided line 3 its own way.
    let ours =
        lab.commit_tree(lab.tree(&lines(&[(3, "one"), (20, "two")])), &[one, two], 1_700_000_300);
    let theirs =
        lab.commit_tree(lab.tree(&lines(&[(3, "two"), (20, "two")])), &[two, one], 1_700_000_400);
    let ours = lab.commit(&lines(&[(3, "one"), (20, "two"), (28, "ours")]), &[ours]);
    let theirs = lab.commit(&lines(&[(3, "two"), (20, "theirs")]), &[theirs]);
    assert_eq!(lab.repo.merge_bases(ours, theirs).unwrap().len(), 2);
    as_git(&lab, ours, theirs);
}

#[test]
fn a_criss_cross_history_with_files_that_come_and_go() {
    let lab = Lab::new();
    let with = |files: Files, more: &[(&str, &str)]| {
        files.into_iter().chain(tree_of(more)).collect::<Files>()
    };
    let base = lab.commit(&lines(&[]), &[]);
    let one =
        lab.commit_tree(lab.tree(&with(lines(&[]), &[("new", "a\nb\n")])), &[base], 1_700_000_100);
    let two = lab.commit_tree(
        lab.tree(&with(lines(&[(5, "two")]), &[("new", "a\nc\n")])),
        &[base],
        1_700_000_200,
    );
    let mine = with(lines(&[(5, "two")]), &[("new", "a\nb\n")]);
    let ours = lab.commit_tree(lab.tree(&mine), &[one, two], 1_700_000_300);
    let theirs = lab.commit_tree(
        lab.tree(&with(lines(&[(5, "two")]), &[("new", "a\nc\n")])),
        &[two, one],
        1_700_000_400,
    );
    let mut renamed = mine.clone();
    let moved = renamed.remove(&b"conf"[..]).unwrap();
    renamed.insert(b"moved/conf".to_vec(), moved);
    let ours = lab.commit(&renamed, &[ours]);
    let theirs =
        lab.commit(&with(lines(&[(5, "two"), (9, "theirs")]), &[("new", "a\nc\nd\n")]), &[theirs]);
    as_git(&lab, ours, theirs);
}

#[test]
fn three_merge_bases() {
    let lab = Lab::new();
    let base = lab.commit(&lines(&[]), &[]);
    let sides: Vec<Oid> = (0..3)
        .map(|side| {
            lab.commit_tree(
                lab.tree(&lines(&[(side * 9, "x")])),
                &[base],
                1_700_000_000 + i64::try_from(side).unwrap(),
            )
        })
        .collect();
    let all = lines(&[(0, "x"), (9, "x"), (18, "x")]);
    let ours = lab.commit_tree(lab.tree(&all), &sides, 1_700_000_100);
    let theirs = lab.commit_tree(lab.tree(&all), &[sides[2], sides[1], sides[0]], 1_700_000_200);
    let ours = lab.commit(&lines(&[(0, "ours"), (9, "x"), (18, "x")]), &[ours]);
    let theirs =
        lab.commit(&lines(&[(0, "theirs"), (9, "x"), (18, "x"), (25, "theirs")]), &[theirs]);
    assert_eq!(lab.repo.merge_bases(ours, theirs).unwrap().len(), 3);
    as_git(&lab, ours, theirs);
}

#[test]
fn ahead_behind_equal_and_contained() {
    let lab = Lab::new();
    let first = lab.commit(&lines(&[]), &[]);
    let next = lab.commit(&lines(&[(4, "next")]), &[first]);
    let relation = |ours, theirs| {
        let merged = lab.merge(ours, theirs, Favor::Theirs, "origin/master");
        assert!(merged.decisions.is_empty() && merged.losses.is_empty());
        (merged.relation, merged.commit)
    };
    assert_eq!(relation(first, next), (Relation::FastForward, next), "behind");
    assert_eq!(relation(next, first), (Relation::Contained, next), "ahead");
    assert_eq!(relation(next, next), (Relation::Contained, next), "equal");
    let merge = lab.commit(&lines(&[(4, "next"), (9, "mine")]), &[first, next]);
    assert_eq!(
        relation(merge, next),
        (Relation::Contained, merge),
        "contains it since an earlier merge"
    );
}

#[test]
fn an_unrelated_upstream_is_refused() {
    let lab = Lab::new();
    let ours = lab.commit(&lines(&[]), &[]);
    let theirs = lab.commit(&tree_of(&[("elsewhere", "x\n")]), &[]);
    let Err(error) = Merge::new(&lab.repo, ours, theirs, Options::default()) else {
        panic!("it merges")
    };
    assert!(error.headline().contains("no commit in common"), "{error}");
    let (code, _) =
        lab.git_raw(&["merge-tree", "--write-tree", &ours.to_string(), &theirs.to_string()], b"");
    assert_ne!(code, 0, "git refuses too");
}

/// Upstream replaced the commit that the site has by another one: the site's history stays, and
/// both are merged.
#[test]
fn a_rewritten_upstream() {
    let site = Site::new(&lines(&[]));
    let first = site.upstream.git.refname_to_id("refs/heads/master").unwrap();
    site.release(&lines(&[(2, "published")]));
    site.git(&["pull", "-q"]);
    let rewritten = site.upstream.commit(&lines(&[(2, "rewritten"), (12, "more")]), &[first]);
    site.upstream.branch("master", rewritten);
    let prepared = site.prepare(Favor::Theirs);
    assert_eq!(prepared.merged.relation, Relation::Diverged);
    assert_eq!(prepared.merged.base, first);
    let pair = Pair { ours: prepared.local.commit, theirs: rewritten };
    site.upstream.git(&[
        "fetch",
        "-q",
        site.folder.path().to_str().unwrap(),
        &pair.ours.to_string(),
    ]);
    assert_eq!(upstream::trees(&site.upstream, &[pair], "theirs"), [prepared.merged.tree]);
    assert_eq!(site.git(&["rev-parse", "origin/master"]), rewritten.to_string());
}

/// A tag that upstream moved stays where the site has it, as `git fetch` leaves it; new ones come
/// along.
#[test]
fn a_tag_that_upstream_moved() {
    let site = Site::new(&lines(&[]));
    let first = site.upstream.git.refname_to_id("refs/heads/master").unwrap();
    let tag =
        |name: &str, commit: Oid| site.upstream.git(&["tag", "-f", name, &commit.to_string()]);
    tag("2026-01", first);
    site.git(&["fetch", "-q", "--tags"]);
    let next = site.release(&lines(&[(2, "next")]));
    tag("2026-01", next);
    tag("2026-02", next);
    let branch = site.repo.readiness().unwrap();
    assert_eq!(site.repo.fetch(&branch, &Events::default()).unwrap(), next);
    assert_eq!(site.git(&["rev-parse", "2026-01", "2026-02"]), format!("{first}\n{next}"));
}
