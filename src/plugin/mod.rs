//! The plugin host: WebAssembly components called at the hooks, each in its own sandbox.
//! Independent of git, the stack and the pipeline.
//!
//! The pipeline uses [`Plugins`]; [`inspect`] reads a component without running it. One function
//! decides all permissions: `grant::Permissions::authorize`.

mod about;
mod allowed;
mod ask;
mod bindings;
mod cache;
pub mod case;
mod chain;
mod code;
mod compile;
mod convert;
mod destination;
mod egress;
mod engine;
mod examine;
mod failure;
pub(crate) mod fetch;
mod grant;
mod handed;
mod imports;
pub(crate) mod inspect;
mod instance;
mod limits;
mod load;
mod lockfile;
mod markers;
mod modes;
mod observer;
mod output;
mod policy;
pub mod receipt;
mod request;
mod root_approvals;
mod sandbox;
mod signature;
mod sockets;
mod source;
pub mod spec;
mod stock;
mod trial;
mod trust;
pub mod types;

pub use crate::digest::Digest;
pub use allowed::{Allowed, bytes as shown_bytes};
pub use cache::Cache;
pub use compile::{COMMAND as COMPILE, Compiler, compile_input};
pub use examine::Examined;
pub use fetch::{Fetched, Login, fetch};
pub use handed::HandedFile;
pub use inspect::{HOOKS_VERSION, Inspection, inspect};
pub use load::{Options, unnamed_stock};
pub use lockfile::{Approved, LOCK_FILE, LockFile};
pub use policy::{OnFailure, Policy};
pub use receipt::Receipt;
pub use request::{Capability, Request};
pub use root_approvals::RootApprovals;
pub use source::{STOCK_PREFIX, Source, demand, fetched_path, read_source};
pub use trust::{Approval, Policy as TrustPolicy, Standing, Trust};

/// The loaded plugins of one site, in the order of the calls.
pub struct Plugins {
    chain: Vec<instance::Plugin>,
    observing: Vec<observer::Observing>,
    events: crate::event::Events,
}
