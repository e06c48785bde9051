//! Failures of calls: their classes, and messages for the operator.

use std::fmt;

use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use super::limits::{MOST_HANDED_OVER, MOST_HANDLES};
use super::receipt::{Class, Failure};
use crate::printable::{MOST_OF_A_TEXT, cut};

/// A limit that the host enforces. Raised in host functions, it ends the call.
#[derive(Debug)]
pub(super) struct LimitReached(pub(super) String);

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LimitReached {}

impl Failure {
    pub(super) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: cut(message.into(), MOST_OF_A_TEXT), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The plugin did not answer in time.
    pub(super) fn time_out(limit: std::time::Duration) -> Self {
        let message = format!("it did not answer within its limit of {limit:?}");
        Self::new(Class::TimeOut, message)
            .hint("If it needs longer, raise `time` in its grant in cowhand.toml.")
    }
}

/// Returns the failure behind an error. `denied` is the limiter's refusal, `said` the end of
/// standard error.
pub(super) fn classify(error: &wasmtime::Error, denied: Option<String>, said: &str) -> Failure {
    let failure = match (denied, limit_of(error)) {
        (Some(denied), _) => Failure::new(Class::Limit, format!("it requested {denied}"))
            .hint("If it needs that much, raise `memory` in its grant in cowhand.toml."),
        (None, Some(limit)) => Failure::new(Class::Limit, limit),
        (None, None) => trapped(error),
    };
    match said.lines().rfind(|line| !line.trim().is_empty()) {
        Some(_) => {
            let message = format!("{}; standard error: {}", failure.message, said.trim());
            Failure { message: cut(message, MOST_OF_A_TEXT), ..failure }
        }
        None => failure,
    }
}

/// Returns the limit that an error is about, if any.
fn limit_of(error: &wasmtime::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(LimitReached(limit)) = cause.downcast_ref() {
            return Some(limit.clone());
        }
        if let Some(ResourceTableError::Full) = cause.downcast_ref() {
            return Some(format!("it opened more than the limit of {MOST_HANDLES} handles"));
        }
        // wasmtime does not export these errors' types.
        let said = cause.to_string();
        if let Some(parts) = said.strip_prefix("resource limit exceeded: ") {
            return Some(format!("it has too many parts: {parts}"));
        }
        let flood = said.contains("fuel allocated for hostcalls has been exhausted");
        let limit = bytesize::ByteSize::b(MOST_HANDED_OVER as u64);
        flood.then(|| format!("it passed more than the limit of {limit} at once"))
    })
}

fn trapped(error: &wasmtime::Error) -> Failure {
    let cause = error.root_cause();
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Failure::new(Class::Trap, format!("it exited with {code} instead of answering"));
    }
    match error.downcast_ref::<Trap>() {
        Some(
            Trap::InvalidChar
            | Trap::StringOutOfBounds
            | Trap::ListOutOfBounds
            | Trap::InvalidDiscriminant
            | Trap::UnalignedPointer,
        ) => Failure::new(Class::BadOutput, format!("its answer is not valid: {cause}")),
        Some(Trap::OutOfFuel) => Failure::new(Class::Limit, "it used more than the limit of fuel"),
        Some(Trap::StackOverflow) => {
            Failure::new(Class::Limit, "it used more than the limit of call stack")
        }
        Some(trap) => Failure::new(Class::Trap, trap.to_string()),
        None => Failure::new(Class::Trap, cause.to_string()),
    }
}
