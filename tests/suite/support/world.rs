//! The engine and the registry of the suite: started when the first test asks, ended by `main`, or
//! by their guards if it dies.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use cowhand::demo::engine::Engine;
use cowhand::demo::registry::Registry;

static ENGINE: Mutex<Option<Arc<Engine>>> = Mutex::new(None);
static REGISTRY: Mutex<Option<Registry>> = Mutex::new(None);
static HOME: LazyLock<Mutex<Option<tempfile::TempDir>>> = LazyLock::new(|| {
    Mutex::new(Some(tempfile::Builder::new().prefix("cowhand-home-").tempdir().unwrap()))
});

/// The engine of all tests. `COWHAND_TEST_ENGINE` names one to use instead, so that a single test
/// starts at once.
pub fn engine() -> Arc<Engine> {
    let mut engine = held(&ENGINE);
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
    let mut registry = held(&REGISTRY);
    registry
        .get_or_insert_with(|| Registry::start().expect("the suite's registry starts"))
        .address()
        .to_owned()
}

/// A home folder for the commands that are run: no settings of the person who runs the suite reach
/// them.
pub fn home() -> PathBuf {
    let home = held(&HOME);
    home.as_ref().map(|home| home.path().to_owned()).expect("the suite has not ended")
}

/// Ends all of it.
pub fn end() {
    held(&ENGINE).take();
    held(&REGISTRY).take();
    held(&HOME).take();
}

/// A test that failed while it held a lock must not take the others with it.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
