//! The plugin host: WebAssembly components asked at the hooks, each in its own sandbox. Knows nothing of git, stacks or the pipeline.

pub mod receipt;
pub mod spec;

pub use receipt::Receipt;
