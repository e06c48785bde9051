//! The probe, a real component that does at each hook what its configuration says, and a site to
//! load it in.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use cowhand::error::Result;
use cowhand::event::{Event, Events, Sink};
use cowhand::plugin::receipt::{Class, Receipt};
use cowhand::plugin::spec::Spec;
use cowhand::plugin::types::{End, Favor, Hunk, PreMerge, TextMerge};
use cowhand::plugin::{Cache, Compiler, Options, Plugins};

use crate::toolchain::{TARGET, Toolchain};

/// Builds the probe's component once and returns its path. It has a target directory of its own,
/// because cargo holds a lock on the crate's.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/Cargo.toml");
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = scratch.parent().unwrap().join("test-plugins");
        let mut cargo = Toolchain::found().unwrap().cargo(scratch).unwrap();
        let cargo = cargo
            .arg("--quiet")
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target);
        assert!(cargo.status().unwrap().success(), "the probe could not be built");
        target.join(TARGET).join("release/probe.wasm")
    })
}

/// Returns the probe as built now, and as built against each released version of the WIT.
pub fn every_probe() -> Vec<PathBuf> {
    let kept = crate::wit::versions().into_iter().map(|version| kept_component(&version));
    std::iter::once(probe().to_owned()).chain(kept).collect()
}

/// Returns the component that was kept when this version was released.
pub fn kept_component(version: &Path) -> PathBuf {
    let name = version.file_name().unwrap().to_str().unwrap();
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/components/{name}.wasm"))
}

/// Returns the compiler in the program under test.
pub fn compiler() -> Compiler {
    Compiler::in_program(env!("CARGO_BIN_EXE_cowhand"))
}

/// Returns the directory of compiled components that all tests share, from run to run.
pub fn cache_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled-plugins")
}

/// A directory that is enough of a site for plugins, and the events recorded.
pub struct Site {
    pub folder: tempfile::TempDir,
    pub events: Events,
    pub recorded: Arc<Mutex<Vec<Event>>>,
    pub offline: bool,
    pub compiler: Compiler,
    pub cache: Cache,
}

struct Recorder(Arc<Mutex<Vec<Event>>>);

impl Sink for Recorder {
    fn event(&mut self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for inner in [".git", "data/assets/ssl"] {
            std::fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        std::fs::write(folder.path().join("mailcow.conf"), "DBPASS=hunter22\n").unwrap();
        let (events, recorded) = (Events::default(), Arc::default());
        events.add(Box::new(Recorder(Arc::clone(&recorded))));
        Self {
            folder,
            events,
            recorded,
            offline: false,
            cache: Cache::at(cache_folder()),
            compiler: compiler(),
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Parses plugins as in `cowhand.toml`, where `PROBE` means the probe as the source.
    pub fn specs(toml: &str) -> Vec<Spec> {
        Self::specs_from(probe(), toml)
    }

    /// Parses plugins, where `PROBE` means another component.
    pub fn specs_from(component: &Path, toml: &str) -> Vec<Spec> {
        #[derive(serde::Deserialize)]
        struct Tables {
            plugin: Vec<Spec>,
        }
        let toml = toml.replace("\nPROBE\n", &format!("\nsource = \"{}\"\n", component.display()));
        toml::from_str::<Tables>(&toml).unwrap().plugin
    }

    pub fn options(&self) -> Options {
        Options {
            site: self.path().to_owned(),
            fetched: self.path().join(".git/cowhand/plugins"),
            protected: Vec::new(),
            trust: None,
            compiler: self.compiler.clone(),
            cache: Some(self.cache.clone()),
            offline: self.offline,
            events: self.events.clone(),
            text_merge: Arc::new(Concat),
            record: None,
        }
    }

    /// Loads plugins.
    pub async fn load(&self, toml: &str) -> Result<Plugins> {
        self.load_from(probe(), toml).await
    }

    /// Loads plugins, where `PROBE` means another component.
    pub async fn load_from(&self, component: &Path, toml: &str) -> Result<Plugins> {
        Plugins::load(&Self::specs_from(component, toml), &self.options()).await
    }

    pub fn events(&self) -> Vec<Event> {
        self.recorded.lock().unwrap().clone()
    }

    pub fn receipts(&self) -> Vec<Receipt> {
        let receipt = |event| match event {
            Event::Plugin(receipt) => Some(*receipt),
            _ => None,
        };
        self.events().into_iter().filter_map(receipt).collect()
    }

    /// Returns the receipt of the last call to this plugin.
    pub fn receipt(&self, plugin: &str) -> Receipt {
        self.receipts().into_iter().rfind(|receipt| receipt.plugin == plugin).unwrap()
    }

    /// Returns the failure of the last call to this plugin.
    pub fn failure(&self, plugin: &str) -> (Class, String) {
        let failure = self.receipt(plugin).failure.unwrap();
        (failure.class, failure.message)
    }

    /// Returns the notes, with their hints.
    pub fn notes(&self) -> Vec<String> {
        let note = |event| match event {
            Event::Note { text, hint, .. } => Some(format!("{text} {}", hint.unwrap_or_default())),
            _ => None,
        };
        self.events().into_iter().filter_map(note).collect()
    }
}

/// A text merge that returns its input.
struct Concat;

impl TextMerge for Concat {
    fn merge(
        &self,
        base: &[u8],
        ours: &[u8],
        theirs: &[u8],
        favor: Option<Favor>,
    ) -> Result<Vec<Hunk>> {
        assert_eq!(favor, Some(Favor::Union));
        Ok(vec![Hunk::Clean([base, ours].concat()), Hunk::Clean(theirs.to_vec())])
    }
}

/// Returns an input for pre-merge.
pub fn update() -> PreMerge {
    let commit = |id: &str| cowhand::plugin::types::Commit {
        id: id.to_owned(),
        parents: Vec::new(),
        time: 1_700_000_000,
        subject: format!("commit {id}"),
        tags: Vec::new(),
    };
    PreMerge {
        now: "2026-11-23T22:00:00+01:00[Europe/Berlin]".parse().unwrap(),
        base: "b0".to_owned(),
        ours: End { commit: "a1".to_owned(), branch: "master".to_owned() },
        theirs: End { commit: "c3".to_owned(), branch: "origin/master".to_owned() },
        commits: vec![commit("c3"), commit("c2"), commit("c1")],
        our_changes: Vec::new(),
        their_changes: Vec::new(),
    }
}
