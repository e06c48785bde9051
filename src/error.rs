//! The one error type: what failed, why, what was left as it was, and what to do next.
//!
//! It is written for a tired operator at 2 a.m.: a message that does not help is a bug.

use std::fmt;

use crate::exit::Exit;

/// A failure with everything that helps. Build it with [`Error::new`] or [`Context::what`] and add
/// what helps.
#[derive(Clone, Debug)]
pub struct Error(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    what: String,
    because: Vec<String>,
    left: Option<String>,
    hints: Vec<String>,
    exit: Option<Exit>,
}

/// The result type of most functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns an error. `what` says what failed on what, as a sentence without a full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            what: what.into(),
            because: Vec::new(),
            left: None,
            hints: Vec::new(),
            exit: None,
        }))
    }

    /// Adds a cause, deepest last.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.0.because.push(cause.to_string());
        self
    }

    /// Says what was left as it was.
    pub fn left(mut self, left: impl Into<String>) -> Self {
        self.0.left = Some(left.into());
        self
    }

    /// Adds something to do next: a sentence or a command.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        // The same advice may come from what failed and from the attempt to undo it.
        if !self.0.hints.contains(&hint) {
            self.0.hints.push(hint);
        }
        self
    }

    /// Sets the exit code. Without it, the stage's code applies.
    pub fn exit(mut self, exit: Exit) -> Self {
        self.0.exit = Some(exit);
        self
    }

    /// Sets the exit code, unless an inner error did.
    pub fn or_exit(mut self, exit: Exit) -> Self {
        self.0.exit.get_or_insert(exit);
        self
    }

    /// Says what was left as it was, unless an inner error did.
    pub fn or_left(mut self, left: &str) -> Self {
        self.0.left.get_or_insert_with(|| left.to_owned());
        self
    }

    /// Returns the exit code, if one is set.
    pub fn exit_code(&self) -> Option<Exit> {
        self.0.exit
    }

    /// Returns what failed, without the causes.
    pub fn headline(&self) -> &str {
        &self.0.what
    }

    /// Returns the causes, nearest first.
    pub fn causes(&self) -> &[String] {
        &self.0.because
    }

    /// Returns what was left as it was, if known.
    pub fn what_is_left(&self) -> Option<&str> {
        self.0.left.as_deref()
    }

    /// Returns the hints.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }

    /// Returns what failed and why, in one line.
    pub fn summary(&self) -> String {
        std::iter::once(&self.0.what)
            .chain(&self.0.because)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(": ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Error {}

/// Turns any error into an [`Error`] that says what was being done.
pub trait Context<T> {
    /// Wraps the error. `what` is the sentence of [`Error::new`]; the original becomes its cause.
    fn what(self, what: impl Into<String>) -> Result<T>;
    /// The same as [`Context::what`], for sentences that are built on demand.
    fn what_with<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn what(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|cause| Error::new(what).because(cause))
    }

    fn what_with<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|cause| Error::new(what()).because(cause))
    }
}
