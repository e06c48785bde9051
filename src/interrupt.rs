//! Signals: the first INT, TERM or HUP ends the command at the next safe point, a second one at
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::event::Events;
use crate::exit::Exit;

/// The request to end the command. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<Shared>);

/// Starts a new line on the terminal: the last one may be a bar's.
fn leave_the_terminal() {
    /// A stopped terminal (Ctrl-S) is left as it is.
    const LIMIT: Duration = Duration::from_millis(500);
    let (left, leaving) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let terminals = [console::Term::stdout(), console::Term::stderr()];
        if let Some(terminal) = terminals.iter().find(|terminal| terminal.is_term()) {
            let _ = terminal.show_cursor().and_then(|()| terminal.write_line(""));
        }
        let _ = left.send(());
    });
    let _ = leaving.recv_timeout(LIMIT);
}

#[derive(Debug, Default)]
struct Shared {
    asked: AtomicBool,
    notify: Notify,
}

impl Interrupt {
    /// Listens for signals and reports the first one.
    pub fn listen(events: &Events) -> Self {
        let interrupt = Self::default();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
            // A signal without a handler ends the process, which the journal survives.
            if let Ok(mut signals) = signal(kind) {
                let (interrupt, events) = (interrupt.clone(), events.clone());
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        interrupt.ask(&events);
                    }
                });
            }
        }
        interrupt
    }

    pub(crate) fn ask(&self, events: &Events) {
        if self.0.asked.swap(true, Ordering::SeqCst) {
            leave_the_terminal();
            std::process::exit(Exit::Interrupted.code().into());
        }
        let (shared, events) = (Arc::clone(&self.0), events.clone());
        // On its own thread: a blocked reader must not delay the next signal.
        tokio::task::spawn_blocking(move || {
            // As an event, because a redrawn bar would erase plain text.
            events.info("Stopping at the next safe point. Interrupt again to stop immediately.");
            shared.notify.notify_waiters();
        });
    }

    /// Returns true if a signal has arrived.
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
