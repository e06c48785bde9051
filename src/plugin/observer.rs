//! Observers: plugins that see every event of a run and cannot delay it. Each has its own task and
//! bounded queue.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Plugins;
use super::about::About;
use super::instance::{Plugin, Record};
use super::limits::MOST_SHOWN_REFUSALS;
use super::policy::Policy;
use super::receipt::{Class, Failure, Receipt};
use super::spec::Hook;
use crate::event::{Event, Sink};

/// The most events that wait for one observer. An event has a few hundred bytes.
const QUEUE: usize = 1024;
/// The number of failures in a row after which an observer gets only the outcome.
const PATIENCE: u32 = 3;

/// A running observer.
pub(super) struct Observing {
    queue: Sender<Message>,
    task: JoinHandle<()>,
    dropped: Arc<AtomicU64>,
    /// One receipt for all calls, updated as they happen.
    receipt: Arc<Mutex<Receipt>>,
    about: Arc<About>,
}

enum Message {
    Event(Arc<str>),
    /// The outcome, which is the last event.
    Last(Arc<str>),
}

thread_local! {
    /// True while this thread emits an observer's message. Those go to people and not to observers:
    /// two of them would talk to each other forever.
    static OBSERVER_SPEAKS: Cell<bool> = const { Cell::new(false) };
}

/// Emits an event that an observer caused.
pub(super) fn speaking(emit: impl FnOnce()) {
    OBSERVER_SPEAKS.set(true);
    emit();
    OBSERVER_SPEAKS.set(false);
}

/// Puts each event into the observers' queues. A full queue drops and counts events.
struct Feed(Vec<(Sender<Message>, Arc<AtomicU64>)>);

impl Sink for Feed {
    fn event(&mut self, event: &Event) {
        // The outcome has its own channel, which no full queue can block.
        let left_out =
            matches!(event, Event::Progress { finished: false, .. } | Event::Outcome { .. });
        if left_out || OBSERVER_SPEAKS.get() {
            return;
        }
        let Some(json) = as_told(event) else { return };
        let json: Arc<str> = json.into();
        for (queue, dropped) in &self.0 {
            if let Err(tokio::sync::mpsc::error::TrySendError::Full(_)) =
                queue.try_send(Message::Event(Arc::clone(&json)))
            {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Returns the JSON of an event for plugins that send it elsewhere. Local lines are replaced by
/// their number: no redactor knows the secrets in the site's files.
fn as_told(event: &Event) -> Option<String> {
    let mut json = serde_json::to_value(event).ok()?;
    if let Event::Plan(plan) = event
        && let Some(merge) = &plan.merge
        && let Some(told) = json.get_mut("merge").and_then(Value::as_object_mut)
    {
        let lost_lines: usize = merge.losses.iter().map(|loss| loss.lines.len()).sum();
        told.insert("conflicts".to_owned(), merge.conflicts.len().into());
        told.insert(
            "losses".to_owned(),
            json!({ "files": merge.losses.len(), "lines": lost_lines }),
        );
    }
    Some(json.to_string())
}

impl Plugins {
    /// Starts the observers. `None` if there are none. The sink is for
    /// [`crate::event::Events::add_from_the_start`].
    pub fn observe(&mut self) -> Option<Box<dyn Sink>> {
        let observers = self.chain.iter().filter(|plugin| plugin.has(Hook::Observer));
        self.observing = observers.map(|plugin| start(plugin.as_observer())).collect();
        let queues = self.observing.iter().map(|one| (one.queue.clone(), Arc::clone(&one.dropped)));
        let feed: Vec<_> = queues.collect();
        (!feed.is_empty()).then(|| Box::new(Feed(feed)) as Box<dyn Sink>)
    }

    /// Passes the outcome to the observers, waits for them for at most `limit`, and emits their
    /// receipts and failures. The caller emits the outcome afterwards, so that it is the last event
    /// for every sink.
    pub async fn finish_observers(&mut self, outcome: &Event, limit: Duration) {
        let outcome = self.events.redactor().event(outcome.clone());
        let Ok(json) = serde_json::to_string(&outcome) else { return };
        let json: Arc<str> = json.into();
        let deadline = Instant::now() + limit;
        for one in &self.observing {
            let _ =
                tokio::time::timeout_at(deadline, one.queue.send(Message::Last(Arc::clone(&json))))
                    .await;
        }
        for one in std::mem::take(&mut self.observing) {
            self.finish(one, deadline, limit).await;
        }
    }

    async fn finish(&self, mut one: Observing, deadline: Instant, limit: Duration) {
        let late = tokio::time::timeout_at(deadline, &mut one.task).await.is_err();
        one.task.abort();
        let mut receipt = one.receipt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if late {
            let message = format!("it did not finish within {limit:?} after the end of the run");
            receipt.failure = Some(Failure::new(Class::TimeOut, message));
        }
        let name = &receipt.plugin;
        let said =
            receipt.failure.as_ref().map(|failure| one.about.policy(Hook::Observer, failure.class));
        if let (Some(failure), Some(Policy::Warn | Policy::Stop)) = (&receipt.failure, said) {
            let what = format!(
                "the observer `{name}` failed ({}): {}",
                failure.class.name(),
                failure.message
            );
            self.events.warn(what, failure.hint.clone());
        }
        let dropped = one.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            self.events.warn(
                format!("the observer `{name}` was too slow and missed {dropped} events"),
                None,
            );
        }
        self.events.emit(Event::Plugin(Box::new(receipt)));
    }
}

fn start(plugin: Plugin) -> Observing {
    let (queue, messages) = channel(QUEUE);
    let receipt =
        Arc::new(Mutex::new(plugin.receipt(Record::blank(Hook::Observer), Ok(String::new()))));
    let about = Arc::clone(&plugin.about);
    let task = tokio::spawn(serve(plugin, messages, Arc::clone(&receipt)));
    Observing { queue, task, dropped: Arc::default(), receipt, about }
}

async fn serve(mut plugin: Plugin, mut messages: Receiver<Message>, total: Arc<Mutex<Receipt>>) {
    let mut failures = 0;
    while let Some(message) = messages.recv().await {
        let (json, last) = match message {
            Message::Event(json) => (json, false),
            Message::Last(json) => (json, true),
        };
        if failures < PATIENCE || last {
            let receipt = plugin.tell_observer(&json).await;
            failures = if receipt.failure.is_some() { failures + 1 } else { 0 };
            total.lock().unwrap_or_else(PoisonError::into_inner).add(receipt);
        }
        if last {
            break;
        }
    }
}

impl Receipt {
    /// Adds another call to this one.
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.micros += other.micros;
        self.memory = self.memory.max(other.memory);
        self.answer = other.answer.or(self.answer.take());
        self.failure = other.failure.or(self.failure.take());
        for refusal in other.refusals {
            if self.refusals.len() < MOST_SHOWN_REFUSALS && !self.refusals.contains(&refusal) {
                self.refusals.push(refusal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::conflict::{Decision, Kind, Loss, LostLine, Resolution, Was};
    use crate::plan::{MergePlan, Plan};

    #[test]
    fn of_local_changes_observers_get_the_number() {
        let path = "data/conf/dovecot/ldap/passdb.conf";
        let line = |line| LostLine { line, was: Was::Added, text: "dnpass = hunter2".to_owned() };
        let decision = Decision {
            path: path.into(),
            kind: Kind::Content,
            collision: None,
            plugin: "stock-conflicts".to_owned(),
            resolution: Resolution::Theirs,
        };
        let [base, ours, theirs, tree] = ["base", "ours", "theirs", "tree"].map(str::to_owned);
        let losses = vec![Loss { path: path.into(), lines: vec![line(1), line(2)] }];
        let merge = MergePlan { base, ours, theirs, tree, conflicts: vec![decision], losses };
        let plan = Plan { merge: Some(merge), down: vec!["net".to_owned()], ..Plan::default() };
        let told = as_told(&Event::Plan(Box::new(plan))).unwrap();
        assert!(!told.contains("ldap") && !told.contains("dnpass"), "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["event"], &told["down"][0]), (&json!("plan"), &json!("net")));
        assert_eq!(told["merge"]["tree"], "tree");
        assert_eq!(told["merge"]["conflicts"], 1);
        assert_eq!(told["merge"]["losses"], json!({ "files": 1, "lines": 2 }));
    }
}
