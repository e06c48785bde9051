//! An upstream that means harm: trees that no clone should check out are refused before anything of
//! the site has changed, and what a clone could be made to execute is not.

use cowhand::git::Oid;
use cowhand::git::merge::{Favor, Merge, Mode, Options};
use git2::ObjectType;

use crate::kit::{Lab, tree_of};
use crate::site::Site;

const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_000;

/// A tree object of these entries, as they stand: libgit2 and git themselves refuse to make most of
/// these.
fn raw_tree(lab: &Lab, entries: &[(u32, &[u8], Oid)]) -> Oid {
    let mut bytes = Vec::new();
    for (mode, name, oid) in entries {
        bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(oid.as_bytes());
    }
    lab.git.odb().unwrap().write(ObjectType::Tree, &bytes).unwrap()
}

/// Upstream's next release is this tree: the site refuses it, at the fetch and at the merge, for
/// this reason, and is as it was.
fn refused(site: &Site, tree: Oid, because: &str) {
    let head = site.upstream.git.refname_to_id("refs/heads/master").unwrap();
    let theirs = site.upstream.commit_tree(tree, &[head], 1_700_000_001);
    site.git(&["fetch", "-q", site.upstream.path().to_str().unwrap(), &theirs.to_string()]);
    let before = site.snapshot();
    let branch = site.repo.readiness().unwrap();
    let at_once = site.repo.refuse_hostile(branch.head, theirs).unwrap_err();
    assert!(at_once.summary().contains(because), "{}", at_once.summary());
    let Err(error) = Merge::new(&site.repo, branch.head, theirs, Options::default()) else {
        panic!("it merges")
    };
    assert!(error.summary().contains(because), "{}", error.summary());
    assert!(!error.hints().is_empty());
    assert_eq!(site.snapshot(), before);
}

/// A site whose fetches, by git, take what they get.
fn site() -> Site {
    let site = Site::new(&tree_of(&[("conf", "one\n"), ("data/inner", "two\n")]));
    site.upstream.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    site
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let site = site();
    let lab = &site.upstream;
    let blob = lab.git.blob(b"#!/bin/sh\ntouch /tmp/owned\n").unwrap();
    let inner = raw_tree(lab, &[(FILE, b"post-merge", blob)]);
    let git = "git's own folder";
    for (name, because) in [
        (&b".git"[..], git),
        (b".GIT", git),
        (b".git ", git),
        (b"git~1", git),
        (".g\u{200c}it".as_bytes(), git),
        (b"..", "out of its folder"),
        (b".", "out of its folder"),
        (b"/etc", "what separates names"),
        (b"a/../../b", "what separates names"),
    ] {
        let folder = raw_tree(lab, &[(FOLDER, name, inner)]);
        refused(&site, folder, because);
        refused(&site, raw_tree(lab, &[(FILE, name, blob)]), because);
        // Deep inside a folder that the site does not have.
        let deep = raw_tree(lab, &[(FOLDER, b"deeper", folder)]);
        refused(&site, raw_tree(lab, &[(FOLDER, b"new", deep)]), because);
    }
}

#[test]
fn a_link_and_a_folder_of_one_name_are_refused() {
    let site = site();
    let lab = &site.upstream;
    let outside = tempfile::tempdir().unwrap();
    let target = lab.git.blob(outside.path().to_str().unwrap().as_bytes()).unwrap();
    let inner = raw_tree(lab, &[(FILE, b"planted", target)]);
    refused(&site, raw_tree(lab, &[(LINK, b"data", target), (FOLDER, b"data", inner)]), "twice");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_tree_that_unfolds_without_end_is_refused() {
    let site = site();
    let lab = &site.upstream;
    let blob = lab.git.blob(b"x").unwrap();
    let mut tree = raw_tree(lab, &[(FILE, b"x", blob)]);
    for _ in 0..12 {
        let names: Vec<String> = (10..30).map(|name| name.to_string()).collect();
        let entries: Vec<_> = names.iter().map(|name| (FOLDER, name.as_bytes(), tree)).collect();
        tree = raw_tree(lab, &entries);
    }
    refused(&site, raw_tree(lab, &[(FOLDER, b"bomb", tree)]), "gigantic");
    let mut deep = raw_tree(lab, &[(FILE, b"x", blob)]);
    for _ in 0..300 {
        deep = raw_tree(lab, &[(FOLDER, b"d", deep)]);
    }
    refused(&site, deep, "too deep");
    let long = vec![b'n'; 5000];
    refused(&site, raw_tree(lab, &[(FILE, &long, blob)]), "too long");
}

/// A link from upstream cannot be written through, now or by a later release.
#[test]
fn files_beneath_a_link_that_upstream_shipped_stay_inside() {
    let outside = tempfile::tempdir().unwrap();
    let site = site();
    let mut files = tree_of(&[("conf", "one\n")]);
    files.insert(
        b"data".to_vec(),
        (Mode::Link, outside.path().to_str().unwrap().as_bytes().to_vec()),
    );
    site.release(&files);
    let prepared = site.prepare(Favor::Theirs);
    prepared.switch.apply(&site.repo, "update", &cowhand::event::Events::default()).unwrap();
    assert!(site.path("data").is_symlink());
    site.release(&tree_of(&[
        ("conf", "one\n"),
        ("data/planted", "x\n"),
        ("data/deep/planted", "x\n"),
    ]));
    let prepared = site.prepare(Favor::Theirs);
    prepared.switch.apply(&site.repo, "update", &cowhand::event::Events::default()).unwrap();
    assert_eq!(site.read("data/planted").unwrap(), "x\n");
    assert_eq!(
        std::fs::read_dir(outside.path()).unwrap().count(),
        0,
        "nothing was written through the link"
    );
}

/// Hooks, filters, external merge drivers, a file-system monitor, an editor: none of them runs,
/// whoever names them.
#[test]
fn nothing_that_a_clone_could_execute_is_executed() {
    let site = Site::new(&tree_of(&[
        ("conf", "one\ntwo\nthree\n"),
        (".gitattributes", "* filter=evil merge=evil\n"),
    ]));
    let witness = site.folder.path().with_extension("witness");
    let touch = format!("touch {}", witness.display());
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "merge.evil.driver",
        "core.fsmonitor",
    ] {
        site.git(&["config", key, &touch]);
    }
    for key in ["core.editor", "core.sshCommand", "credential.helper", "diff.external"] {
        site.git(&["config", key, &touch]);
    }
    let hooks = [
        "pre-commit",
        "post-commit",
        "post-merge",
        "post-checkout",
        "reference-transaction",
        "post-index-change",
    ];
    for hook in hooks {
        let path = site.path(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    site.write("conf", "one\nmine\nthree\n");
    let attributes = "* filter=evil merge=evil\n# more\n";
    site.release(&tree_of(&[
        ("conf", "one\ntheirs\nthree\n"),
        (".gitattributes", attributes),
        ("new", "n\n"),
    ]));
    let prepared = site.prepare(Favor::Theirs);
    let events = cowhand::event::Events::default();
    prepared.switch.apply(&site.repo, "update", &events).unwrap();
    assert_eq!(site.read("conf").unwrap(), "one\ntheirs\nthree\n");
    prepared.switch.undo(&site.repo, "rollback", &events).unwrap();
    assert_eq!(site.read("conf").unwrap(), "one\nmine\nthree\n");
    assert!(!witness.exists());
}
