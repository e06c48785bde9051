//! The plugin host with real components: what plugins answer, what they may do, and what becomes of those that misbehave.

#![allow(clippy::disallowed_methods, reason = "tests open what they made")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
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
