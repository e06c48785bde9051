//! What people and programs see of a run. Everything here is a sink of events and knows nothing else.

mod json;
mod log;
mod terminal;
mod text;

pub use json::JsonLines;
pub use log::RunLog;
pub use terminal::Terminal;
