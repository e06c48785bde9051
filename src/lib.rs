//! Cowhand updates a *mailcow: dockerized* installation with one fixed pipeline and WebAssembly
//! hooks. The site is old or new afterwards, never between.
//!
//! Start with [`pipeline`], the product at a glance, and follow an update through its modules.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open what they made"))]

/// The command line: one file per command.
pub mod cli;
/// The configuration in `cowhand.toml`.
pub mod config;
#[cfg(feature = "demo")]
#[doc(hidden)]
pub mod demo;
/// SHA-256 digests.
pub mod digest;
/// Files below a directory handle, through no link.
pub mod dir;
/// The error type.
pub mod error;
/// Everything that a command reports.
pub mod event;
/// The exit codes.
pub mod exit;
/// Injected failures, for tests.
pub mod failpoint;
/// Durable writes to files.
pub mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
/// The repository: fetch, merge, and the switch of the working tree.
pub mod git;
/// TLS and the HTTPS client.
pub mod https;
/// Signals.
pub mod interrupt;
/// "Did you mean …?"
pub mod nearest;
/// Files that other users can change.
pub mod ownership;
/// Paths within a site.
pub mod path;
/// Questions to the operator.
pub mod person;
/// The stages, in the order of an update.
pub mod pipeline;
/// Everything that a run would do.
pub mod plan;
/// The plugin host.
pub mod plugin;
/// Foreign text made safe for a terminal.
pub mod printable;
/// Child processes.
pub mod process;
/// Secrets in output.
pub mod redact;
/// Output for people and programs.
pub mod report;
/// New plugin projects.
pub mod scaffold;
/// The site: its lock, its runs, and the files that mailcow keeps where.
pub mod site;
/// The containers: compose, the engine, images and health.
pub mod stack;
/// Traces for debugging.
pub mod trace;

/// Merges and plugin calls make millions of small allocations, also in libgit2 and zlib, which use
/// this allocator through its feature `override`. With glibc's, they take a quarter longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
