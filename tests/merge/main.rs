//! The merge and everything around it, against git itself.

mod equivalence;
mod kit;
mod switch;
