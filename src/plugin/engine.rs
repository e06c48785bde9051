//! The one engine of the process, and the clock that stops guests which loop.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
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
    let mut config = Config::new();
    // WASI 0.3 is not offered; without it a call costs less than half.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(fuel);
    let engine = Engine::new(&config).what("could not set up the WebAssembly engine")?;
    let clock = engine.clone();
    let spawned = std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || tick(&clock));
    spawned.what("could not start the clock that stops plugins which loop")?;
    Ok(engine)
}

/// How many calls are under way. The clock stands still while there are none, so that waiting for a pull wakes nobody.
static RUNNING: Mutex<usize> = Mutex::new(0);
static STARTED: Condvar = Condvar::new();

/// Keeps the clock ticking while it lives.
pub(super) struct Ticking;

impl Ticking {
    /// A call begins.
    pub(super) fn new() -> Self {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        if *running == 1 {
            STARTED.notify_all();
        }
        Self
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

fn tick(engine: &Engine) {
    loop {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        while *running == 0 {
            running = STARTED.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        drop(running);
        std::thread::sleep(TICK);
        engine.increment_epoch();
    }
}
