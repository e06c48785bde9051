//! The merges of git and of upstream's script: `git merge -X… -Xpatience`, after which deleted
//! paths are removed and the rest is taken as it is. From `git merge-tree` if it knows `-X` (git
//! 2.43), else from real merges.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Seek, Write as _};
use std::path::Path;
use std::sync::OnceLock;

use cowhand::git::Oid;
use git2::Index;
use tempfile::TempDir;

use crate::kit::Lab;

/// The name of upstream's side: a ref that each worktree has for itself.
pub const LABEL: &str = "worktree/theirs";
/// The same in file names.
pub const ASIDE: &str = "worktree_theirs";

/// Two commits to merge.
pub struct Pair {
    pub ours: Oid,
    pub theirs: Oid,
}

/// The resulting trees; `favor` is the `-X` option's value.
pub fn trees(lab: &Lab, pairs: &[Pair], favor: &str) -> Vec<Oid> {
    static KNOWS_OPTION: OnceLock<bool> = OnceLock::new();
    let knows_option = KNOWS_OPTION.get_or_init(|| {
        let (_, usage) = lab.git_raw(&["merge-tree", "-h"], b"");
        String::from_utf8_lossy(&usage).contains("strategy-option")
    });
    if *knows_option && std::env::var_os("COWHAND_REAL_MERGES").is_none() {
        in_memory(lab, pairs, favor)
    } else {
        in_worktrees(lab, pairs, favor)
    }
}

fn in_memory(lab: &Lab, pairs: &[Pair], favor: &str) -> Vec<Oid> {
    let option = format!("-X{favor}");
    let mut input = String::new();
    for pair in pairs {
        writeln!(input, "{} {}", pair.ours, pair.theirs).unwrap();
    }
    let arguments =
        ["merge-tree", "--write-tree", "--stdin", "--no-messages", &option, "-Xpatience"];
    let (code, out) = lab.git_raw(&arguments, input.as_bytes());
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&out));
    let mut fields = out.split(|byte| *byte == 0);
    let mut trees = Vec::new();
    for pair in pairs {
        // The output: clean or not; the tree; a line for each stage of each conflicted path; an
        // empty line.
        fields.next().unwrap();
        let tree: Oid = std::str::from_utf8(fields.next().unwrap()).unwrap().parse().unwrap();
        let mut stages: BTreeMap<Vec<u8>, u8> = BTreeMap::new();
        while let Some(field) = fields.next().filter(|field| !field.is_empty()) {
            let at = field.iter().position(|byte| *byte == b'\t').unwrap();
            *stages.entry(field[at + 1..].to_vec()).or_default() |= 1 << (field[at - 1] - b'1');
        }
        trees.push(finished(lab, pair, tree, &stages));
    }
    trees
}

/// The tree without the paths that have a base and one side only, and with the names that `git
/// merge` itself gives.
fn finished(lab: &Lab, pair: &Pair, tree: Oid, stages: &BTreeMap<Vec<u8>, u8>) -> Oid {
    let mut index = Index::new().unwrap();
    index.read_tree(&lab.git.find_tree(tree).unwrap()).unwrap();
    let entries: Vec<_> = index.iter().collect();
    index.clear().unwrap();
    for mut entry in entries {
        if matches!(stages.get(&entry.path), Some(0b011 | 0b101)) {
            continue;
        }
        if let Ok(name) = std::str::from_utf8(&entry.path) {
            let name = name.replace(&format!("~{}", pair.ours), "~HEAD");
            entry.path =
                name.replace(&format!("~{}", pair.theirs), &format!("~{ASIDE}")).into_bytes();
        }
        index.add(&entry).unwrap();
    }
    index.write_tree_to(&lab.git).unwrap()
}

/// One `git merge` each, in as many worktrees as there are processors.
fn in_worktrees(lab: &Lab, pairs: &[Pair], favor: &str) -> Vec<Oid> {
    let shards = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = TempDir::new().unwrap();
    let start = pairs[0].ours.to_string();
    let size = pairs.len().div_ceil(shards).max(1);
    let threads: Vec<_> = pairs
        .chunks(size)
        .enumerate()
        .map(|(shard, pairs)| {
            let worktree = folder.path().join(shard.to_string());
            lab.git(&["worktree", "add", "-q", "--detach", worktree.to_str().unwrap(), &start]);
            let lines = pairs
                .iter()
                .map(|pair| format!("{} {}\n", pair.ours, pair.theirs))
                .collect::<Vec<_>>()
                .concat();
            let favor = favor.to_owned();
            std::thread::spawn(move || real_merges(&worktree, &lines, &favor))
        })
        .collect();
    let trees = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    drop(folder);
    lab.git(&["worktree", "prune"]);
    trees
}

fn real_merges(worktree: &Path, pairs: &str, favor: &str) -> Vec<Oid> {
    const SCRIPT: &str = r#"
        while read -r ours theirs; do
            git checkout -q -f --detach "$ours" && git clean -q -ffdx && git update-ref refs/worktree/theirs "$theirs"
            if ! git merge -q "-X$FAVOR" -Xpatience -m merged worktree/theirs >/dev/null 2>&1; then
                git status --porcelain -z | grep -zE '^(UD|DU) ' | cut -z -c4- | xargs -0 -r rm -f --
                git add -A >/dev/null 2>&1
            fi
            git write-tree
        done"#;
    let mut script = std::process::Command::new("bash");
    script.arg("-c").arg(SCRIPT).current_dir(worktree).env("FAVOR", favor).env("HOME", worktree);
    for (name, value) in [("NAME", "lab"), ("EMAIL", "lab@example.org")] {
        script.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    let settings = [("merge.directoryRenames", "false"), ("gc.auto", "0"), ("core.fsync", "none")];
    script
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (index, (key, value)) in settings.iter().enumerate() {
        script
            .env(format!("GIT_CONFIG_KEY_{index}"), key)
            .env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(pairs.as_bytes()).and_then(|()| input.rewind()).unwrap();
    let output = script.stdin(input).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.parse().unwrap()).collect()
}
