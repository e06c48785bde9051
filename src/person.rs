//! Questions to the operator at the terminal.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Context, Result};
use crate::event::Events;
use crate::interrupt::Interrupt;
use crate::printable;

/// Asks questions. With `--yes` every answer is yes; end of input and signals mean no.
#[derive(Clone)]
pub struct Person {
    yes: bool,
    events: Events,
    interrupt: Interrupt,
    declined: Arc<AtomicBool>,
}

impl Person {
    /// Returns a prompt; with `yes` it answers every question with yes.
    pub fn new(yes: bool, events: Events, interrupt: Interrupt) -> Self {
        Self { yes, events, interrupt, declined: Arc::default() }
    }

    /// Returns true if the operator declined an action. A condition that is not met does not count.
    pub fn declined(&self) -> bool {
        self.declined.load(Ordering::Relaxed)
    }

    /// Returns true if `--yes` was given.
    pub fn says_yes(&self) -> bool {
        self.yes
    }

    /// Asks for consent to an action.
    pub async fn agrees(&self, question: &str) -> Result<bool> {
        let agreed = self.confirms(question).await?;
        self.declined.fetch_or(!agreed, Ordering::Relaxed);
        Ok(agreed)
    }

    /// Asks whether a necessary condition is met.
    pub async fn confirms(&self, question: &str) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        // Everything that the question refers to is shown first.
        self.events.drain();
        // Questions go to standard error: standard output may be a program's.
        write!(std::io::stderr(), "{} [y/N] ", printable::line(question))
            .and_then(|()| std::io::stderr().flush())
            .what("could not ask")?;
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let answer = tokio::select! {
            answer = answer => answer.what("could not read the answer")?.what("could not read the answer")?,
            () = self.interrupt.wait() => String::new(),
        };
        if answer.is_empty() {
            eprintln!();
        }
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}
