//! The merge and everything around it, against git itself.

mod kit;
mod switch;
