//! Losses: local changes that a merge lacks, line by line, even if git calls it clean, and after
//! renames.

use cowhand::git::conflict::Was;
use cowhand::git::merge::{Answer, Favor, Merge, Merged, Options};
use cowhand::git::{Oid, Repo};

use crate::kit::{Files, Lab, now, tree_of};

struct Three {
    lab: Lab,
    ours: Oid,
    theirs: Oid,
}

impl Three {
    fn new(base: &[(&str, &str)], ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Self {
        let lab = Lab::new();
        let first = lab.commit(&tree_of(base), &[]);
        let (ours, theirs) = (
            lab.commit(&tree_of(ours), &[first]),
            lab.commit_tree(lab.tree(&tree_of(theirs)), &[first], 1),
        );
        Self { lab, ours, theirs }
    }

    fn favoring(&self, favor: Favor) -> Merged {
        self.lab.merge(self.ours, self.theirs, favor, "origin/master")
    }

    /// Every conflict gets this answer.
    fn answered(&self, answer: &Answer) -> Merged {
        let repo: &Repo = &self.lab.repo;
        let merge = Merge::new(repo, self.ours, self.theirs, Options::default()).unwrap();
        for conflict in merge.conflicts() {
            merge.resolve(conflict, answer.clone(), "test").unwrap();
        }
        merge.finish("After update", &now()).unwrap()
    }
}

/// `PATH: +LINE` for a line of the site's that is gone, `-LINE` for one that is back.
fn lost(merged: &Merged) -> Vec<String> {
    let mut told = Vec::new();
    for loss in &merged.losses {
        if loss.lines.is_empty() {
            told.push(loss.path.text());
        }
        for line in &loss.lines {
            let sign = if line.was == Was::Added { '+' } else { '-' };
            told.push(format!("{}: {sign}{}", loss.path, line.text));
        }
    }
    told
}

fn long(changes: &[(usize, &str)]) -> String {
    let line = |at| {
        changes
            .iter()
            .find(|(line, _)| *line == at)
            .map_or(format!("line {at}"), |(_, text)| (*text).to_owned())
    };
    (0..40).map(|at| line(at) + "\n").collect()
}

#[test]
fn a_line_taken_out_that_upstream_moves_is_back_although_git_calls_it_clean() {
    let base = "port 110\na\nb\nc\nd\ne\nf\n";
    let three = Three::new(
        &[("conf", base)],
        &[("conf", "a\nb\nc\nd\ne\nf\n")],
        &[("conf", "a\nb\nc\nd\ne\nf\nport 110\n")],
    );
    let merged = three.favoring(Favor::Theirs);
    assert_eq!((merged.decisions.len(), lost(&merged)), (0, vec!["conf: -port 110".to_owned()]));
    // The same when upstream renames the file as well.
    let moved = format!("{}port 110\n", long(&[]));
    let three = Three::new(
        &[("conf", &format!("port 110\n{}", long(&[])))],
        &[("conf", &long(&[]))],
        &[("new.conf", &moved)],
    );
    let merged = three.favoring(Favor::Theirs);
    assert_eq!(
        (merged.decisions.len(), lost(&merged)),
        (0, vec!["new.conf: -port 110".to_owned()])
    );
}

#[test]
fn an_edited_line_that_upstream_moves_is_both_gone_and_back() {
    let base = "port = 25\na\nb\nc\nd\ne\n";
    let three = Three::new(
        &[("c", base)],
        &[("c", "port = 2525\na\nb\nc\nd\ne\n")],
        &[("c", "a\nb\nc\nd\ne\nport = 25\n")],
    );
    assert_eq!(lost(&three.favoring(Favor::Theirs)), ["c: +port = 2525", "c: -port = 25"]);
    // With ours, the site's line is kept; upstream's is there too, in its new place.
    assert_eq!(lost(&three.favoring(Favor::Ours)), ["c: -port = 25"]);
}

#[test]
fn what_both_did_and_what_upstream_added_is_no_loss() {
    let both = Three::new(&[("c", "a\nb\nc\nd\n")], &[("c", "a\nc\nd\n")], &[("c", "a\nc\nd\n")]);
    assert!(both.favoring(Favor::Theirs).losses.is_empty());
    let base = "[a]\nport 110\nx\ny\nz\n[b]\nk\n";
    let three = Three::new(
        &[("c", base)],
        &[("c", "[a]\nx\ny\nz\n[b]\nk\n")],
        &[("c", &format!("{base}port 110\n"))],
    );
    assert!(three.favoring(Favor::Theirs).losses.is_empty(), "another one, in another place");
}

#[test]
fn edits_in_a_file_that_upstream_renamed_onto_one_of_the_site_s() {
    // The site edited `a` and has a `b` of its own; upstream renamed `a` to `b`.
    let three = Three::new(
        &[("a", &long(&[])), ("k", "k\n")],
        &[("a", &long(&[(3, "the site's edit")])), ("b", "the site's own b\n"), ("k", "k\n")],
        &[("b", &long(&[(30, "upstream's")])), ("k", "k\n")],
    );
    assert_eq!(lost(&three.favoring(Favor::Theirs)), ["b: +the site's own b"]);
    let ours = lost(&three.favoring(Favor::Ours));
    assert!(ours.contains(&"b: +the site's edit".to_owned()), "{ours:?}");
    // Its own `b`, whole: the edit in what was `a` is gone.
    let ours = lost(&three.answered(&Answer::Ours));
    assert!(ours.contains(&"b: +the site's edit".to_owned()), "{ours:?}");
}

#[test]
fn a_name_of_the_site_s_that_goes_is_named() {
    let three = Three::new(
        &[("a", &long(&[])), ("k", "k\n")],
        &[("mine", &long(&[])), ("k", "k\n")],
        &[("k", "k\n")],
    );
    let merged = three.favoring(Favor::Theirs);
    assert_eq!(
        lost(&merged),
        ["mine"],
        "no line of it is the site's, but the file was there under its name"
    );
}

#[test]
fn a_file_of_the_site_s_that_becomes_a_folder_or_a_link() {
    let three = Three::new(
        &[("a", "one\n"), ("k", "k\n")],
        &[("a", "one\nmine\n"), ("k", "k\n")],
        &[("a/b", "x\n"), ("k", "k\n")],
    );
    let theirs = lost(&three.answered(&Answer::Theirs));
    assert_eq!(theirs, ["a: +mine"]);
    let mut link: Files = tree_of(&[("k", "k\n")]);
    link.insert(b"a".to_vec(), (cowhand::git::merge::Mode::Link, b"k".to_vec()));
    let Three { lab, ours, .. } = &three;
    let base = lab.repo.merge_bases(*ours, three.theirs).unwrap()[0];
    let merged = lab.merge(*ours, lab.commit(&link, &[base]), Favor::Theirs, "origin/master");
    assert_eq!(lost(&merged), ["a: +mine"]);
}

#[test]
fn what_a_resolver_leaves_out_is_named_like_anything_else() {
    let three = Three::new(
        &[("c", "a\nb\nc\n")],
        &[("c", "a\nmine\nc\nmore\n")],
        &[("c", "a\ntheirs\nc\n")],
    );
    let content = Answer::Content { bytes: b"a\ntheirs\nc\n".to_vec(), mode: None };
    assert_eq!(lost(&three.answered(&content)), ["c: +mine", "c: +more"]);
    assert_eq!(lost(&three.answered(&Answer::Remove)), ["c: +mine", "c: +more"]);
}

#[test]
fn a_change_without_lines_is_named_where_the_file_goes_or_comes_back() {
    let (base, shorter) = ([("a", "one\ntwo\n"), ("k", "k\n")], [("a", "one\n"), ("k", "k\n")]);
    let three = Three::new(&base, &shorter, &[("k", "k\n")]);
    assert_eq!(
        lost(&three.favoring(Favor::Theirs)),
        ["a"],
        "the site deleted a line, upstream the file"
    );
    assert_eq!(lost(&three.answered(&Answer::Ours)), [""; 0]);
    let Three { lab, theirs, .. } = &three;
    let first = lab.repo.merge_bases(three.ours, *theirs).unwrap()[0];
    let mut executable: Files = tree_of(&base);
    executable
        .insert(b"a".to_vec(), (cowhand::git::merge::Mode::Executable, b"one\ntwo\n".to_vec()));
    let merged =
        lab.merge(lab.commit(&executable, &[first]), *theirs, Favor::Theirs, "origin/master");
    assert_eq!(lost(&merged), ["a"], "the site made it executable, upstream deleted it");
    // The site deleted an empty file, which upstream changed; and has one of its own, which becomes
    // upstream's.
    let lab = Lab::new();
    let first = lab.commit(&tree_of(&[("a", ""), ("k", "k\n")]), &[]);
    let mut theirs = tree_of(&[("b", "b\n"), ("k", "k\n")]);
    theirs.insert(b"a".to_vec(), (cowhand::git::merge::Mode::Executable, Vec::new()));
    let (ours, theirs) =
        (lab.commit(&tree_of(&[("b", ""), ("k", "k\n")]), &[first]), lab.commit(&theirs, &[first]));
    let three = Three { lab, ours, theirs };
    assert_eq!(lost(&three.favoring(Favor::Theirs)), ["b"], "the deletion holds");
    assert_eq!(lost(&three.answered(&Answer::Theirs)), ["a", "b"]);
}

/// Whatever comes out: each line that the site added, and that upstream never had, is in the result
/// or among the losses.
#[test]
fn no_line_goes_without_being_named() {
    let mut seed = 7_u64;
    let mut below = |end: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % end
    };
    for case in 0..300 {
        let base: Vec<String> = (0..20).map(|line| format!("line {line}")).collect();
        let mut edit = |who: &str| {
            let mut lines = base.clone();
            for number in 0..=below(5) {
                let at = below(lines.len());
                match below(4) {
                    0 => drop(lines.remove(at)),
                    1 => lines.insert(at, format!("{who} {number}")),
                    2 => lines[at] = format!("{who} {number}"),
                    _ => {
                        let line = lines.remove(at);
                        lines.insert(below(lines.len() + 1), line);
                    }
                }
            }
            lines
        };
        let (ours, theirs) = (edit("mine"), edit("theirs"));
        let [base_text, our_text, their_text] =
            [&base, &ours, &theirs].map(|lines| lines.join("\n") + "\n");
        let three = Three::new(&[("c", &base_text)], &[("c", &our_text)], &[("c", &their_text)]);
        for favor in [Favor::Theirs, Favor::Ours] {
            let merged = three.favoring(favor);
            let result = String::from_utf8(
                three.lab.repo.file_in(merged.tree, &"c".into()).unwrap().unwrap(),
            )
            .unwrap();
            let told = lost(&merged);
            let has = |line: &str| result.lines().any(|other| other == line);
            for mine in ours.iter().filter(|line| line.starts_with("mine") && !has(line)) {
                assert!(
                    told.contains(&format!("c: +{mine}")),
                    "case {case}: {mine} of\n{our_text}is not in\n{result}nor told: {told:?}"
                );
            }
            for gone in base.iter().filter(|line| !ours.contains(line) && has(line)) {
                assert!(
                    told.contains(&format!("c: -{gone}")),
                    "case {case}: {gone} is back in\n{result}and not told: {told:?}"
                );
            }
        }
    }
}
