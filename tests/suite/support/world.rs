//! The engine and the registry of the suite: started when the first test asks, ended by `main`, or by their guards if it dies.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use cowhand::demo::engine::Engine;
use cowhand::demo::registry::Registry;

static ENGINE: Mutex<Option<Arc<Engine>>> = Mutex::new(None);
static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);
static HOME: LazyLock<Mutex<Option<tempfile::TempDir>>> =
    LazyLock::new(|| Mutex::new(Some(tempfile::Builder::new().prefix("cowhand-home-").tempdir().unwrap())));

/// The engine of all tests. `COWHAND_TEST_ENGINE` names one to use instead, so that a single test starts at once.
pub fn engine() -> Arc<Engine> {
    let mut engine = ENGINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let started = engine.get_or_insert_with(|| {
        Arc::new(match std::env::var("COWHAND_TEST_ENGINE") {
            Ok(host) => Engine::at(&host),
            Err(_) => Engine::private().expect("the suite's engine starts"),
        })
    });
    Arc::clone(started)
}

/// The registry of all tests, as `HOST:PORT`.
pub fn registry() -> String {
    let mut registry = REGISTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    registry.get_or_insert_with(|| Registry::start().expect("the suite's registry starts")).address().to_owned()
}

/// A home folder for the commands that are run: no settings of the person who runs the suite reach them, and plugins are
/// compiled once.
pub fn home() -> PathBuf {
    let home = HOME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    home.as_ref().map(|home| home.path().to_owned()).expect("the suite has not ended")
}

/// Ends all of it.
pub fn end() {
    for lock in [&ENGINE] {
        lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
    REGISTRY.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    HOME.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
}
