//! Posts a run's outcome to a webhook.

mod notice;
mod post;
mod send;
mod settings;

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({ path: "../../wit/v0.1", world: "observer-plugin" });
    use super::Notify;
    export!(Notify);
}

use std::cell::RefCell;

use bindings::cowhand::hooks::config;
use bindings::exports::cowhand::hooks::observer::Guest;
use notice::{Event, Outcome, Start};
use settings::Settings;

guest::requests!("../requests.json");

struct Notify;

thread_local! {
    /// The run's `start` event. `None` if this instance did not see it.
    static START: RefCell<Option<Start>> = const { RefCell::new(None) };
}

impl Guest for Notify {
    fn event(json: String) -> Result<(), String> {
        match notice::read(&json)? {
            Event::Start(start) => {
                START.set(Some(start));
                // Report mistakes in the settings before there is something to post.
                settings::read(&config::get()).map(|_| ())
            }
            Event::Outcome(outcome) => {
                announce(&settings::read(&config::get())?, START.take(), outcome)
            }
            Event::Other => Ok(()),
        }
    }
}

fn announce(settings: &Settings, start: Option<Start>, outcome: Outcome) -> Result<(), String> {
    let Some(hook) =
        settings.hook.as_ref().filter(|_| notice::is_wanted(settings, start.as_ref(), &outcome))
    else {
        return Ok(());
    };
    let token = settings.token(|name| std::env::var(name).ok())?;
    send::send(&post::post(hook, token, &notice::notice(settings, start, outcome))?)
}
