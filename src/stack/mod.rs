//! The site's running side: the engine, compose, images, what must change, and whether it is well. Knows nothing of git or plugins.

pub mod change;
