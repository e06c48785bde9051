//! Makes small repositories quickly, merges in them with the stock policy, and asks git for the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cowhand::event::Events;
use cowhand::git::conflict::Kind;
use cowhand::git::local::Local;
use cowhand::git::merge::{Answer, Conflict, Favor, Merge, Merged, Mode, Options};
use cowhand::git::switch::Switch;
use cowhand::git::{Branch, Oid, Repo};
use git2::{Index, Repository, Signature, Time};
use tempfile::TempDir;

/// Path → mode and content.
pub type Files = BTreeMap<Vec<u8>, (Mode, Vec<u8>)>;

/// A repository in a temporary folder.
pub struct Lab {
    pub folder: TempDir,
    pub git: Repository,
    pub repo: Repo,
}

impl Lab {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("master");
        let git = Repository::init_opts(folder.path(), &options).unwrap();
        let repo = Repo::open(folder.path()).unwrap();
        Self { folder, git, repo }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn tree(&self, files: &Files) -> Oid {
        let mut index = Index::new().unwrap();
        for (path, (mode, content)) in files {
            let oid = self.git.blob(content).unwrap();
            index.add(&entry(path, mode.bits(), oid)).unwrap();
        }
        index.write_tree_to(&self.git).unwrap()
    }

    pub fn commit(&self, files: &Files, parents: &[Oid]) -> Oid {
        self.commit_tree(self.tree(files), parents, 1_700_000_000)
    }

    pub fn commit_tree(&self, tree: Oid, parents: &[Oid], seconds: i64) -> Oid {
        let who = Signature::new("lab", "lab@example.org", &Time::new(seconds, 0)).unwrap();
        let tree = self.git.find_tree(tree).unwrap();
        let parents: Vec<_> = parents.iter().map(|oid| self.git.find_commit(*oid).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        self.git.commit(None, &who, &who, "lab", &tree, &parents).unwrap()
    }

    pub fn branch(&self, name: &str, commit: Oid) {
        self.git.reference(&format!("refs/heads/{name}"), commit, true, "lab").unwrap();
    }

    /// Merges with what the stock plugins answer.
    pub fn merge(&self, ours: Oid, theirs: Oid, favor: Favor, label: &str) -> Merged {
        let options = Options { label: label.to_owned(), ..Options::default() };
        let merge = Merge::new(&self.repo, ours, theirs, options).unwrap();
        for conflict in merge.conflicts() {
            merge.resolve(conflict, stock(conflict, favor), "stock-conflicts").unwrap();
        }
        merge.finish("After update", &now()).unwrap()
    }

    /// Runs git here; it must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let (code, out) = self.git_raw(arguments, b"");
        assert_eq!(code, 0, "git {arguments:?}: {}", String::from_utf8_lossy(&out));
        String::from_utf8_lossy(&out).trim_end().to_owned()
    }

    /// Runs git here with this input: its exit code and output.
    pub fn git_raw(&self, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>) {
        let mut command = git(self.path());
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&input));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        let mut out = output.stdout;
        if !output.status.success() {
            out.extend_from_slice(&output.stderr);
        }
        (output.status.code().unwrap_or(-1), out)
    }
}

/// git with nobody's configuration but the test's.
pub fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "lab").env(format!("GIT_{who}_EMAIL"), "lab@example.org");
    }
    command.args(["-c", "merge.directoryRenames=false", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"]);
    command
}

/// What `stock-conflicts` answers.
pub fn stock(conflict: &Conflict, favor: Favor) -> Answer {
    match conflict.kind {
        Kind::ModifyDelete | Kind::DeleteModify | Kind::RenameDelete => Answer::Remove,
        _ => Answer::Favor(favor),
    }
}

pub fn now() -> jiff::ZonedDateTime {
    jiff::Timestamp::from_second(1_800_000_000).unwrap().to_zoned_datetime(jiff::tz::TimeZone::UTC)
}

pub fn entry(path: &[u8], mode: u32, id: Oid) -> git2::IndexEntry {
    let never = git2::IndexTime::new(0, 0);
    git2::IndexEntry {
        ctime: never,
        mtime: never,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.to_vec(),
    }
}

/// The files of a tree, for comparing and showing.
pub fn files(git: &Repository, tree: Oid) -> Files {
    let mut index = Index::new().unwrap();
    index.read_tree(&git.find_tree(tree).unwrap()).unwrap();
    let read = |entry: git2::IndexEntry| {
        let mode = Mode::of_bits(entry.mode).unwrap();
        (entry.path, (mode, git.find_blob(entry.id).unwrap().content().to_vec()))
    };
    index.iter().map(read).collect()
}

/// Files from `(path, content)`.
pub fn tree_of(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, content)| (path.as_bytes().to_vec(), (Mode::File, content.as_bytes().to_vec()))).collect()
}

/// A clone of an upstream, with a working tree, as an admin has it.
pub struct Site {
    pub upstream: Lab,
    pub folder: TempDir,
    pub repo: Repo,
}

impl Site {
    /// Upstream publishes these files; the site clones them.
    pub fn new(files: &Files) -> Self {
        let upstream = Lab::new();
        let first = upstream.commit(files, &[]);
        upstream.branch("master", first);
        let folder = TempDir::new().unwrap();
        let url = upstream.path().to_str().unwrap();
        let cloned = git(upstream.path()).args(["clone", "-q", url, folder.path().to_str().unwrap()]).status().unwrap();
        assert!(cloned.success());
        let repo = Repo::open(folder.path()).unwrap();
        Self { upstream, folder, repo }
    }

    /// Upstream publishes a release on top of its branch.
    pub fn release(&self, files: &Files) -> Oid {
        let head = self.upstream.git.refname_to_id("refs/heads/master").unwrap();
        let next = self.upstream.commit(files, &[head]);
        self.upstream.branch("master", next);
        next
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        let output = git(self.folder.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Fetches and merges as an update does; gives what the switch needs.
    pub fn prepare(&self, favor: Favor) -> Prepared {
        let branch = self.repo.readiness().unwrap();
        let theirs = self.repo.fetch(&branch, &Events::default()).unwrap();
        let local = self.repo.local_changes(branch.head, "Before update", &now(), false).unwrap();
        let options = Options { label: branch.upstream.label(), ..Options::default() };
        let merge = Merge::new(&self.repo, local.commit, theirs, options).unwrap();
        for conflict in merge.conflicts() {
            merge.resolve(conflict, stock(conflict, favor), "stock-conflicts").unwrap();
        }
        let merged = merge.finish("After update", &now()).unwrap();
        let switch = Switch::plan(&self.repo, &branch, &local, &merged).unwrap();
        Prepared { branch, local, merged, switch }
    }

    /// Everything in the working tree, its permissions included, and where git stands.
    pub fn snapshot(&self) -> Snapshot {
        let mut files = BTreeMap::new();
        walk(self.folder.path(), self.folder.path(), &mut files);
        Snapshot {
            files,
            head: self.git(&["rev-parse", "HEAD"]),
            status: self.git(&["status", "--porcelain", "--ignored"]),
        }
    }
}

/// A merge ready to be switched to.
pub struct Prepared {
    pub branch: Branch,
    pub local: Local,
    pub merged: Merged,
    pub switch: Switch,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub files: BTreeMap<String, (u32, Vec<u8>)>,
    pub head: String,
    pub status: String,
}

fn walk(root: &Path, folder: &Path, files: &mut BTreeMap<String, (u32, Vec<u8>)>) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = std::fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let mode = found.permissions().mode();
        if name == ".git" {
            continue;
        }
        if found.is_dir() {
            files.insert(format!("{name}/"), (mode, Vec::new()));
            walk(root, &path, files);
        } else if found.is_symlink() {
            files.insert(name, (mode, std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()));
        } else {
            files.insert(name, (mode, std::fs::read(&path).unwrap()));
        }
    }
}
