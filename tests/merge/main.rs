//! The merge and everything around it, against git itself.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod equivalence;
mod kit;
mod shapes;
mod site;
mod switch;
mod upstream;
