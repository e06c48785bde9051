//! The site's git side: its state, fetching, the merge in memory, and the switch of the working
//! tree. Independent of the stack and the plugins.

pub mod blob;
pub mod conflict;
pub mod history;
pub mod hold;
pub mod local;
pub mod merge;
mod oid_text;
pub mod ready;
pub mod remote;
pub mod repo;
pub mod switch;
mod transport;

pub use git2::Oid;
pub use ready::{Branch, Upstream};
pub use repo::Repo;
