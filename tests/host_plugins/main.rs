//! Tests of the plugin host with real components: answers, permissions, and plugins that misbehave.

#![allow(clippy::disallowed_methods, reason = "tests open files that they created")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot continue has failed"
)]

mod kit;
#[path = "../../build/toolchain.rs"]
mod toolchain;

mod answers;
mod contract;
mod guide;
mod hostile;
mod loading;
mod observers;
mod reach;
mod stock;
mod wit;
