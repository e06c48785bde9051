//! "Untouched" as the design defines it: branch, HEAD, index, every file of the working tree
//! (ignored and untracked ones too), containers, volumes and the image tags in use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::site::Site;

/// Everything of a site that a run which ends early must leave alone.
#[derive(Debug, PartialEq, Eq)]
pub struct State(BTreeMap<String, String>);

impl Site {
    /// Takes the site's state down.
    pub fn state(&self) -> State {
        let mut state = BTreeMap::new();
        let root = self.root();
        for name in [
            "HEAD",
            "index",
            "MERGE_HEAD",
            "REBASE_HEAD",
            "ORIG_HEAD",
            "config",
            "shallow",
            "index.lock",
        ] {
            if let Ok(content) = fs::read(root.join(".git").join(name)) {
                state.insert(format!(".git/{name}"), digest(&content));
            }
        }
        state.insert(
            "heads".to_owned(),
            self.git([
                "for-each-ref",
                "--format=%(refname) %(objectname)",
                "refs/heads",
                "refs/stash",
            ]),
        );
        files(&root, &root, &mut state);
        if self.has_engine() {
            self.stack_state(&mut state);
        }
        State(state)
    }

    /// Demands that nothing has changed since.
    pub fn is_untouched_since(&self, before: &State) {
        let (before, after) = (&before.0, &self.state().0);
        let names = before.keys().chain(after.keys());
        let changed: std::collections::BTreeSet<_> =
            names.filter(|name| before.get(*name) != after.get(*name)).collect();
        let tell = |name: &&String| {
            format!("{name}\n  was {:?}\n  is  {:?}", before.get(*name), after.get(*name))
        };
        assert!(
            changed.is_empty(),
            "not untouched:\n{}",
            changed.iter().map(tell).collect::<Vec<_>>().join("\n")
        );
    }

    fn stack_state(&self, state: &mut BTreeMap<String, String>) {
        let project = format!("label=com.docker.compose.project={}", self.project());
        let base = format!("reference={}/*", self.images.base());
        let lists: [(&str, &[&str]); 4] = [
            (
                "container",
                &[
                    "ps",
                    "--all",
                    "--no-trunc",
                    "--filter",
                    &project,
                    "--format",
                    "{{.Names}} {{.ID}} {{.State}} {{.Image}}",
                ],
            ),
            ("volume", &["volume", "ls", "--filter", &project, "--format", "{{.Name}}"]),
            (
                "network",
                &[
                    "network",
                    "ls",
                    "--no-trunc",
                    "--filter",
                    &project,
                    "--format",
                    "{{.Name}} {{.ID}}",
                ],
            ),
            (
                "image",
                &[
                    "images",
                    "--no-trunc",
                    "--filter",
                    &base,
                    "--format",
                    "{{.Repository}}:{{.Tag}} {{.ID}}",
                ],
            ),
        ];
        // Images that were pulled but are not in use may come; a tag in use must stay where it is.
        let used = self
            .engine()
            .lines(&["ps", "--all", "--filter", &project, "--format", "{{.Image}}"])
            .expect("the engine lists containers");
        for (kind, list) in lists {
            for line in self.engine().lines(list).expect("the engine lists what it has") {
                let (name, rest) = line.split_once(' ').unwrap_or((&line, ""));
                if kind != "image" || used.iter().any(|image| image == name) {
                    state.insert(format!("{kind} {name}"), rest.to_owned());
                }
            }
        }
    }
}

/// Every file, link and folder below `folder` but `.git`, with kind, mode, owner, inode, times and
/// content.
fn files(root: &Path, folder: &Path, state: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the site is listed").flatten() {
        let path: PathBuf = entry.path();
        if path == root.join(".git") {
            continue;
        }
        let found = path.symlink_metadata().expect("a file of the site is there");
        let content = if found.is_dir() {
            files(root, &path, state);
            String::new()
        } else if found.is_symlink() {
            fs::read_link(&path).expect("a link is read").display().to_string()
        } else {
            digest(&fs::read(&path).expect("a file is read"))
        };
        let (mode, owner, group, inode) = (found.mode(), found.uid(), found.gid(), found.ino());
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        state.insert(
            name,
            format!(
                "{mode:o} {owner}:{group} inode {inode} changed {}.{:09} {content}",
                found.ctime(),
                found.ctime_nsec()
            ),
        );
    }
}

fn digest(content: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(content)
        .iter()
        .fold(format!("{} bytes ", content.len()), |text, byte| format!("{text}{byte:02x}"))
}
