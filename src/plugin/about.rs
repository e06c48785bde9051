//! One plugin of a site: its identity, its permissions, and its voice.

use std::sync::Arc;
use std::time::Duration;

use super::case::Recorder;
use super::grant::{Permissions, Refusal};
use super::limits::Spent;
use super::observer;
use super::policy::{OnFailure, Policy};
use super::receipt::{Class, Failure};
use super::spec::Hook;
use super::trial::Trial;
use super::types::TextMerge;
use crate::digest::Digest;
use crate::event::{Event, Events, Level};

/// The properties of a loaded plugin that do not change.
#[derive(Clone)]
pub(super) struct About {
    /// Its name in messages.
    pub(super) name: String,
    /// The digest of its bytes.
    pub(super) digest: Digest,
    /// Its configuration, as JSON.
    pub(super) config: String,
    /// Its permissions.
    pub(super) permissions: Arc<Permissions>,
    /// Its memory limit, in bytes.
    pub(super) memory: u64,
    /// The time limit of a call.
    pub(super) time: Duration,
    /// The site's policy for its failures.
    pub(super) on_failure: OnFailure,
    /// True if its answers have no effect.
    pub(super) monitor: bool,
    /// The destination of its messages.
    pub(super) events: Events,
    /// The text merge for resolvers.
    pub(super) text_merge: Arc<dyn TextMerge>,
    /// True if it is an observer: its messages go to people, not to observers.
    pub(super) observer: bool,
    /// True if this is a test of the plugin.
    pub(super) trial: Option<Trial>,
    /// The recorder of its calls.
    pub(super) recorder: Option<Arc<Recorder>>,
    /// The part of the run's limits that it has used.
    pub(super) spent: Arc<Spent>,
}

impl About {
    /// Emits one of the plugin's messages.
    pub(super) fn note(&self, level: Level, text: &str) {
        self.emit(Event::Note { level, text: format!("{}: {text}", self.name), hint: None });
    }

    /// Reports a refusal, with the grant that would allow it.
    pub(super) fn refused(&self, refusal: &Refusal) {
        if !self.spent.refusal() {
            return;
        }
        let text = format!("the plugin `{}` was refused {}", self.name, refusal.what);
        self.emit(Event::Note { level: Level::Warning, text, hint: refusal.hint.clone() });
    }

    /// Names requests that are not granted when a plugin fails: WASI shows it neither the files nor
    /// the variables, and gives no reason.
    pub(super) fn point_out(&self, failure: Failure) -> Failure {
        let own = matches!(failure.class, Class::Error | Class::Trap) && failure.hint.is_none();
        let mut lacking = if own { self.permissions.lacking_in_silence() } else { Vec::new() };
        if lacking.is_empty() {
            return failure;
        }
        let (request, line) = lacking.swap_remove(0);
        failure.hint(format!("It requests {request}, which is not granted. {line}"))
    }

    fn emit(&self, event: Event) {
        if self.observer {
            observer::speaking(|| self.events.emit(event));
        } else {
            self.events.emit(event);
        }
    }

    /// Returns the consequence of a failure of this class at this hook.
    pub(super) fn policy(&self, hook: Hook, class: Class) -> Policy {
        self.on_failure.at(hook, class).unwrap_or(match hook {
            Hook::Observer => Policy::Warn,
            _ => Policy::Stop,
        })
    }
}
