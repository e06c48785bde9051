//! Loading: files that are not plugins are refused before anything runs, and compiled components
//! are cached.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cowhand::error::Error;
use cowhand::event::{Event, Unit};
use cowhand::exit::Exit;
use cowhand::plugin::Cache;
use cowhand::plugin::types::PreMergeVerdict;

use crate::kit::{Site, cache_folder, kept_component, probe, update};

/// Loads these bytes as a plugin and returns the refusal.
async fn refused(bytes: &[u8]) -> Error {
    let site = Site::new();
    fs::write(site.path().join("mine.wasm"), bytes).unwrap();
    let error =
        site.load("[[plugin]]\nname = \"mine\"\nsource = \"mine.wasm\"\n").await.err().unwrap();
    assert_eq!(error.headline(), "the plugin `mine` (mine.wasm) cannot be used");
    assert_eq!(error.exit_code(), Some(Exit::Refused));
    error
}

/// Returns the probe with one name replaced by another.
fn renamed(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(probe()).unwrap();
    let places: Vec<_> = (0..bytes.len() - from.len())
        .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[tokio::test]
async fn files_that_are_not_plugins_are_refused() {
    assert!(refused(b"#!/bin/sh\n").await.summary().contains("not WebAssembly"));
    assert!(refused(b"\0asm\x01\0\0\0").await.summary().contains("a core module, not a component"));
    assert!(refused(b"\0asm\x0d\0\x01\0").await.summary().contains("exports no hook"));
    let probe = fs::read(probe()).unwrap();
    assert!(
        refused(&probe[..probe.len() / 2]).await.summary().contains("damaged or not WebAssembly")
    );
}

#[tokio::test]
async fn an_unknown_version_of_the_hooks_is_refused() {
    let error = refused(&renamed("@0.1.0", "@0.2.0")).await;
    assert!(
        error.summary().contains("for version 0.2.0 of the hooks, but this Cowhand has 0.1"),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_interface_is_refused() {
    let error = refused(&renamed("cowhand:hooks/observer@", "cowhand:hooks/observes@")).await;
    assert!(error.summary().contains("`observes`, which is not a hook"), "{error}");
}

#[tokio::test]
async fn the_right_names_with_other_types_are_found_when_loading() {
    // This renames a case of an answer.
    let error = refused(&renamed("proceed-to", "advance-to")).await;
    assert!(
        error.summary().contains("proceed-to") || error.summary().contains("expected"),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_hook_is_found_when_loading() {
    // The header, a section with an empty instance, and one that exports it under the hook's name.
    let name = b"cowhand:hooks/pre-merge@0.1.0";
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let export = [&[1, 0, length(name)], &name[..], &[5, 0, 0]].concat();
    let component =
        [b"\0asm\x0d\0\x01\0", &[5, 3, 1, 1, 0][..], &[11, length(&export)], &export].concat();
    let error = refused(&component).await;
    assert!(error.summary().contains("check"), "{error}");
}

#[tokio::test]
async fn components_of_every_released_version_still_work() {
    for version in crate::wit::versions() {
        let site = Site::new();
        let toml = "[[plugin]]\nname = \"old\"\nPROBE\nconfig.pre-merge = \"stop it is old\"\n";
        let mut plugins = site.load_from(&kept_component(&version), toml).await.unwrap();
        let verdict = plugins.pre_merge(&update()).await.unwrap();
        let (plugin, reason) = ("old".to_owned(), "it is old".to_owned());
        assert_eq!(verdict, PreMergeVerdict::Stop { plugin, reason }, "{}", version.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_written_by_hand_works() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"hand\"\nPROBE\n";
    let component =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/components/by-hand.wasm");
    let mut plugins = site.load_from(&component, toml).await.unwrap();
    site.events.add_from_the_start(plugins.observe().unwrap());
    site.events.info("grüße");
    let outcome = Event::Check {
        update: false,
        head: String::new(),
        upstream: String::new(),
        branch: String::new(),
        commits: Vec::new(),
    };
    plugins.finish_observers(&outcome, std::time::Duration::from_mins(1)).await;
    assert_eq!(site.receipt("hand").failure, None);
    let notes: Vec<String> =
        site.notes().into_iter().filter(|note| note.starts_with("hand: ")).collect();
    assert!(
        notes[0].contains("grüße") && notes.last().unwrap().contains("\"event\":\"check\""),
        "{notes:?}"
    );
}

#[tokio::test]
async fn a_missing_file_and_an_unknown_stock_plugin_are_refused() {
    let site = Site::new();
    let error = site
        .load("[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n")
        .await
        .err()
        .unwrap();
    assert!(error.summary().contains("No such file"), "{error}");
    let error =
        site.load("[[plugin]]\nname = \"mine\"\nsource = \"stock:no-such\"\n").await.err().unwrap();
    assert!(error.summary().contains("unknown stock plugin `no-such`"), "{error}");
}

#[tokio::test]
async fn a_site_can_continue_without_a_plugin() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"gone\"\nsource = \"gone.wasm\"\non-failure = \"warn\"\n\
                [[plugin]]\nname = \"here\"\nPROBE\n";
    let mut plugins = site.load(toml).await.unwrap();
    plugins.pre_merge(&update()).await.unwrap();
    assert!(site.notes().iter().any(|note| note.contains("`gone` (gone.wasm) cannot be used")));
    assert_eq!(site.receipt("here").failure, None);
}

/// Loads the probe with this cache. Returns true if it was compiled.
async fn compiled(cache: &Path) -> bool {
    let site = Site { cache: Cache::at(cache.to_owned()), ..Site::new() };
    let mut plugins = site.load("[[plugin]]\nname = \"p\"\nPROBE\n").await.unwrap();
    plugins.pre_merge(&update()).await.unwrap();
    assert_eq!(site.receipt("p").failure, None);
    let compiles = |event: &Event| match event {
        Event::Progress { task, unit: Unit::Items, .. } => task == "compile p",
        _ => false,
    };
    site.events().iter().any(compiles)
}

/// Returns the compiled components in a cache: those of the probe, and the others.
fn kept(cache: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let digest = cowhand::plugin::inspect(&fs::read(probe()).unwrap()).unwrap().digest.hex();
    let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    files.partition(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&digest))
}

/// Fills a cache with everything but the probe, so that only the probe has to be compiled.
async fn fill(cache: &Path) {
    Site::new().load("[[plugin]]\nname = \"p\"\nPROBE\n").await.unwrap();
    fs::create_dir_all(cache).unwrap();
    allow(cache, 0o700);
    for file in kept(&cache_folder()).1 {
        fs::copy(&file, cache.join(file.file_name().unwrap())).unwrap();
    }
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn compiled_code_is_kept_private() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("caches/cowhand");
    assert!(compiled(&cache).await);
    assert!(!compiled(&cache).await);
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(&kept(&cache).0[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn entries_unused_for_90_days_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cowhand");
    fill(&cache).await;
    let read_ago = |name: &str, days: u64| {
        let file = fs::File::create(cache.join(name)).unwrap();
        let read = std::time::SystemTime::now() - std::time::Duration::from_hours(days * 24);
        file.set_times(fs::FileTimes::new().set_accessed(read)).unwrap();
        cache.join(name)
    };
    let (old, young) = (read_ago("old.cwasm", 91), read_ago("young.cwasm", 89));
    assert!(compiled(&cache).await);
    assert!(!old.exists() && young.exists());
    assert!(!compiled(&cache).await);
}

#[tokio::test]
async fn in_case_of_doubt_a_component_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cowhand");
    fill(&cache).await;
    assert!(compiled(&cache).await);
    let file = kept(&cache).0.remove(0);
    allow(&file, 0o660);
    assert!(compiled(&cache).await, "another user could have written to the file");
    assert!(!compiled(&cache).await, "the file was replaced by a private one");
    fs::write(&file, "not compiled code").unwrap();
    allow(&file, 0o600);
    assert!(compiled(&cache).await, "the file is damaged");
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
    assert!(compiled(&cache).await, "the file is a link");
    fs::remove_file(&file).unwrap();
    allow(&cache, 0o755);
    assert!(compiled(&cache).await, "others can enter the directory");
    assert!(!file.exists(), "nothing is kept there");
}
