//! Cowhand updates a *mailcow: dockerized* installation: one fixed pipeline, WebAssembly hooks, old or new but never between.
//!
//! Read it in this order: [`pipeline`] is the product at a glance; then follow an update through the modules it calls.

pub mod cli;
pub mod config;
#[doc(hidden)]
pub mod demo;
pub mod digest;
pub mod error;
pub mod event;
pub mod exit;
pub mod fault;
pub mod files;
pub mod git;
pub mod https;
pub mod interrupt;
pub mod nearest;
pub mod path;
pub mod person;
pub mod pipeline;
pub mod plan;
pub mod plugin;
pub mod process;
pub mod redact;
pub mod report;
pub mod scaffold;
pub mod site;
pub mod stack;

/// Merges and calls of plugins make millions of small allocations, and so do libgit2 and zlib for them, which get their memory here too (the
/// feature `override`): with glibc's own, ten thousand conflicts and small merges take a quarter longer each.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
