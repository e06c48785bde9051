//! Everything that git can hold: odd names, links, folders against files, binary files, line ends,
//! submodules, large files. The merge is git's, and the switch leaves the working tree exactly at
//! it.

use std::os::unix::ffi::OsStrExt;

use cowhand::event::Events;
use cowhand::git::conflict::Kind;
use cowhand::git::merge::{Favor, Merged, Mode};
use cowhand::git::{Oid, Repo};

use crate::kit::{Files, Lab, entry, files, tree_of};
use crate::site::{Prepared, Site};
use crate::upstream::{self, Pair};

fn text(content: &str) -> (Mode, Vec<u8>) {
    (Mode::File, content.as_bytes().to_vec())
}

fn link(target: &str) -> (Mode, Vec<u8>) {
    (Mode::Link, target.as_bytes().to_vec())
}

type File = (Mode, Vec<u8>);

fn with(files: &Files, more: &[(&[u8], File)]) -> Files {
    let more = more.iter().map(|(path, file)| (path.to_vec(), file.clone()));
    files.clone().into_iter().chain(more).collect()
}

fn without(files: &Files, gone: &[&[u8]]) -> Files {
    files
        .iter()
        .filter(|(path, _)| !gone.contains(&path.as_slice()))
        .map(|(path, file)| (path.clone(), file.clone()))
        .collect()
}

/// Merges the three; git's own tree is the same under both favours.
fn merge(base: &Files, ours: &Files, theirs: &Files) -> Merged {
    let lab = Lab::new();
    let first = lab.commit(base, &[]);
    let (ours, theirs) =
        (lab.commit(ours, &[first]), lab.commit_tree(lab.tree(theirs), &[first], 1));
    let merged = [(Favor::Ours, "ours"), (Favor::Theirs, "theirs")].map(|(favor, name)| {
        let merged = lab.merge(ours, theirs, favor, upstream::LABEL);
        let expected = upstream::trees(&lab, &[Pair { ours, theirs }], name)[0];
        assert_eq!(files(&lab.git, merged.tree), files(&lab.git, expected), "{name}");
        assert_eq!(merged.tree, expected, "{name}");
        merged
    });
    let [_, theirs] = merged;
    theirs
}

fn kinds(merged: &Merged) -> Vec<(String, Kind)> {
    merged.decisions.iter().map(|told| (told.path.text(), told.kind)).collect()
}

/// Applies, looks with git's eyes, and goes back.
fn there_and_back(site: &Site, prepared: &Prepared) {
    let before = site.snapshot();
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    assert_eq!(site.git(&["write-tree"]), prepared.merged.tree.to_string());
    assert_eq!(site.git(&["diff", "--name-only"]), "", "the working tree is what the index says");
    prepared.switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
    assert_eq!(site.snapshot(), before);
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
}

const NAMES: [&[u8]; 9] = [
    b"with space",
    b"with \"quotes\" and 'more'",
    b"new\nline",
    b"-rf",
    b"--help",
    b"latin-\xe9",
    b"tab\tand\x1b[31mcolour",
    b"100%",
    b"data/\xff/$(reboot)`;",
];

#[test]
fn names_of_every_kind() {
    let all =
        |content: &str| NAMES.iter().map(|name| (name.to_vec(), text(content))).collect::<Files>();
    let base = all("one\ntwo\nthree\n");
    let theirs = with(&all("one\nupstream's\nthree\n"), &[(b"new \xfe\n", text("new\n"))]);
    let merged = merge(&base, &all("one\nthe site's\nthree\n"), &theirs);
    assert_eq!(merged.decisions.len(), NAMES.len());
    assert_eq!(merged.losses.len(), NAMES.len());
    assert!(merged.losses.iter().any(|loss| loss.path.text() == "latin-%E9"));
    assert!(merged.losses.iter().any(|loss| loss.path.text() == "100%25"));

    let site = Site::new(&base);
    for name in NAMES {
        std::fs::write(
            site.folder.path().join(std::ffi::OsStr::from_bytes(name)),
            "one\nthe site's\nthree\n",
        )
        .unwrap();
    }
    site.release(&theirs);
    there_and_back(&site, &site.prepare(Favor::Theirs));
}

#[test]
fn links() {
    let base = with(
        &tree_of(&[("file", "one\n"), ("folder/inner", "i\n")]),
        &[(b"link", link("file")), (b"out", link("/etc/passwd"))],
    );
    // Both point it elsewhere.
    let merged = merge(
        &base,
        &with(&base, &[(b"link", link("mine"))]),
        &with(&base, &[(b"link", link("/tmp/theirs"))]),
    );
    assert_eq!(kinds(&merged), [("link".to_owned(), Kind::Binary)]);
    assert_eq!((merged.losses.len(), merged.losses[0].lines.len()), (1, 0), "a link has no lines");
    // One side replaces a link by a folder, the other lets it point elsewhere; and a folder by a
    // link.
    let folder = with(&without(&base, &[b"link"]), &[(b"link/inner", text("x\n"))]);
    merge(&base, &with(&base, &[(b"link", link("mine"))]), &folder);
    merge(&base, &folder, &with(&base, &[(b"link", link("theirs"))]));
    let linked = with(&without(&base, &[b"folder/inner"]), &[(b"folder", link("../outside"))]);
    merge(&base, &linked, &with(&base, &[(b"other", text("o\n"))]));
    merge(&base, &with(&base, &[(b"folder/inner", text("mine\n"))]), &linked);
}

#[test]
fn links_are_switched_and_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("inner"), "outside\n").unwrap();
    let target = outside.path().to_str().unwrap();
    let base = with(
        &tree_of(&[("becomes-link/inner", "i\n"), ("kept", "k\n")]),
        &[(b"becomes-folder", link(target))],
    );
    let site = Site::new(&base);
    let theirs = with(
        &tree_of(&[("becomes-folder/inner", "theirs\n"), ("kept", "k\n")]),
        &[(b"becomes-link", link(target)), (b"dangling", link("nowhere"))],
    );
    site.release(&theirs);
    there_and_back(&site, &site.prepare(Favor::Theirs));
    assert_eq!(std::fs::read_to_string(outside.path().join("inner")).unwrap(), "outside\n");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

/// The site put a link to elsewhere where upstream has a folder, and upstream changes what is in
/// it.
#[test]
fn a_link_of_the_site_s_leads_nothing_out() {
    for favor in [Favor::Theirs, Favor::Ours] {
        let site =
            Site::new(&tree_of(&[("assets/a", "one\n"), ("assets/b", "one\n"), ("conf", "c\n")]));
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("a"), "one\n").unwrap();
        std::fs::remove_dir_all(site.path("assets")).unwrap();
        std::os::unix::fs::symlink(outside.path(), site.path("assets")).unwrap();
        site.release(&tree_of(&[
            ("assets/a", "two\n"),
            ("assets/b", "one\n"),
            ("assets/new", "n\n"),
            ("conf", "c\n"),
        ]));
        let prepared = site.prepare(favor);
        prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
        assert_eq!(std::fs::read_to_string(outside.path().join("a")).unwrap(), "one\n");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(
            site.path("assets").is_symlink(),
            favor == Favor::Ours,
            "who is favoured has the place"
        );
        prepared.switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
        assert!(site.path("assets").is_symlink());
    }
}

#[test]
fn folders_against_files() {
    let base = tree_of(&[("a", "one\ntwo\n"), ("keep", "k\n")]);
    let folder = tree_of(&[("a/inner", "x\n"), ("keep", "k\n")]);
    let merged = merge(&base, &tree_of(&[("a", "one\nmine\n"), ("keep", "k\n")]), &folder);
    assert_eq!(kinds(&merged), [("a".to_owned(), Kind::DirectoryFile)]);
    assert_eq!(merged.losses[0].path.text(), "a");
    let merged = merge(&base, &folder, &tree_of(&[("a", "one\ntheirs\n"), ("keep", "k\n")]));
    assert_eq!(kinds(&merged), [("a".to_owned(), Kind::DirectoryFile)]);
    // Both new: a file here, a folder there.
    let merged = merge(
        &tree_of(&[("keep", "k\n")]),
        &tree_of(&[("keep", "k\n"), ("n", "mine\n")]),
        &tree_of(&[("keep", "k\n"), ("n/inner", "x\n")]),
    );
    assert_eq!(kinds(&merged), [("n".to_owned(), Kind::DirectoryFile)]);
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
fn both_renamed_and_renamed_against_deleted() {
    let base = tree_of(&[("conf", &long(&[])), ("keep", "k\n")]);
    let mine = tree_of(&[("mine", &long(&[(3, "mine")])), ("keep", "k\n")]);
    let theirs = tree_of(&[("theirs", &long(&[(30, "theirs")])), ("keep", "k\n")]);
    assert_eq!(kinds(&merge(&base, &mine, &theirs)), [("mine".to_owned(), Kind::RenameRename)]);
    let gone = tree_of(&[("keep", "k\n")]);
    let merged = merge(&base, &mine, &gone);
    assert_eq!(kinds(&merged), [("mine".to_owned(), Kind::RenameDelete)]);
    assert_eq!(merged.losses[0].path.text(), "mine", "the edit goes with the file");
    assert_eq!(kinds(&merge(&base, &gone, &theirs)), [("theirs".to_owned(), Kind::RenameDelete)]);
    // Two files to one name.
    let base = tree_of(&[
        ("a", &long(&[])),
        ("b", &long(&[(1, "b"), (2, "b"), (5, "b")]).replace("line", "words")),
    ]);
    let (a, b) = (long(&[]), long(&[(1, "b"), (2, "b"), (5, "b")]).replace("line", "words"));
    let merged = merge(&base, &tree_of(&[("c", &a), ("b", &b)]), &tree_of(&[("a", &a), ("c", &b)]));
    assert_eq!(merged.decisions.len(), 1);
    assert_eq!(merged.decisions[0].path.text(), "c");
}

#[test]
fn a_mode_against_a_content() {
    let base = tree_of(&[("tool", "#!/bin/sh\none\n")]);
    let executable = with(&base, &[(b"tool", (Mode::Executable, b"#!/bin/sh\none\n".to_vec()))]);
    let merged = merge(&base, &executable, &tree_of(&[("tool", "#!/bin/sh\ntwo\n")]));
    assert!(
        merged.decisions.is_empty() && merged.losses.is_empty(),
        "both changes are in the result"
    );
    // The same with a file that has no lines: nothing is lost there either.
    let binary = |mode, byte| with(&base, &[(b"tool", (mode, vec![0, 1, byte]))]);
    let (base, ours) = (binary(Mode::File, 0), binary(Mode::Executable, 0));
    let merged = merge(&base, &ours, &binary(Mode::File, 9));
    assert!(merged.decisions.is_empty() && merged.losses.is_empty(), "{:?}", merged.losses);
}

#[test]
fn binary_files_and_line_ends() {
    let binary = |last: u8| (Mode::File, vec![0, 1, 2, last]);
    let all = |file: (Mode, Vec<u8>)| Files::from([(b"b".to_vec(), file)]);
    let merged = merge(&all(binary(0)), &all(binary(1)), &all(binary(2)));
    assert_eq!(kinds(&merged), [("b".to_owned(), Kind::Binary)]);
    assert_eq!(merged.losses.len(), 1);
    // A text that upstream replaced by something else: the site's lines are named all the same.
    let merged = merge(&all(text("a\nb\n")), &all(text("a\nmine\nb\n")), &all(binary(2)));
    assert_eq!(
        merged.losses[0].lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(),
        ["mine"]
    );
    let crlf = |content: &str| all(text(&content.replace('\n', "\r\n")));
    let merged =
        merge(&crlf("a\nb\nc\nd\ne\n"), &crlf("a\nmine\nc\nd\ne\n"), &crlf("a\nb\nc\nd\ntheirs\n"));
    assert!(merged.decisions.is_empty() && merged.losses.is_empty());
    // The site's editor turned every line end round.
    let merged = merge(&all(text("a\nb\nc\n")), &crlf("a\nb\nc\n"), &all(text("a\nb\nd\n")));
    assert_eq!(kinds(&merged), [("b".to_owned(), Kind::Content)]);
    assert!(!merged.losses.is_empty());
}

#[test]
fn names_that_differ_in_case_alone() {
    let base = tree_of(&[("README.md", &long(&[]))]);
    let merged = merge(
        &base,
        &tree_of(&[("README.md", &long(&[(3, "mine")]))]),
        &tree_of(&[("Readme.md", &long(&[]))]),
    );
    assert!(
        merged.decisions.is_empty() && merged.losses.is_empty(),
        "followed like any other rename"
    );
    let site = Site::new(&base);
    site.write("README.md", &long(&[(3, "mine")]));
    site.release(&tree_of(&[("Readme.md", &long(&[(9, "theirs")]))]));
    there_and_back(&site, &site.prepare(Favor::Theirs));
    assert_eq!(site.read("Readme.md").unwrap(), long(&[(3, "mine"), (9, "theirs")]));
}

/// A tree with a submodule beside these files.
fn with_submodule(lab: &Lab, files: &Files, commit: Oid) -> Oid {
    let mut index = git2::Index::new().unwrap();
    index.read_tree(&lab.git.find_tree(lab.tree(files)).unwrap()).unwrap();
    index.add(&entry(b"module", 0o160_000, commit)).unwrap();
    index.write_tree_to(&lab.git).unwrap()
}

#[test]
fn submodules_are_ids_and_their_folders_their_own() {
    let site = Site::new(&tree_of(&[("conf", "one\n")]));
    let lab = &site.upstream;
    let [one, two] = ["1", "2"].map(|digit| digit.repeat(40).parse::<Oid>().unwrap());
    let publish = |tree| {
        let head = lab.git.refname_to_id("refs/heads/master").unwrap();
        let next = lab.commit_tree(tree, &[head], 1_700_000_100);
        lab.branch("master", next);
    };
    publish(with_submodule(lab, &tree_of(&[("conf", "one\n")]), one));
    let added = site.prepare(Favor::Theirs);
    added.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    assert_eq!(site.git(&["write-tree"]), added.merged.tree.to_string());
    std::fs::create_dir_all(site.path("module")).unwrap();
    site.write("module/of-the-site", "x\n");
    publish(with_submodule(lab, &tree_of(&[("conf", "two\n")]), two));
    let moved = site.prepare(Favor::Theirs);
    assert!(moved.merged.decisions.is_empty());
    moved.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    assert!(site.git(&["ls-files", "-s", "module"]).contains(&two.to_string()));
    assert_eq!(site.read("module/of-the-site").unwrap(), "x\n");
}

/// `COWHAND_TORTURE` makes it as large as the largest that a site may have.
fn megabytes() -> usize {
    if std::env::var_os("COWHAND_TORTURE").is_some() { 200 } else { 20 }
}

#[test]
fn a_large_file_on_either_side() {
    let site = Site::new(&tree_of(&[("conf", "one\n"), ("large", "small\n")]));
    let mut large = vec![b'x'; megabytes() << 20];
    large.iter_mut().step_by(80).for_each(|byte| *byte = b'\n');
    std::fs::write(site.path("large"), &large).unwrap();
    let theirs = with(
        &tree_of(&[("conf", "two\n"), ("large", "small\n")]),
        &[(b"theirs", (Mode::File, large.clone()))],
    );
    site.release(&theirs);
    let prepared = site.prepare(Favor::Theirs);
    assert!(prepared.merged.decisions.is_empty() && prepared.merged.losses.is_empty());
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    for path in ["large", "theirs"] {
        assert_eq!(std::fs::metadata(site.path(path)).unwrap().len(), large.len() as u64);
    }
}

#[test]
fn fifty_thousand_files() {
    let many = |changed: usize| -> Files {
        let file = |at: usize| {
            let path = format!("data/{}/{}/{at}", at % 50, at % 7);
            (
                path.into_bytes(),
                text(if at == changed { "changed\n" } else { "the same everywhere\n" }),
            )
        };
        (0..50_000).map(file).collect()
    };
    let lab = Lab::new();
    let [ours, theirs] = lab.in_one_pack(|lab| {
        let base = lab.commit(&many(usize::MAX), &[]);
        [lab.commit(&many(100), &[base]), lab.commit(&many(40_000), &[base])]
    });
    let merged = lab.merge(ours, theirs, Favor::Theirs, upstream::LABEL);
    assert!(merged.decisions.is_empty() && merged.losses.is_empty());
    assert_eq!(upstream::trees(&lab, &[Pair { ours, theirs }], "theirs"), [merged.tree]);
    let repo: &Repo = &lab.repo;
    assert_eq!(repo.changed_paths(repo.tree_of(ours).unwrap(), merged.tree).unwrap().len(), 1);
}
