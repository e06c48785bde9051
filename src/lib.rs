//! Cowhand updates a *mailcow: dockerized* installation: one fixed pipeline, WebAssembly hooks, old or new but never between.
//!
//! Read it in this order: [`pipeline`] is the product at a glance; then follow an update through the modules it calls.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open what they made"))]

pub mod cli;
pub mod config;
#[cfg(feature = "demo")]
#[doc(hidden)]
pub mod demo;
pub mod digest;
pub mod dir;
pub mod error;
pub mod event;
pub mod exit;
pub mod failpoint;
pub mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod git;
pub mod https;
pub mod interrupt;
pub mod nearest;
pub mod ownership;
pub mod path;
pub mod person;
pub mod pipeline;
pub mod plan;
pub mod plugin;
pub mod printable;
pub mod process;
pub mod redact;
pub mod report;
pub mod scaffold;
pub mod site;
pub mod stack;
pub mod trace;

/// Merges and calls of plugins make millions of small allocations, and so do libgit2 and zlib for them, which get their memory here too (the
/// feature `override`): with glibc's own, ten thousand conflicts and small merges take a quarter longer each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
