//! A plugin's limits on this machine, and a record of refusals.

use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{ResourceLimiter, Result};

/// Bytes that guest and host may exchange in one call, in each direction.
pub(super) const MOST_HANDED_OVER: usize = 64 << 20;
/// The most handles (open files, streams, requests) of a guest.
pub(super) const MOST_HANDLES: usize = 1024;
/// The size limit of each text in a text merge, in bytes.
pub(super) const MOST_MERGED: usize = 8 << 20;
/// The most random bytes in one request.
pub(super) const MOST_RANDOM: u64 = 1 << 20;
/// Bytes of headers in one HTTP request or response.
pub(super) const MOST_HEADERS: usize = 64 << 10;
/// Bytes of body in one HTTP request or response.
pub(super) const MOST_BODY: usize = 8 << 20;
/// Bytes that a plugin may log in one call.
pub(super) const MOST_LOGGED: usize = 256 << 10;
/// Lines that a plugin may log in one call.
pub(super) const MOST_LOG_LINES: usize = 1000;
/// Bytes that a plugin may log in one run.
const MOST_LOGGED_IN_A_RUN: usize = 16 << 20;
/// The most refusals in one call: a plugin that causes more is broken or hostile.
pub(super) const MOST_REFUSALS: usize = 4096;
/// Refusals of one call, and of one run, that are shown.
pub(super) const MOST_SHOWN_REFUSALS: usize = 64;
/// Bytes of one refusal that are shown.
pub(super) const MOST_OF_A_REFUSAL: usize = 256;
/// The most calls of a run that may time out. Each may leave a thread that waits for a file.
const MOST_TIME_OUTS: usize = 32;
/// The most elements of one table of function references. Python needs tens of thousands.
const MOST_ELEMENTS: usize = 1 << 20;
/// The most core instances, memories and tables of one component. Guests with adapters have around
/// ten.
const MOST_PARTS: usize = 200;

/// The part of a run's limits that one plugin has used.
#[derive(Debug, Default)]
pub(super) struct Spent {
    refusals: AtomicUsize,
    logged: AtomicUsize,
    time_outs: AtomicUsize,
}

impl Spent {
    /// Counts a refusal. Returns true if it should be shown.
    pub(super) fn refusal(&self) -> bool {
        self.refusals.fetch_add(1, Ordering::Relaxed) < MOST_SHOWN_REFUSALS
    }

    /// Counts bytes of the log. Returns true if they should be shown.
    pub(super) fn logs(&self, bytes: usize) -> bool {
        self.logged.fetch_add(bytes, Ordering::Relaxed) + bytes <= MOST_LOGGED_IN_A_RUN
    }

    /// Counts a call that timed out.
    pub(super) fn time_out(&self) {
        self.time_outs.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns true if so many calls timed out that the plugin is not called again.
    pub(super) fn is_hopeless(&self) -> bool {
        self.time_outs.load(Ordering::Relaxed) >= MOST_TIME_OUTS
    }
}

/// The limits of one store, with refusals and peak use.
#[derive(Debug)]
pub(super) struct Limiter {
    memory: usize,
    used: usize,
    peak: usize,
    denied: Option<String>,
}

impl Limiter {
    /// Allows this many bytes of linear memory for all memories of a component together.
    pub(super) fn new(memory: u64) -> Self {
        Self {
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            used: 0,
            peak: 0,
            denied: None,
        }
    }

    /// Bytes of linear memory in use; memories never shrink.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// Takes the refusals since the last call.
    pub(super) fn take_denied(&mut self) -> Option<String> {
        self.denied.take()
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Beyond the guest's own maximum, growth fails anyway.
            return Ok(false);
        }
        let wanted = self.used.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory {
            let limit = bytesize::ByteSize::b(self.memory as u64);
            self.denied = Some(format!("more memory than its limit of {limit}"));
            return Ok(false);
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        if desired > MOST_ELEMENTS {
            self.denied = Some(format!("a table of more than {MOST_ELEMENTS} elements"));
        }
        Ok(desired <= MOST_ELEMENTS)
    }

    fn instances(&self) -> usize {
        MOST_PARTS
    }

    fn tables(&self) -> usize {
        MOST_PARTS
    }

    fn memories(&self) -> usize {
        MOST_PARTS
    }
}
