//! The person at the terminal, if there is one.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::error::{Context, Result};
use crate::interrupt::Interrupt;

/// Asks questions. With `--yes` every answer is yes; the end of input, and a signal, mean no.
#[derive(Clone, Debug)]
pub struct Person {
    yes: bool,
    interrupt: Interrupt,
    said: Arc<Said>,
}

/// What was answered so far.
#[derive(Debug, Default)]
struct Said {
    yes: AtomicU32,
    no: AtomicBool,
}

impl Person {
    /// Who answers: `yes` answers for the person.
    pub fn new(yes: bool, interrupt: Interrupt) -> Self {
        Self { yes, interrupt, said: Arc::default() }
    }

    /// Whether the first question was answered with no.
    pub fn declined_at_once(&self) -> bool {
        self.said.no.load(Ordering::Relaxed) && self.said.yes.load(Ordering::Relaxed) == 0
    }

    /// Whether nobody is asked because `--yes` was given.
    pub fn says_yes(&self) -> bool {
        self.yes
    }

    /// Asks a question that is answered with yes or no.
    pub async fn agrees(&self, question: &str) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        // Questions go to standard error: standard output may be a program's.
        write!(std::io::stderr(), "{question} [y/N] ")
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
        let yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        self.said.yes.fetch_add(u32::from(yes), Ordering::Relaxed);
        self.said.no.fetch_or(!yes, Ordering::Relaxed);
        Ok(yes)
    }
}
