//! The site's stack: the engine, compose, images, changes and health. Does not depend on git or
//! plugins.

pub mod change;
pub mod changes;
pub mod compose;
pub mod container;
pub mod credentials;
pub mod disk;
mod docker_config;
pub mod endpoint;
pub mod engine;
pub mod exec;
mod failure;
pub mod images;
mod lifecycle;
mod order;
pub mod prune;
pub mod reference;
mod remembered;
pub mod resolved;
pub mod start;
pub mod validate;
pub mod verify;

pub use compose::{Compose, ComposeFiles};
pub use endpoint::Endpoint;
pub use engine::Engine;
pub use failure::LOST_LEASE;
pub use resolved::Resolved;
