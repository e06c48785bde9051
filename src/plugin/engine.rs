//! The process's engine, and the clock that interrupts guests.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wasmtime::{Config, Engine};

use crate::error::{Context, Error, Result};

/// The interval at which a computing guest yields, so that time limits and other tasks are served.
const TICK: Duration = Duration::from_millis(10);

/// Returns the engine, which the first call builds.
pub(super) fn engine() -> Result<&'static Engine> {
    static ENGINE: OnceLock<Result<Engine, Error>> = OnceLock::new();
    ENGINE.get_or_init(|| build(false)).as_ref().map_err(Clone::clone)
}

/// Builds an engine and starts its clock. With `fuel`, it counts the fuel of guests.
pub(super) fn build(fuel: bool) -> Result<Engine> {
    let engine = Engine::new(&configured(fuel)).what("could not set up the WebAssembly engine")?;
    let clock = engine.clone();
    let spawned =
        std::thread::Builder::new().name("plugin-clock".to_owned()).spawn(move || tick(&clock));
    spawned.what("could not start the plugins' clock")?;
    Ok(engine)
}

/// Returns the configuration of every engine, so that one can load the code of another.
pub(super) fn configured(fuel: bool) -> Config {
    let mut config = Config::new();
    // WASI 0.3 is off: without it a call costs less than half.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.consume_fuel(fuel);
    config
}

/// The calls in progress.
struct Calls {
    running: usize,
    /// True if the clock is stopped because no call is in progress.
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
    /// Registers a call.
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
