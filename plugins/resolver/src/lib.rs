//! Code that the resolvers share: the contract's bindings, path patterns, and the three sides as
//! texts.

mod ends;
mod names;
mod sides;

pub mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "conflict-resolver-plugin",
        pub_export_macro: true,
        default_bindings_module: "resolver::bindings",
    });
}

pub use bindings::cowhand::hooks::types::Favor;
pub use bindings::cowhand::hooks::{config, log};
pub use bindings::exports::cowhand::hooks::conflict_resolver::{
    Collision, Conflict, Guest, Kind, Mode, Replacement, Resolution, Version,
};
pub use ends::Ends;
pub use names::{Pattern, Patterns};
pub use sides::{Sides, TextMerge, text_merge};
