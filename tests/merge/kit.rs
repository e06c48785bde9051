//! Makes small repositories quickly, merges in them with the stock policy, and asks git for the
//! same.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cowhand::git::conflict::Kind;
use cowhand::git::merge::{Answer, Conflict, Favor, Merge, Merged, Mode, Options};
use cowhand::git::{Oid, Repo};
use git2::{Index, Repository, Signature, Time};
use tempfile::TempDir;

/// Path → mode and content.
pub type Files = BTreeMap<Vec<u8>, (Mode, Vec<u8>)>;

/// A repository in a temporary folder.
pub struct Lab {
    pub git: Repository,
    pub repo: Repo,
    folder: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut options = git2::RepositoryInitOptions::new();
        options.initial_head("master");
        let git = Repository::init_opts(folder.path(), &options).unwrap();
        let repo = Repo::open(folder.path()).unwrap();
        Self { git, repo, folder }
    }

    /// Whatever is written meanwhile goes into one pack: thousands of small files would take longer
    /// than the merges.
    pub fn in_one_pack<T>(&self, write: impl FnOnce(&Self) -> T) -> T {
        let odb = self.git.odb().unwrap();
        let memory = odb.add_new_mempack_backend(1000).unwrap();
        let written = write(self);
        let mut pack = git2::Buf::new();
        memory.dump(&self.git, &mut pack).unwrap();
        memory.reset().unwrap();
        let disk = Repository::open(self.path()).unwrap();
        let odb = disk.odb().unwrap();
        let mut writer = odb.packwriter().unwrap();
        writer.write_all(&pack).unwrap();
        writer.commit().unwrap();
        written
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
        let parents: Vec<_> =
            parents.iter().map(|oid| self.git.find_commit(*oid).unwrap()).collect();
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
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
        .env("HOME", folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "lab")
            .env(format!("GIT_{who}_EMAIL"), "lab@example.org");
    }
    command.args([
        "-c",
        "merge.directoryRenames=false",
        "-c",
        "advice.detachedHead=false",
        "-c",
        "gc.auto=0",
    ]);
    command
}

/// Returns the answer of `stock-conflicts`.
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
    files
        .iter()
        .map(|(path, content)| {
            (path.as_bytes().to_vec(), (Mode::File, content.as_bytes().to_vec()))
        })
        .collect()
}
