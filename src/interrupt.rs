//! Signals: the first INT, TERM or HUP ends the command at the next safe point, a second one at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::exit::Exit;

/// Whether somebody wants the command to end. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicBool,
    notify: Notify,
}

impl Interrupt {
    /// Listens for signals from now on.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            // A signal that cannot be listened for keeps its default: it ends the process, which the journal survives.
            if let Ok(mut signals) = signal(kind) {
                let interrupt = interrupt.clone();
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        interrupt.ask();
                    }
                });
            }
        }
        interrupt
    }

    fn ask(&self) {
        if self.0.asked.swap(true, Ordering::SeqCst) {
            let _ = console::Term::stderr().show_cursor();
            std::process::exit(Exit::Interrupted.code().into());
        }
        eprintln!("\nEnding at the next safe point; once more ends at once.");
        self.0.notify.notify_waiters();
    }

    /// Whether a signal has come.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Waits for a signal.
    pub async fn wait(&self) {
        let notified = self.0.notify.notified();
        if !self.asked() {
            notified.await;
        }
    }
}
