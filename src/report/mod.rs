//! Output for people and programs. Everything here is a sink of events and knows nothing else.

mod json;
mod line;
mod log;
mod queue;
mod terminal;
mod text;

pub use json::JsonLines;
pub use log::RunLog;
pub use queue::{Paced, Pulse, Queued};
pub use terminal::Terminal;

#[cfg(test)]
mod tests;
