//! The merge of two releases of a large history, with local edits, against `git merge-tree`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cowhand::git::Repo;
use cowhand::git::merge::{Answer, Favor, Merge, Options};

use crate::history;
use crate::measure::{RUNS, Row, compare, compare_times, now, time};

/// How much of a merge is measured.
const COMMITS: &str = "commits";
const SITE: &str = "site";

/// The measured side: opens the repository, merges with theirs favoured, writes the tree, and ends.
/// Tells the tree, and how long it took without the start of the process.
pub fn once(what: &str, root: &str, ours: &str, theirs: &str) {
    let (ours, theirs) = (ours.parse().unwrap(), theirs.parse().unwrap());
    let since = Instant::now();
    let repo = Repo::open(Path::new(root)).unwrap();
    let merge = if what == SITE { Merge::new } else { Merge::commits };
    let merge = merge(&repo, ours, theirs, Options::default()).unwrap();
    for conflict in merge.conflicts() {
        merge.resolve(conflict, Answer::Favor(Favor::Theirs), "bench").unwrap();
    }
    let tree = merge.finish("After update", &now()).unwrap().tree;
    println!("{tree} {}", since.elapsed().as_micros());
}

/// Both sides give the same tree, or the benchmark ends here.
pub fn ratios() -> [Row; 3] {
    let folder = tempfile::tempdir().unwrap();
    let upstream = folder.path().join("upstream.git");
    std::fs::create_dir(&upstream).unwrap();
    let (ours, theirs) = history::make(&upstream);
    let root = folder.path().join("site");
    let url = upstream.display().to_string();
    history::git(folder.path(), &["clone", "--quiet", "--branch", "site", &url, "site"]);
    let program = std::env::current_exe().unwrap();
    let cowhand = |what: &str| {
        let mut command = Command::new(&program);
        command.args(["merge", what]).arg(&root).args([&ours, &theirs]);
        command
    };
    let inside = |what: &str| {
        let told = output(&mut cowhand(what));
        Duration::from_micros(told.split_once(' ').unwrap().1.trim().parse().unwrap())
    };
    let git = || {
        let mut command = Command::new("git");
        command.arg("-C").arg(&root).args([
            "merge-tree",
            "--write-tree",
            "-Xtheirs",
            "-Xpatience",
            &ours,
            &theirs,
        ]);
        command
    };
    let script = format!(
        "tree=$(git merge-tree --write-tree -Xtheirs -Xpatience {ours} {theirs}) && \
         git diff-tree -r -z --name-only --diff-filter=A {ours} $tree | xargs -0 -r ls -d --"
    );
    let git_and_files = || {
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(&root);
        command
    };
    let tree = output(&mut git());
    for what in [COMMITS, SITE] {
        assert_eq!(
            output(&mut cowhand(what)).split(' ').next(),
            Some(tree.trim()),
            "both sides make the same tree"
        );
    }
    let name = "git merge-tree --write-tree -Xtheirs -Xpatience";
    [
        compare_times(
            "merge of two releases, 5,000 commits, 1,500 files, 20 of them edited on the site",
            RUNS,
            (
                "Cowhand's, favouring theirs, with its list of losses, in a process that runs",
                || inside(COMMITS),
            ),
            (name, || time(&mut git())),
        ),
        compare(
            "the same, whole processes",
            ("Cowhand's, with the start of a process of 50 MB", || cowhand(COMMITS)),
            (name, git),
        ),
        compare_times(
            "the same, with a look for files of the site that are in no commit and in the way",
            RUNS,
            ("Cowhand's, in a process that runs", || inside(SITE)),
            ("git merge-tree, then git diff-tree for what is new, then a look for each", || {
                time(&mut git_and_files())
            }),
        ),
    ]
}

fn output(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}
