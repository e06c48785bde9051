//! A large history, made with `git fast-import`: thousands of commits on a tree of upstream's size.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Commits on `master`.
pub const COMMITS: usize = 5000;
/// Files in the tree.
pub const FILES: usize = 1500;
/// The number of commits that upstream is ahead of the site's release.
const AHEAD: usize = 120;
/// Files that the site edited.
pub const EDITS: usize = 20;

/// Makes a bare repository with `master`, the branch `site` (the release before, plus a commit with
/// local edits) and gives the two commits: the site's and upstream's.
pub fn make(folder: &Path) -> (String, String) {
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=master", "."]);
    let mut import = Command::new("git");
    import.arg("-C").arg(folder).args(["fast-import", "--quiet"]).stdin(Stdio::piped());
    let mut import = import.spawn().unwrap();
    import.stdin.take().unwrap().write_all(stream().as_bytes()).unwrap();
    assert!(import.wait().unwrap().success(), "git fast-import");
    (git(folder, &["rev-parse", "site"]), git(folder, &["rev-parse", "master"]))
}

/// Runs git in `folder` and gives what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn stream() -> String {
    let mut files: Vec<Vec<String>> = (0..FILES)
        .map(|file| (0..60).map(|line| format!("setting_{line} = {file}")).collect())
        .collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut stream = String::new();
    let mut released = None;
    for number in 0..COMMITS {
        let changed: Vec<usize> = if number == 0 {
            (0..FILES).collect()
        } else {
            (0..3).map(|_| random.below(FILES)).collect()
        };
        for file in &changed {
            let line = random.below(60);
            files[*file][line] = format!("setting_{line} = {file} at {number}");
        }
        commit(&mut stream, "master", number, None, &changed, &files);
        if number + AHEAD + 1 == COMMITS {
            released = Some(files.clone());
        }
    }
    let mut files = released.unwrap();
    let edited: Vec<usize> = (0..EDITS).map(|edit| edit * FILES / EDITS).collect();
    for file in &edited {
        files[*file][30] = format!("setting_30 = {file} on this site");
    }
    commit(&mut stream, "site", COMMITS, Some(COMMITS - AHEAD), &edited, &files);
    stream
}

/// One commit of a fast-import stream; marks count commits from 1.
fn commit(
    stream: &mut String,
    branch: &str,
    number: usize,
    from: Option<usize>,
    changed: &[usize],
    files: &[Vec<String>],
) {
    let message = format!("Commit {number}");
    let _ = write!(
        stream,
        "commit refs/heads/{branch}\nmark :{}\ncommitter Bench <bench@example.org> {} +0000\ndata {}\n{message}\n",
        number + 1,
        1_600_000_000 + number * 3600,
        message.len()
    );
    let _ = from.map(|mark| writeln!(stream, "from :{mark}"));
    for file in changed {
        let content = files[*file].join("\n") + "\n";
        let _ = write!(
            stream,
            "M 100644 inline data/part{}/section{}/file{file}.conf\ndata {}\n{content}\n",
            file % 12,
            file % 100,
            content.len()
        );
    }
}

/// A small generator of numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
