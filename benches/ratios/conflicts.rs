//! Thousands of conflicts, each decided by a resolver plugin, against `git merge-tree` with an
//! equivalent external merge driver.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cowhand::config::{Config, Favor};
use cowhand::event::Events;
use cowhand::git::Repo;
use cowhand::git::merge::{Merge, Options};
use cowhand::pipeline::{Texts, decide_all};
use cowhand::plugin::{self, Cache, Compiler, Plugins};

use crate::history::git;
use crate::measure::{now, time};
use crate::toolchain::{TARGET, Toolchain};

/// The number of conflicts that Cowhand decides.
const MANY: usize = 10_000;
/// The number of conflicts that git decides with a script. Its time grows linearly; a tenth is
/// shown as evidence.
const SOME: usize = 1_000;
const FEW: usize = 100;
const LINES: usize = 60;
const RUNS: usize = 5;

/// A policy: a plugin with its configuration, and the equivalent merge driver.
struct Policy {
    what: &'static str,
    goal: f64,
    plugin: &'static str,
    config: &'static str,
    driver: &'static str,
}

/// git calls a driver with the base, the site's file (which it changes), upstream's, and the path.
const POLICIES: [Policy; 2] = [
    Policy {
        what: "by path",
        goal: 100.0,
        plugin: "by_path",
        config: "config.theirs = [\"data/conf/\"]\n",
        driver: "case $4 in data/conf/*) cp \"$3\" \"$2\" ;; *) exit 1 ;; esac\n",
    },
    Policy {
        what: "by content, reading all three sides",
        goal: 50.0,
        plugin: "by_content",
        config: "",
        driver: "if grep -q 'on this site' \"$2\"; then side=ours; else side=theirs; fi\n\
                 git merge-file --quiet --$side \"$2\" \"$1\" \"$3\"\n",
    },
];

/// The measured side: merges two commits, asks the plugin about each conflict, writes the tree, and
/// ends. Tells the tree and the most memory that it took, in KiB.
pub fn once(root: &str, ours: &str, theirs: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let root = Path::new(root);
    let text = std::fs::read_to_string(root.join("cowhand.toml")).unwrap();
    let config = Config::parse(&text, "cowhand.toml").unwrap();
    let repo = Repo::open(root).unwrap();
    let merge =
        Merge::commits(&repo, ours.parse().unwrap(), theirs.parse().unwrap(), Options::default())
            .unwrap();
    runtime.block_on(async {
        let options = plugin::Options {
            site: root.to_owned(),
            fetched: root.join("fetched"),
            protected: Vec::new(),
            trust: None,
            compiler: Compiler::in_program(env!("CARGO_BIN_EXE_cowhand")),
            cache: Cache::of_the_caller(),
            offline: true,
            events: Events::default(),
            text_merge: Arc::new(Texts),
            record: None,
        };
        let mut plugins = Plugins::load(&config.plugin, &options).await.unwrap();
        decide_all(&mut plugins, &merge, Favor::Theirs).await.unwrap();
    });
    let tree = merge.finish("After update", &now()).unwrap().tree;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{tree} {}", peak.trim().trim_end_matches(" kB"));
}

/// Prints a paragraph for each policy.
pub fn print() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = plugins();
    let [few, some, many] = [FEW, SOME, MANY].map(|count| Case::new(folder.path(), count));
    for policy in &POLICIES {
        for case in [&few, &some, &many] {
            case.prepare(policy, &plugins);
        }
        assert_eq!(few.tree(), few.git_s_tree(), "both sides make the same tree");
        let [ours_few, ours_some, ours_many] =
            [&few, &some, &many].map(|case| median(RUNS, || time(&mut case.cowhand())));
        let (peer_few, peer_some) = (median(3, || time(&mut few.git())), time(&mut some.git()));
        let peer = peer_some * u32::try_from(MANY / SOME).unwrap();
        let ratio = peer.as_secs_f64() / ours_many.as_secs_f64();
        let seconds = |time: Duration| time.as_secs_f64();
        println!(
            "\n{MANY} conflicts decided {}: {ratio:.0} times faster than a merge driver (goal {})\n  \
             {:9.3} s  Cowhand and a plugin; {:.3} s for {SOME}, {:.3} s for {FEW}; at most {} MiB of memory\n  \
             {:9.3} s  git merge-tree and a driver of one shell script: ten times the {:.3} s of {SOME}; {:.3} s for {FEW}",
            policy.what,
            policy.goal,
            seconds(ours_many),
            seconds(ours_some),
            seconds(ours_few),
            many.peak() >> 10,
            seconds(peer),
            seconds(peer_some),
            seconds(peer_few),
        );
    }
}

fn median(runs: usize, measure: impl Fn() -> Duration) -> Duration {
    measure();
    let mut times: Vec<Duration> = (0..runs).map(|_| measure()).collect();
    times.sort();
    times[runs / 2]
}

/// A clone in which so many files conflict.
struct Case {
    root: PathBuf,
    ours: String,
    theirs: String,
}

impl Case {
    fn new(folder: &Path, count: usize) -> Self {
        let root = folder.join(count.to_string());
        std::fs::create_dir(&root).unwrap();
        git(&root, &["init", "--quiet", "--initial-branch=master", "."]);
        let mut import = Command::new("git");
        let mut import = import
            .arg("-C")
            .arg(&root)
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        import.stdin.take().unwrap().write_all(stream(count).as_bytes()).unwrap();
        assert!(import.wait().unwrap().success());
        let (ours, theirs) =
            (git(&root, &["rev-parse", "site"]), git(&root, &["rev-parse", "master"]));
        Self { root, ours, theirs }
    }

    fn prepare(&self, policy: &Policy, plugins: &Path) {
        let component = plugins.join(policy.plugin).with_extension("wasm");
        let config = format!(
            "[[plugin]]\nname = \"policy\"\nsource = \"{}\"\n{}",
            component.display(),
            policy.config
        );
        std::fs::write(self.root.join("cowhand.toml"), config).unwrap();
        let driver = self.root.join(".git/driver.sh");
        std::fs::write(&driver, policy.driver).unwrap();
        git(
            &self.root,
            &["config", "merge.script.driver", &format!("sh {} %O %A %B %P", driver.display())],
        );
        std::fs::write(self.root.join(".git/driver.attributes"), "* merge=script\n").unwrap();
    }

    fn cowhand(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("conflicts").arg(&self.root).args([&self.ours, &self.theirs]);
        command
    }

    fn git(&self) -> Command {
        let mut command = Command::new("git");
        let attributes = self.root.join(".git/driver.attributes");
        command
            .arg("-C")
            .arg(&self.root)
            .arg("-c")
            .arg(format!("core.attributesFile={}", attributes.display()));
        command.args(["merge-tree", "--write-tree", &self.ours, &self.theirs]);
        command
    }

    fn told(&self) -> (String, u64) {
        let told = String::from_utf8(self.cowhand().output().unwrap().stdout).unwrap();
        let (tree, peak) = told.trim().split_once(' ').unwrap();
        (tree.to_owned(), peak.parse().unwrap())
    }

    fn tree(&self) -> String {
        self.told().0
    }

    fn peak(&self) -> u64 {
        self.told().1
    }

    fn git_s_tree(&self) -> String {
        String::from_utf8(self.git().output().unwrap().stdout)
            .unwrap()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    }
}

/// Three commits: a release, the site's on top of it, and the next release. Both change the same
/// line in every file.
fn stream(count: usize) -> String {
    let mut stream = String::new();
    let mut commit = |branch: &str, mark: &str, from: &str, line: &dyn Fn(usize) -> String| {
        let _ = write!(
            stream,
            "commit refs/heads/{branch}\n{mark}committer Bench <bench@example.org> 1600000000 +0000\ndata 1\nx\n{from}"
        );
        for file in 0..count {
            let setting =
                |at| if at == LINES / 2 { line(file) } else { format!("setting_{at} = {file}\n") };
            let content: String = (0..LINES).map(setting).collect();
            let path = format!("data/conf/part{}/file{file}.conf", file % 100);
            let _ = write!(stream, "M 100644 inline {path}\ndata {}\n{content}\n", content.len());
        }
    };
    commit("master", "mark :1\n", "", &|file| format!("setting = {file}\n"));
    // Half of the site's edits are marked as such.
    let mine = |file: usize| {
        format!(
            "setting = {file} {}\n",
            if file.is_multiple_of(2) { "on this site" } else { "here" }
        )
    };
    commit("site", "", "from :1\n", &mine);
    commit("master", "", "from :1\n", &|file| format!("setting = {file} of upstream\n"));
    stream
}

/// The plugins' components, built where the tests build theirs.
fn plugins() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/Cargo.toml");
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = scratch.parent().unwrap().join("test-plugins");
    let mut cargo = Toolchain::found().unwrap().cargo(scratch).unwrap();
    let cargo =
        cargo.arg("--quiet").arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&target);
    assert!(cargo.status().unwrap().success(), "the plugins could not be built");
    target.join(TARGET).join("release")
}
