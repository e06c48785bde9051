//! A process that asks hooks, warm, against the shell scripts that people would write instead.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cowhand::config::Config;
use cowhand::error::{Error, Result};
use cowhand::event::Events;
use cowhand::path::SitePath;
use cowhand::plugin::types::{
    Blobs, Commit, Conflict, ConflictKind, End, Favor, FileMode, Hunk, PreMerge, Side, TextMerge,
    Version,
};
use cowhand::plugin::{Cache, Compiler, Options, Plugins};

use crate::measure::{RUNS, Row, compare, compare_times, now, time_to_the_first_line};

/// The shortest script there can be: it decides by the path alone.
const BY_PATH: &str = "case $1 in data/conf/*) echo theirs ;; *) echo pass ;; esac\n";

/// Checks that the certificate exists, lasts two more weeks and fits its key, and that only its
/// owner can read the key.
const CERTIFICATES: &str = r#"
cd "$1/data/assets/ssl" || exit
openssl x509 -in cert.pem -noout -checkend 1209600 >/dev/null || exit
[[ $(openssl x509 -in cert.pem -noout -pubkey) == "$(openssl pkey -in key.pem -pubout)" ]] || exit
[[ $(stat -c %a key.pem) == 600 ]] && echo proceed
"#;
const CERTIFICATES_CONFIG: &str = "[[plugin]]\nname = \"certs\"\nsource = \"stock:certificates\"\ngrant.read = [\"data/assets/ssl\"]\n";

/// Scripts or plugins that hold an update back until it is a day old.
const TEN: usize = 10;
const AGE: &str = "(($(date +%s) - $1 > 86400)) && echo proceed\n";

/// From the start of the process to the answer, compiled code cached.
pub fn ratios() -> [Row; 3] {
    [by_path(), certificates(), ten()]
}

fn by_path() -> Row {
    let site = Site::new(BY_PATH, "");
    let bash = || time_to_the_first_line(&mut site.script(&["data/conf/postfix/main.cf"]));
    let host = || time_to_the_first_line(&mut site.host("resolve"));
    let what = "from the start of the process to a hook's answer, decided by a path alone: the shortest script there is";
    compare_times(
        what,
        RUNS,
        ("the plugin host and the stock conflict policy", host),
        ("bash hook.sh", bash),
    )
}

fn certificates() -> Row {
    let site = Site::new(CERTIFICATES, CERTIFICATES_CONFIG);
    let ssl = site.0.path().join("data/assets/ssl");
    std::fs::create_dir_all(&ssl).unwrap();
    let made = rcgen::generate_simple_self_signed(["mail.example.org".to_owned()]).unwrap();
    std::fs::write(ssl.join("cert.pem"), made.cert.pem()).unwrap();
    cowhand::files::write(&ssl.join("key.pem"), made.signing_key.serialize_pem().as_bytes(), 0o600)
        .unwrap();
    let root = site.0.path().display().to_string();
    let bash = || time_to_the_first_line(&mut site.script(&[&root]));
    let host = || time_to_the_first_line(&mut site.host("check"));
    let what = "from the start of the process to a hook's answer: is the certificate there, valid, and its key's?";
    let ours = "the plugin host and the stock certificates plugin";
    compare_times(what, RUNS, (ours, host), ("bash hook.sh, with openssl", bash))
}

fn ten() -> Row {
    let plugin = |number| {
        format!(
            "[[plugin]]\nname = \"gate-{number}\"\nsource = \"stock:release-gate\"\nconfig.min-age = \"1d\"\n"
        )
    };
    let site = Site::new(AGE, &(0..TEN).map(plugin).collect::<String>());
    let script = site.0.path().join("hook.sh").display().to_string();
    let bash = || {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("bash {script} 1700000000\n").repeat(TEN)]);
        command
    };
    let what = "the answers of ten plugins, whole processes: is the commit a day old?";
    compare(
        what,
        ("the plugin host and release-gate, ten times", || site.host("check")),
        ("bash hook.sh, ten times", bash),
    )
}

/// A folder with a script and a `cowhand.toml`.
struct Site(tempfile::TempDir);

impl Site {
    fn new(script: &str, config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hook.sh"), script).unwrap();
        std::fs::write(folder.path().join("cowhand.toml"), config).unwrap();
        Self(folder)
    }

    fn script(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.arg(self.0.path().join("hook.sh")).args(arguments);
        command
    }

    fn host(&self, question: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["hook", question]).arg(self.0.path());
        command
    }
}

/// The side that is measured.
pub fn once(question: &str, site: &str) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Options {
            site: Path::new(site).to_owned(),
            fetched: Path::new(site).join("fetched"),
            protected: Vec::new(),
            trust: None,
            compiler: Compiler::in_program(env!("CARGO_BIN_EXE_cowhand")),
            cache: Cache::of_the_caller(),
            offline: true,
            events: Events::default(),
            text_merge: Arc::new(Unread),
            record: None,
        };
        let config = Config::parse(
            &std::fs::read_to_string(Path::new(site).join("cowhand.toml")).unwrap(),
            site,
        )
        .unwrap();
        let mut plugins = Plugins::load(&config.plugin, &options).await.unwrap();
        if question == "resolve" {
            println!(
                "{:?}",
                plugins.resolve(&conflict(), Arc::new(Unread), |_, _| Ok(())).await.unwrap()
            );
        } else {
            println!("{:?}", plugins.pre_merge(&update()).await.unwrap());
        }
    });
}

fn conflict() -> Conflict {
    let path = SitePath::from("data/conf/postfix/main.cf");
    let version = Some(Version { path: path.clone(), mode: FileMode::File });
    Conflict {
        path,
        kind: ConflictKind::Content,
        collision: None,
        prefers: Favor::Theirs,
        base: version.clone(),
        ours: version.clone(),
        theirs: version,
    }
}

fn update() -> PreMerge {
    let end = |branch: &str| End { commit: "b".repeat(40), branch: branch.to_owned() };
    let commit = Commit {
        id: "b".repeat(40),
        parents: Vec::new(),
        time: 1_700_000_000,
        subject: "Update images".to_owned(),
        tags: Vec::new(),
    };
    PreMerge {
        now: now(),
        base: "a".repeat(40),
        ours: end("master"),
        theirs: end("origin/master"),
        commits: vec![commit],
        our_changes: Vec::new(),
        their_changes: Vec::new(),
    }
}

/// The texts of a conflict that is decided by its path: nobody reads them.
struct Unread;

impl Blobs for Unread {
    fn size(&self, _: Side) -> Result<u64> {
        Err(Error::new("nobody reads this"))
    }

    fn read(&self, _: Side) -> Result<Vec<u8>> {
        Err(Error::new("nobody reads this"))
    }
}

impl TextMerge for Unread {
    fn merge(&self, _: &[u8], _: &[u8], _: &[u8], _: Option<Favor>) -> Result<Vec<Hunk>> {
        Err(Error::new("nobody merges this"))
    }
}
