//! Clones of every kind: what a site may be is updated, what cannot be is refused with what to do
//! about it.

use std::os::unix::fs::{MetadataExt, chown};

use cowhand::demo::http;
use cowhand::event::Events;
use cowhand::git::Repo;
use cowhand::git::merge::Favor;

use crate::kit::{git, tree_of};
use crate::site::Site;

const FIRST: [(&str, &str); 2] = [("conf", "one\ntwo\nthree\nfour\nfive\n"), ("data/other", "o\n")];
const NEXT: [(&str, &str); 3] =
    [("conf", "one\ntwo\nthree\nfour\nFIVE\n"), ("data/other", "o\n"), ("data/new", "n\n")];
const MINE: &str = "ONE\ntwo\nthree\nfour\nfive\n";
const BOTH: &str = "ONE\ntwo\nthree\nfour\nFIVE\n";

/// Edits, updates and goes back.
fn updates(site: &Site) {
    site.write("conf", MINE);
    let before = site.snapshot();
    let prepared = site.prepare(Favor::Theirs);
    assert_eq!(site.snapshot(), before);
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    assert_eq!(site.read("conf").unwrap(), BOTH);
    assert_eq!(site.read("data/new").unwrap(), "n\n");
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    site.git(&["fsck", "--connectivity-only"]);
    prepared.switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
    assert_eq!(site.snapshot(), before);
}

/// The site again, cloned by git with these arguments.
fn cloned(site: &mut Site, url: &str, arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_str().unwrap();
    let status = git(site.upstream.path())
        .args(["clone", "-q"])
        .args(arguments)
        .args([url, target])
        .status()
        .unwrap();
    assert!(status.success());
    site.repo = Repo::open(folder.path()).unwrap();
    site.folder = folder;
}

fn refused(site: &Site, what: &str, hint: &str) {
    let before = site.snapshot();
    let error = match Repo::open(site.folder.path()) {
        Ok(repo) => repo.readiness().unwrap_err(),
        Err(error) => error,
    };
    assert!(error.summary().contains(what), "{}", error.summary());
    assert!(error.hints().iter().any(|told| told.contains(hint)), "{:?}", error.hints());
    assert_eq!(site.snapshot(), before);
}

/// Over http, as sites have it: what is missing of the history is fetched, and only then.
#[test]
fn a_shallow_clone_is_deepened_as_needed() {
    let mut site = Site::new(&tree_of(&FIRST));
    for number in 0..4 {
        site.release(&tree_of(&[FIRST[0], FIRST[1], ("number", &number.to_string())]));
    }
    let url = format!("{}/.git", http::serve(site.upstream.path()).unwrap());
    cloned(&mut site, &url, &["--depth", "1"]);
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "1");
    let next = [NEXT[0], NEXT[1], NEXT[2], ("number", "3")];
    site.release(&tree_of(&next));
    updates(&site);
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "1", "the base was there already");

    // Upstream's branch was rewritten: the commit that both have is one that the clone lacks.
    let root = site.upstream.git(&["rev-list", "--max-parents=0", "master"]);
    let rewritten = site.upstream.commit(&tree_of(&next), &[root.parse().unwrap()]);
    site.upstream.branch("master", rewritten);
    let prepared = site.prepare(Favor::Theirs);
    assert_eq!(prepared.merged.base.to_string(), root);
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]), "5", "the rest of the history came");
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    assert_eq!(site.read("conf").unwrap(), BOTH);
}

#[test]
fn a_partial_clone_is_refused() {
    let mut site = Site::new(&tree_of(&FIRST));
    site.upstream.git(&["config", "uploadpack.allowFilter", "true"]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", site.upstream.path().display());
    let target = folder.path().to_str().unwrap();
    let clone = git(site.upstream.path())
        .args(["clone", "-q", "--filter=blob:none", &url, target])
        .status()
        .unwrap();
    assert!(clone.success());
    site.folder = folder;
    refused(&site, "partial", "full clone");
}

#[test]
fn a_sparse_checkout_is_refused() {
    let site = Site::new(&tree_of(&FIRST));
    site.git(&["sparse-checkout", "set", "data"]);
    refused(&site, "sparse", "sparse-checkout disable");
}

/// root updates it; what is replaced keeps its owner.
#[test]
fn a_clone_that_another_user_owns() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::new(&tree_of(&FIRST));
    let status = std::process::Command::new("chown")
        .args(["-R", "1234:1234"])
        .arg(site.folder.path())
        .status();
    assert!(status.unwrap().success());
    site.release(&tree_of(&NEXT));
    site.write("conf", MINE);
    let prepared = site.prepare(Favor::Theirs);
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
    let owner =
        |path| std::fs::metadata(site.path(path)).map(|found| (found.uid(), found.gid())).unwrap();
    assert_eq!((site.read("conf").unwrap().as_str(), owner("conf")), (BOTH, (1234, 1234)));
    chown(site.path("conf"), Some(0), Some(0)).unwrap();
}

#[test]
fn a_linked_worktree_and_a_git_folder_elsewhere() {
    let mut site = Site::new(&tree_of(&FIRST));
    let main = site.folder.path().to_owned();
    let place = tempfile::tempdir().unwrap();
    site.git(&["worktree", "add", "-q", "-b", "live", place.path().to_str().unwrap(), "master"]);
    site.git(&["branch", "-q", "--set-upstream-to=origin/master", "live"]);
    site.release(&tree_of(&NEXT));
    let elsewhere = std::mem::replace(&mut site.folder, place);
    site.repo = Repo::open(site.folder.path()).unwrap();
    assert!(site.path(".git").is_file());
    updates(&site);
    assert_eq!(
        std::fs::read_to_string(main.join("conf")).unwrap(),
        FIRST[0].1,
        "the other worktree is not touched"
    );
    drop(elsewhere);

    let mut site = Site::new(&tree_of(&FIRST));
    site.release(&tree_of(&NEXT));
    let folder = tempfile::tempdir().unwrap();
    let separate = format!("--separate-git-dir={}", folder.path().join("git").display());
    let url = site.upstream.path().to_str().unwrap().to_owned();
    let before = site.upstream.git(&["rev-parse", "master~1"]);
    cloned(&mut site, &url, &[&separate]);
    site.git(&["reset", "-q", "--hard", &before]);
    updates(&site);
}

#[test]
fn a_clone_that_borrows_objects() {
    let mut site = Site::new(&tree_of(&FIRST));
    let url = site.upstream.path().to_str().unwrap().to_owned();
    cloned(&mut site, &url, &["--shared"]);
    assert!(site.path(".git/objects/info/alternates").is_file());
    site.release(&tree_of(&NEXT));
    updates(&site);
}
