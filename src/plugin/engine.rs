//! The one engine of the process, and the clock that stops guests which loop.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::{Config, Engine};

use crate::error::{Context, Error, Result};

/// How often a guest that computes hands the thread back, so that time limits and other work are seen to.
const TICK: Duration = Duration::from_millis(10);

/// The engine; built at the first call.
pub(super) fn engine() -> Result<&'static Engine> {
    static ENGINE: OnceLock<Result<Engine, Error>> = OnceLock::new();
    ENGINE.get_or_init(|| build(false)).as_ref().map_err(Clone::clone)
}

/// Builds an engine and starts its clock; with `fuel`, it counts what guests use.
pub(super) fn build(fuel: bool) -> Result<Engine> {
    let engine = Engine::new(&configured(fuel)).what("could not set up the WebAssembly engine")?;
    let clock = engine.clone();
    let spawned =
        std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || tick(&clock));
    spawned.what("could not start the clock that stops plugins which loop")?;
    Ok(engine)
}

/// Returns how every engine is configured, so that what one compiles another can load.
pub(super) fn configured(fuel: bool) -> Config {
    let mut config = Config::new();
    // WASI 0.3 is not offered; without it a call costs less than half.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(fuel);
    config
}

/// The calls under way.
struct Calls {
    running: usize,
    /// Whether the clock stands still because there were none: waiting for a pull wakes nobody.
    still: bool,
}

static CALLS: Mutex<Calls> = Mutex::new(Calls { running: 0, still: false });
static STARTED: Condvar = Condvar::new();

fn lock_calls() -> MutexGuard<'static, Calls> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the clock ticking while it lives.
pub(super) struct Ticking;

impl Ticking {
    /// A call begins.
    pub(super) fn new() -> Self {
        let mut calls = lock_calls();
        calls.running += 1;
        if calls.still {
            STARTED.notify_all();
        }
        Self
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        lock_calls().running -= 1;
    }
}

fn tick(engine: &Engine) {
    loop {
        let mut calls = lock_calls();
        while calls.running == 0 {
            calls.still = true;
            calls = STARTED.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
        calls.still = false;
        drop(calls);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}
