//! The site's git side: its state, fetching, the merge in memory, and moving the working tree. Knows nothing of stacks or plugins.

pub mod conflict;
