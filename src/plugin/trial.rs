//! Tests of a plugin: fuel is counted, and clocks and random numbers are deterministic.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{Deterministic, HostMonotonicClock, HostWallClock, WasiCtxBuilder};

use super::engine;
use super::sandbox::State;
use crate::error::{Error, Result};

/// The fuel of a call, about one per instruction, which no sensible plugin uses up. Loops end here,
/// at the same point each time.
const MOST_FUEL: u64 = 20_000_000_000;

/// A running test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// The time of WASI's clock.
    pub(super) now: Timestamp,
}

impl Trial {
    /// Returns the engine that counts fuel, which the first call builds.
    pub(super) fn engine() -> Result<&'static Engine> {
        static ENGINE: OnceLock<Result<Engine, Error>> = OnceLock::new();
        ENGINE.get_or_init(|| engine::build(true)).as_ref().map_err(Clone::clone)
    }

    /// Sets the fuel of a call.
    pub(super) fn fill(store: &mut Store<State>) -> wasmtime::Result<()> {
        store.set_fuel(MOST_FUEL)
    }

    /// Returns the fuel used since then.
    pub(super) fn used(store: &Store<State>) -> u64 {
        store.get_fuel().map_or(0, |left| MOST_FUEL - left)
    }

    /// Returns clocks and random numbers that are the same in every test.
    pub(super) fn steady(self, wasi: &mut WasiCtxBuilder) {
        let dice = || {
            Deterministic::new(
                (0..=u8::MAX).map(|number| number.wrapping_mul(167).wrapping_add(13)).collect(),
            )
        };
        wasi.secure_random(dice()).insecure_random(dice()).insecure_random_seed(7);
        wasi.wall_clock(Stopped(self.now)).monotonic_clock(Counting::default());
    }
}

struct Stopped(Timestamp);

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::try_from(self.0.as_duration()).unwrap_or_default()
    }
}

/// Each reading takes a microsecond.
#[derive(Default)]
struct Counting(AtomicU64);

impl HostMonotonicClock for Counting {
    fn resolution(&self) -> u64 {
        1000
    }

    fn now(&self) -> u64 {
        self.0.fetch_add(1000, Ordering::Relaxed)
    }
}
