//! The merge of two releases of a large history, with local edits, against `git merge-tree`.

use std::path::Path;
use std::process::Command;

use cowhand::git::Repo;
use cowhand::git::merge::{Answer, Favor, Merge, Options};

use crate::history;
use crate::measure::{Row, compare};

/// The measured side: opens the repository, merges with theirs favoured, writes the tree, and ends.
pub fn once(root: &str, ours: &str, theirs: &str) {
    let repo = Repo::open(Path::new(root)).unwrap();
    let merge = Merge::new(&repo, ours.parse().unwrap(), theirs.parse().unwrap(), Options::default()).unwrap();
    for conflict in merge.conflicts() {
        merge.resolve(conflict, Answer::Favor(Favor::Theirs), "bench").unwrap();
    }
    println!("{}", merge.finish("After update", &jiff::ZonedDateTime::now()).unwrap().tree);
}

/// Both sides give the same tree, or the benchmark ends here.
pub fn ratio() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let upstream = folder.path().join("upstream.git");
    std::fs::create_dir(&upstream).unwrap();
    let (ours, theirs) = history::make(&upstream);
    let root = folder.path().join("site");
    let url = upstream.display().to_string();
    history::git(folder.path(), &["clone", "--quiet", "--branch", "site", &url, "site"]);
    let program = std::env::current_exe().unwrap();
    let cowhand = || {
        let mut command = Command::new(&program);
        command.arg("merge").arg(&root).args([&ours, &theirs]);
        command
    };
    let git = || {
        let mut command = Command::new("git");
        command.arg("-C").arg(&root).args(["merge-tree", "--write-tree", "-Xtheirs", "-Xpatience", &ours, &theirs]);
        command
    };
    let tree = |command: &mut Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(tree(&mut cowhand()), tree(&mut git()), "both sides make the same tree");
    compare(
        "merge of two releases, 5,000 commits, 1,500 files, 20 of them edited on the site",
        ("Cowhand's merge with its list of losses, favouring theirs, as a process of its own", cowhand),
        ("git merge-tree --write-tree -Xtheirs -Xpatience", git),
    )
}
