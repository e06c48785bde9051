//! The host of the plugins in one process: a call against a bare wasmtime program's and against a
//! shell script, many plugins against few, and what compiling costs once.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowhand::config::Config;
use cowhand::error::{Error, Result};
use cowhand::event::Events;
use cowhand::plugin::types::{
    Blobs, Candidate, CandidateKind, Cause, Conflict, ConflictKind, Favor, FileMode, Hunk,
    PrePrune, Side, TextMerge, Version,
};
use cowhand::plugin::{Cache, Compiler, Options, Plugins, read_source};
use tokio::runtime::Runtime;

use crate::measure::{RUNS, Row, compare_times, time};

/// Calls of one measurement.
const CALLS: u32 = 200;

/// A call in a fresh instance, a call in a warm one, and the first start against the later ones.
pub fn ratios() -> [Row; 3] {
    [fresh(), warm(), compiled()]
}

struct Host {
    runtime: Runtime,
    plugins: std::cell::RefCell<Plugins>,
    _site: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let site = tempfile::tempdir().unwrap();
        let options = Options {
            site: site.path().to_owned(),
            fetched: site.path().join("fetched"),
            protected: Vec::new(),
            trust: None,
            compiler: Compiler::in_program(env!("CARGO_BIN_EXE_cowhand")),
            cache: Cache::of_the_caller(),
            offline: true,
            events: Events::default(),
            text_merge: Arc::new(Unread),
            record: None,
        };
        let specs = Config::parse("", "cowhand.toml").unwrap().plugin;
        let plugins = runtime.block_on(Plugins::load(&specs, &options)).unwrap().into();
        Self { runtime, plugins, _site: site }
    }
}

fn fresh() -> Row {
    let host = Host::new();
    let input = PrePrune { candidates: vec![candidate()], ..PrePrune::default() };
    let ours = || {
        let mut plugins = host.plugins.borrow_mut();
        let begun = Instant::now();
        for _ in 0..CALLS {
            assert_eq!(host.runtime.block_on(plugins.pre_prune(&input)).unwrap().len(), 1);
        }
        begun.elapsed()
    };
    let bare = bare::Program::new();
    let peer = || {
        let begun = Instant::now();
        for _ in 0..CALLS {
            assert_eq!(bare.call(), 1);
        }
        begun.elapsed()
    };
    let what =
        "200 calls of keep-images, each in a fresh instance, with limits, grants and receipts";
    compare_times(
        what,
        RUNS,
        ("the plugin host", ours),
        ("a bare wasmtime program, with none of that", peer),
    )
}

fn warm() -> Row {
    let (host, path) = (Host::new(), cowhand::path::SitePath::from("data/conf/postfix/main.cf"));
    let version = Some(Version { path: path.clone(), mode: FileMode::File });
    let conflict = Conflict {
        path,
        kind: ConflictKind::Content,
        collision: None,
        prefers: Favor::Theirs,
        base: version.clone(),
        ours: version.clone(),
        theirs: version,
    };
    let ours = || {
        let mut plugins = host.plugins.borrow_mut();
        let begun = Instant::now();
        for _ in 0..CALLS {
            host.runtime
                .block_on(plugins.resolve(&conflict, Arc::new(Unread), |_, _| Ok(())))
                .unwrap();
        }
        begun.elapsed()
    };
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hook.sh");
    std::fs::write(&script, "case $1 in data/conf/*) echo theirs ;; *) echo pass ;; esac\n")
        .unwrap();
    let shell = || time(Command::new("bash").arg(&script).arg("data/conf/postfix/main.cf"));
    let what = "200 conflicts decided by their path, warm, against one by the shortest script";
    compare_times(what, RUNS, ("the plugin host, 200 calls", ours), ("bash hook.sh, once", shell))
}

fn compiled() -> Row {
    let (site, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(site.path().join("cowhand.toml"), "").unwrap();
    let host = |cache: &Path| time(asking(site.path()).env("COWHAND_CACHE", cache.join("cowhand")));
    let first = || host(tempfile::tempdir().unwrap().path());
    let later = || host(kept.path());
    let what = "the first process that asks the stock plugins, which compiles them, against every later one";
    compare_times(what, 5, ("nothing compiled yet", first), ("compiled before", later))
}

/// The cost of more plugins: whole processes, from one plugin to a hundred.
pub fn growth() -> String {
    let mut lines = vec![
        "from the start of the process to the answers of so many plugins (release-gate): is the commit a day old?"
            .to_owned(),
    ];
    let base = of_many(0);
    for count in [1, 10, 25, 50, 100] {
        let took = of_many(count);
        let each = took.saturating_sub(base).as_secs_f64() * 1000.0 / f64::from(count);
        lines.push(format!(
            "  {:9.2} ms  {count} plugins; {each:.2} ms each beyond the start",
            took.as_secs_f64() * 1000.0
        ));
    }
    lines.join("\n")
}

/// The median of some processes with so many plugins.
fn of_many(count: u32) -> Duration {
    let site = tempfile::tempdir().unwrap();
    let plugin = |number| {
        format!(
            "[[plugin]]\nname = \"gate-{number}\"\nsource = \"stock:release-gate\"\nconfig.min-age = \"1d\"\n"
        )
    };
    std::fs::write(site.path().join("cowhand.toml"), (0..count).map(plugin).collect::<String>())
        .unwrap();
    let mut times: Vec<Duration> =
        (0..12).map(|_| time(&mut asking(site.path()))).skip(1).collect();
    times.sort();
    times[times.len() / 2]
}

/// A process that asks the pre-merge plugins of a site.
fn asking(site: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["hook", "check"]).arg(site);
    command
}

fn candidate() -> Candidate {
    Candidate {
        kind: CandidateKind::Image,
        id: "sha256:01".to_owned(),
        references: vec!["ghcr.io/mailcow/postfix:1.80".to_owned()],
        cause: Cause::Previous,
        reason: "the release just left used it".to_owned(),
        ..Candidate::default()
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

/// The program that one would write to try a component: wasmtime as it is, all that keep-images
/// imports, and the call.
mod bare {
    use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
    use wasmtime::{Engine, Store};
    use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

    use super::read_source;

    wasmtime::component::bindgen!({ path: "wit/v0.1", world: "pre-prune-plugin" });

    use self::cowhand::hooks::{config, log};
    use self::exports::cowhand::hooks::pre_prune::{Candidate, Candidates, Cause, Kind, Moment};

    struct State {
        wasi: WasiCtx,
        table: ResourceTable,
    }

    impl WasiView for State {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
        }
    }

    impl log::Host for State {
        fn write(&mut self, _: log::Level, _: String) {}
    }

    impl config::Host for State {
        fn get(&mut self) -> String {
            "{}".to_owned()
        }
    }

    pub struct Program {
        engine: Engine,
        pre: PrePrunePluginPre<State>,
    }

    impl Program {
        pub fn new() -> Self {
            let engine = Engine::default();
            let (bytes, _) = read_source("stock:keep-images").unwrap();
            let component = Component::new(&engine, &bytes).unwrap();
            let mut linker = Linker::new(&engine);
            wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
            log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).unwrap();
            config::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).unwrap();
            let pre = PrePrunePluginPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
            Self { engine, pre }
        }

        pub fn call(&self) -> usize {
            let state = State { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
            let mut store = Store::new(&self.engine, state);
            let plugin = self.pre.instantiate(&mut store).unwrap();
            let candidates = Candidates {
                now: Moment {
                    seconds: 1_767_268_800,
                    offset_minutes: 0,
                    zone: Some("UTC".to_owned()),
                },
                items: vec![candidate()],
                in_use: Vec::new(),
            };
            plugin
                .cowhand_hooks_pre_prune()
                .call_choose(&mut store, &candidates)
                .unwrap()
                .unwrap()
                .len()
        }
    }

    fn candidate() -> Candidate {
        let of = super::candidate();
        Candidate {
            kind: Kind::Image,
            id: of.id,
            references: of.references,
            size: None,
            created: None,
            labels: Vec::new(),
            cause: Cause::Previous,
            reason: of.reason,
        }
    }
}
