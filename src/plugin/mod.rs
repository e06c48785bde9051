//! The plugin host: WebAssembly components asked at the hooks, each in its own sandbox. Knows nothing of git, stacks or the pipeline.
//!
//! [`Plugins`] is what the pipeline uses; [`inspect`] reads a component without running it. What a plugin may do is decided in
//! one function, `grant::Permissions::authorize`.

mod about;
mod ask;
mod bindings;
mod cache;
mod chain;
mod code;
mod convert;
mod destination;
mod digest;
mod egress;
mod engine;
mod failure;
mod grant;
mod handed;
mod imports;
mod inspect;
mod instance;
mod limits;
mod load;
mod markers;
mod modes;
mod observer;
mod output;
pub mod receipt;
mod request;
mod sandbox;
mod source;
pub mod spec;
mod stock;
pub mod types;

pub use cache::Cache;
pub use digest::Digest;
pub use handed::HandedFile;
pub use inspect::{HOOKS_VERSION, Inspection, inspect};
pub use load::{Listed, Options};
pub use receipt::Receipt;
pub use request::{Capability, Request};
pub use source::{STOCK_PREFIX, read as read_source};

/// The plugins of one site, loaded, in the order in which they are asked.
pub struct Plugins {
    chain: Vec<instance::Plugin>,
    observing: Vec<observer::Observing>,
    events: crate::event::Events,
}
