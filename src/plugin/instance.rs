//! One plugin: instantiated as often as necessary, and called within its limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Store;

use super::about::About;
use super::bindings::Hooks;
use super::code::Code;
use super::engine::Ticking;
use super::failure::{LimitReached, classify};
use super::inspect::Inspection;
use super::limits::MOST_REFUSALS;
use super::receipt::{Class, Failure, Receipt};
use super::sandbox::State;
use super::spec::Hook;
use super::trial::Trial;
use crate::event::Event;

/// The most calls of one instance: a guest language's memory grows with each call.
const MOST_CALLS: u64 = 1000;

/// A plugin that can be called.
pub(super) struct Plugin {
    pub(super) about: Arc<About>,
    pub(super) inspection: Inspection,
    code: Arc<Code>,
    /// An idle instance that has behaved so far.
    idle: Option<Session>,
}

/// A live instance.
pub(super) struct Session {
    pub(super) store: Store<State>,
    pub(super) hooks: Hooks,
    calls: u64,
}

/// The cost of a call.
pub(super) struct Record {
    pub(super) hook: Hook,
    pub(super) calls: u64,
    pub(super) took: Duration,
    pub(super) memory: u64,
    /// Counted in tests only.
    pub(super) fuel: Option<u64>,
    pub(super) refusals: Vec<String>,
}

impl Record {
    /// The cost of a hook that was not called yet.
    pub(super) fn blank(hook: Hook) -> Self {
        Self { hook, calls: 0, took: Duration::ZERO, memory: 0, fuel: None, refusals: Vec::new() }
    }
}

impl Plugin {
    /// Returns a plugin that starts at its first call.
    pub(super) fn new(about: About, inspection: Inspection, code: Code) -> Self {
        Self::of(about, inspection, Arc::new(code))
    }

    /// Returns one of several plugins that share their code.
    pub(super) fn of(about: About, inspection: Inspection, code: Arc<Code>) -> Self {
        Self { about: Arc::new(about), inspection, code, idle: None }
    }

    /// Starts the plugin now, to find one that cannot work.
    pub(super) async fn start(&mut self) -> Result<(), Failure> {
        self.idle = Some(self.instantiate().await?);
        Ok(())
    }

    /// Returns the same plugin for another task.
    pub(super) fn as_observer(&self) -> Self {
        let about = About { observer: true, ..(*self.about).clone() };
        Self {
            about: Arc::new(about),
            inspection: self.inspection.clone(),
            code: Arc::clone(&self.code),
            idle: None,
        }
    }

    /// Returns true if the plugin exports this hook.
    pub(super) fn has(&self, hook: Hook) -> bool {
        self.inspection.hooks.contains(&hook)
    }

    async fn instantiate(&mut self) -> Result<Session, Failure> {
        let _ticking = Ticking::new();
        let unavailable =
            |error: wasmtime::Error| Failure::new(Class::Unavailable, format!("{error:#}"));
        let ready = self.code.ready(&self.about).await;
        let pre = ready.map_err(|error| Failure::new(Class::Unavailable, error.summary()))?;
        let mut store = State::store(pre.engine(), &self.about).map_err(unavailable)?;
        if self.about.trial.is_some() {
            Trial::fill(&mut store).map_err(unavailable)?;
        }
        let instantiated =
            tokio::time::timeout(self.about.time, pre.instantiate_async(&mut store)).await;
        let instance = match instantiated {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => {
                let state = store.data_mut();
                let failure = classify(&error, state.limiter.take_denied(), &state.tail.take());
                return Err(Failure {
                    message: format!("it does not start: {}", failure.message),
                    ..failure
                });
            }
            Err(_) => return Err(Failure::time_out(self.about.time)),
        };
        let hooks = Hooks::load(&self.inspection.hooks, &pre, &mut store, &instance)
            .map_err(unavailable)?;
        Ok(Session { store, hooks, calls: 0 })
    }

    /// Calls the plugin in the idle instance or a new one, within its time limit. An instance that
    /// failed is never entered again; with `keep`, one that behaved serves the next call too.
    #[tracing::instrument(name = "plugin", level = "debug", skip_all, fields(name = %self.about.name, hook = hook.name()))]
    pub(super) async fn call<T>(
        &mut self,
        hook: Hook,
        keep: bool,
        ask: impl AsyncFnOnce(&mut Session) -> wasmtime::Result<Result<T, String>>,
    ) -> (Result<T, Failure>, Record) {
        let begun = Instant::now();
        let mut record = Record { calls: 1, ..Record::blank(hook) };
        let _ticking = Ticking::new();
        if self.about.spent.is_hopeless() {
            let what = "it timed out too often in this run and is not called again";
            return (Err(Failure::new(Class::Unavailable, what)), record);
        }
        let session = match self.idle.take() {
            Some(session) => Ok(session),
            None => self.instantiate().await,
        };
        let answer = match session {
            Ok(session) => self.enter(session, keep, ask, &mut record).await,
            Err(failure) => Err(failure),
        };
        record.took = begun.elapsed();
        tracing::debug!(took = ?record.took, answered = answer.is_ok(), "call ended");
        (answer.map_err(|failure| self.about.point_out(failure)), record)
    }

    async fn enter<T>(
        &mut self,
        mut session: Session,
        keep: bool,
        ask: impl AsyncFnOnce(&mut Session) -> wasmtime::Result<Result<T, String>>,
        record: &mut Record,
    ) -> Result<T, Failure> {
        session.calls += 1;
        session.store.data_mut().begin();
        if self.about.trial.is_some() {
            Trial::fill(&mut session.store)
                .map_err(|error| Failure::new(Class::Unavailable, error.to_string()))?;
        }
        let refusals = session.store.data().refusals.clone();
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(self.about.time, ask(&mut session)) => outcome,
            () = refusals.flood() => {
                let what = format!("it was refused more than the limit of {MOST_REFUSALS} times");
                Ok(Err(LimitReached(what).into()))
            }
        };
        record.fuel = self.about.trial.map(|_| Trial::used(&session.store));
        let state = session.store.data_mut();
        state.blobs = None;
        record.memory = state.limiter.peak() as u64;
        let (refused, more) = state.take_refusals();
        for refusal in refused {
            self.about.refused(&refusal);
            record.refusals.push(refusal.what);
        }
        if more > 0 {
            record.refusals.push(format!("and {more} more"));
        }
        match outcome {
            Ok(Ok(answer)) => {
                state.tell_output();
                let worn = session.calls >= MOST_CALLS || record.memory > self.about.memory / 2;
                self.idle = (keep && !worn).then_some(session);
                answer.map_err(|said| Failure::new(Class::Error, said))
            }
            Ok(Err(error)) => {
                Err(classify(&error, state.limiter.take_denied(), &state.tail.take()))
            }
            Err(_) => {
                self.about.spent.time_out();
                Err(Failure::time_out(self.about.time))
            }
        }
    }

    /// Emits the receipt of a call and returns its result. `told` is the answer in a few words.
    pub(super) fn conclude<T>(
        &self,
        record: Record,
        answer: Result<T, Failure>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let receipt = self.receipt(record, answer.as_ref().map(told));
        self.about.events.emit(Event::Plugin(Box::new(receipt)));
        answer
    }

    /// Returns the receipt of a call.
    pub(super) fn receipt(&self, record: Record, answer: Result<String, &Failure>) -> Receipt {
        Receipt {
            plugin: self.about.name.clone(),
            digest: self.about.digest.to_string(),
            hook: record.hook,
            calls: record.calls,
            micros: u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX),
            memory: record.memory,
            fuel: record.fuel,
            failure: answer.as_ref().err().map(|failure| (*failure).clone()),
            answer: answer.ok(),
            refusals: record.refusals,
            // An observer decides nothing in any case.
            monitor: self.about.monitor && record.hook != Hook::Observer,
        }
    }
}
