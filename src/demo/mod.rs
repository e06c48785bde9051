//! Throw-away upstreams, sites, registries and engines, all of them real: for `cowhand demo`, the tests and the benchmarks.
//!
//! Everything here is blocking, takes away what it made when it is dropped, and keeps to names, ports and networks of its own.

#![allow(clippy::disallowed_methods, reason = "fixtures open what they made")]

pub mod certificate;
pub mod engine;
pub mod http;
pub mod https;
pub mod images;
pub mod registry;
pub mod site;
pub mod slot;
mod story;
pub mod upstream;
pub mod watch;

use std::path::PathBuf;

use crate::error::{Context, Result};

pub use story::run;

/// Waits for a future on a runtime of its own. Not to be called from within a runtime's worker; from `spawn_blocking` it may be.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .what("could not start a runtime")?
        .block_on(future)
}

/// A new temporary folder whose name says what it is for. Whoever asked for it takes it away.
pub(crate) fn folder(purpose: &str) -> Result<PathBuf> {
    let made = tempfile::Builder::new().prefix(&format!("cowhand-{purpose}-")).tempdir();
    Ok(made.what_with(|| format!("could not make a folder for the {purpose}"))?.keep())
}
