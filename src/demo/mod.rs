//! Throw-away upstreams, sites, registries and engines for `cowhand demo`, the tests and the
//! benchmarks. All of them are real.
//!
//! Everything here blocks, removes what it created when it is dropped, and uses its own names,
//! ports and networks.

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

/// Waits for a future on a new runtime. Callable from `spawn_blocking`, not from a runtime's
/// worker.
pub(crate) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .what("could not start a runtime")?
        .block_on(future)
}

/// Creates a temporary directory named after its purpose. The caller removes it.
pub(crate) fn folder(purpose: &str) -> Result<PathBuf> {
    let made = tempfile::Builder::new().prefix(&format!("cowhand-{purpose}-")).tempdir();
    Ok(made.what_with(|| format!("could not create a directory for the {purpose}"))?.keep())
}
