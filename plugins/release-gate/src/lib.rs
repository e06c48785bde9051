//! Holds updates back: outside maintenance windows, until a commit is old enough, or at a tag.

mod gate;
mod settings;
mod window;

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({ path: "../../wit/v0.1", world: "pre-merge-plugin" });
    use super::ReleaseGate;
    export!(ReleaseGate);
}

use bindings::cowhand::hooks::config;
use bindings::exports::cowhand::hooks::pre_merge::{Answer, Guest, Update};

struct ReleaseGate;

impl Guest for ReleaseGate {
    fn check(update: Update) -> Result<Answer, String> {
        Ok(gate::answer(&settings::read(&config::get())?, &update))
    }
}
