//! Keeps images and volumes that prune would remove.

mod choice;
mod settings;

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({ path: "../../wit/v0.1", world: "pre-prune-plugin" });
    use super::KeepImages;
    export!(KeepImages);
}

use bindings::cowhand::hooks::config;
use bindings::exports::cowhand::hooks::pre_prune::{Candidates, Guest, Keep};

struct KeepImages;

impl Guest for KeepImages {
    fn choose(candidates: Candidates) -> Result<Vec<Keep>, String> {
        Ok(choice::keep(&guest::settings(&config::get())?, &candidates))
    }
}
