//! The merge and everything around it, against git itself.

#![allow(clippy::disallowed_methods, reason = "tests open what they made")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod answers;
mod clones;
mod disk;
mod equivalence;
mod histories;
mod hostile;
mod kit;
mod local;
mod losses;
mod own;
mod releases;
mod shapes;
mod site;
mod switch;
mod things;
mod upstream;
