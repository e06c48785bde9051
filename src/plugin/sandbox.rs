//! The environment of one instance: its limits, its part of WASI, and its output.

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::about::About;
use super::egress::{Egress, Refusals};
use super::failure::LimitReached;
use super::grant::{Refusal, Wish};
use super::limits::{
    Limiter, MOST_HANDED_OVER, MOST_HANDLES, MOST_HEADERS, MOST_LOG_LINES, MOST_LOGGED, MOST_RANDOM,
};
use super::output::Tail;
use super::types::Blobs;
use crate::event::Level;
use crate::printable::{MOST_OF_A_TEXT, cut};

/// The host's side of one instance.
pub(super) struct State {
    pub(super) about: Arc<About>,
    pub(super) limiter: Limiter,
    /// The end of its standard error.
    pub(super) tail: Tail,
    /// The refusals of this call.
    pub(super) refusals: Refusals,
    /// The sides of the current conflict.
    pub(super) blobs: Option<Arc<dyn Blobs>>,
    logged: usize,
    lines: usize,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    egress: Egress,
}

impl State {
    /// Returns a new sandbox for this plugin.
    pub(super) fn store(engine: &Engine, about: &Arc<About>) -> wasmtime::Result<Store<Self>> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(MOST_HEADERS);
        let (tail, refusals) = (Tail::default(), Refusals::default());
        let state = Self {
            about: Arc::clone(about),
            limiter: Limiter::new(about.memory),
            wasi: wasi(about, &tail)?,
            tail,
            egress: Egress::new(Arc::clone(&about.permissions), refusals.clone()),
            refusals,
            blobs: None,
            logged: 0,
            lines: 0,
            table,
            http,
        };
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(MOST_HANDED_OVER);
        // The guest yields at each tick; the caller enforces the time limit.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok(store)
    }

    /// Resets the limits of a call.
    pub(super) fn begin(&mut self) {
        (self.logged, self.lines) = (0, 0);
        self.tail.take();
    }

    /// Logs the guest's standard output and error.
    pub(super) fn tell_output(&self) {
        let output = self.tail.take();
        if !output.is_empty() && self.about.spent.logs(output.len()) {
            self.about.note(Level::Debug, &shown(&output));
        }
    }

    /// Takes the refusals since the last call.
    pub(super) fn take_refusals(&self) -> (Vec<Refusal>, usize) {
        self.refusals.take()
    }

    /// Sets the sides of the current conflict.
    pub(super) fn blobs(&self) -> wasmtime::Result<Arc<dyn Blobs>> {
        self.blobs
            .clone()
            .ok_or_else(|| wasmtime::Error::msg("it reads a blob outside of its call"))
    }

    /// Emits a line of the plugin's log. Beyond the limit the call ends.
    pub(super) fn say(&mut self, level: Level, text: &str) -> wasmtime::Result<()> {
        self.logged += text.len();
        self.lines += 1;
        if self.logged > MOST_LOGGED || self.lines > MOST_LOG_LINES {
            let limit = bytesize::ByteSize::b(MOST_LOGGED as u64);
            let what = format!(
                "it logged more than the limit of {limit} or {MOST_LOG_LINES} lines in one call"
            );
            return Err(LimitReached(what).into());
        }
        if !self.about.spent.logs(text.len()) {
            return Err(LimitReached("it logged more than the limit of one run".to_owned()).into());
        }
        self.about.note(level, &shown(text));
        Ok(())
    }
}

/// Cuts a log line. The sinks make it safe for terminals.
fn shown(text: &str) -> String {
    cut(text.trim_end().to_owned(), MOST_OF_A_TEXT)
}

/// Returns the guest's WASI: clocks and random numbers, granted directories and environment
/// variables, and nothing else.
fn wasi(about: &About, tail: &Tail) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(tail.clone()).stderr(tail.clone()).max_random_size(MOST_RANDOM);
    wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    for folder in &about.permissions.read {
        if about.permissions.authorize(&Wish::Read(folder)).is_ok() {
            wasi.preopened_dir(folder.path_by_handle(), &folder.seen_as, FsPerms::ReadOnly)?;
        }
    }
    for name in &about.permissions.env {
        if let (Ok(()), Ok(value)) =
            (about.permissions.authorize(&Wish::Env(name)), std::env::var(name))
        {
            wasi.env(name, value);
        }
    }
    if let Some(trial) = about.trial {
        trial.steady(&mut wasi);
    }
    Ok(wasi.build())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.egress }
    }
}

/// Adds everything that a component may import. All of WASI 0.2 is there, since guest languages
/// import what they do not use; the sandbox denies what is not granted.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    super::sockets::close(&mut linker)?;
    super::imports::add_to_linker(&mut linker)?;
    Ok(linker)
}
