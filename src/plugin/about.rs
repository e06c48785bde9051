//! One plugin of a site: who it is, what it may do, and how it speaks.

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

/// What does not change while a plugin is loaded.
#[derive(Clone)]
pub(super) struct About {
    /// Its name in messages.
    pub(super) name: String,
    /// Of its bytes.
    pub(super) digest: Digest,
    /// Its configuration, as JSON.
    pub(super) config: String,
    /// What it may do.
    pub(super) permissions: Arc<Permissions>,
    /// Bytes of memory.
    pub(super) memory: u64,
    /// How long a call may take.
    pub(super) time: Duration,
    /// What the site says about its failures.
    pub(super) on_failure: OnFailure,
    /// Whether nothing comes of its answers.
    pub(super) monitor: bool,
    /// Where it speaks.
    pub(super) events: Events,
    /// The text merge that it may use.
    pub(super) text_merge: Arc<dyn TextMerge>,
    /// Whether it speaks as an observer: to people, not to observers.
    pub(super) observer: bool,
    /// Whether this is a test of the plugin.
    pub(super) trial: Option<Trial>,
    /// Where what it is asked is recorded.
    pub(super) recorder: Option<Arc<Recorder>>,
    /// Its share of the run's limits that is used up.
    pub(super) spent: Arc<Spent>,
}

impl About {
    /// A line of this plugin's, for people.
    pub(super) fn note(&self, level: Level, text: &str) {
        self.emit(Event::Note { level, text: format!("{}: {text}", self.name), hint: None });
    }

    /// Says that it was refused something, with what would allow it.
    pub(super) fn refused(&self, refusal: &Refusal) {
        if !self.spent.refusal() {
            return;
        }
        let text = format!("the plugin `{}` was refused {}", self.name, refusal.what);
        self.emit(Event::Note { level: Level::Warning, text, hint: refusal.hint.clone() });
    }

    /// A plugin that failed may have missed what it requests and is not granted: WASI shows it neither files nor variables then, and
    /// does not say why.
    pub(super) fn point_out(&self, failure: Failure) -> Failure {
        let own = matches!(failure.class, Class::Error | Class::Trap) && failure.hint.is_none();
        let mut lacking = if own { self.permissions.lacking_in_silence() } else { Vec::new() };
        if lacking.is_empty() {
            return failure;
        }
        let (request, line) = lacking.swap_remove(0);
        failure.hint(format!("It requests {request}, and is not granted it. {line}"))
    }

    fn emit(&self, event: Event) {
        if self.observer {
            observer::speaking(|| self.events.emit(event));
        } else {
            self.events.emit(event);
        }
    }

    /// What comes of a failure of this class at this hook.
    pub(super) fn policy(&self, hook: Hook, class: Class) -> Policy {
        self.on_failure.at(hook, class).unwrap_or(match hook {
            Hook::Observer => Policy::Warn,
            _ => Policy::Stop,
        })
    }
}
