//! Faults on request, so that every step of a run can be made to fail or to die from outside. For tests: nothing happens without the variable.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::error::{Error, Result};

/// Names the fault: `STAGE:POINT:KIND`, such as `switch:acted:kill`. [`EVERY`] stands for any stage.
pub const VARIABLE: &str = "COWHAND_FAULT";

/// In the place of a stage's name.
pub const EVERY: &str = "every";
/// Whether nothing that is waited for comes in time any more.
static LATE: AtomicBool = AtomicBool::new(false);

/// Where in a step a fault can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before the journal knows of the step.
    Before,
    /// The journal says that the step has begun; nothing is done yet.
    Begun,
    /// The step is done; the journal does not say so yet.
    Acted,
    /// The journal says so.
    Recorded,
    /// The step is about to be undone.
    Undoing,
    /// It is undone; the journal does not say so yet.
    Undone,
}

impl Point {
    /// Every point of a step that goes forward, in order.
    pub const FORWARD: [Self; 4] = [Self::Before, Self::Begun, Self::Acted, Self::Recorded];

    /// The point as it is named in [`VARIABLE`].
    pub fn text(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::Begun => "begun",
            Self::Acted => "acted",
            Self::Recorded => "recorded",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
        }
    }
}

/// The kind of fault that was asked for at this point of this stage.
fn asked(stage: &str, point: Point) -> Option<String> {
    let asked = std::env::var(VARIABLE).ok()?;
    let mut parts = asked.splitn(3, ':');
    let here = parts.next().is_some_and(|name| name == stage || name == EVERY) && parts.next() == Some(point.text());
    here.then(|| parts.next().unwrap_or_default().to_owned())
}

/// Strikes if this point of this stage was asked for: `error` fails, `kill` dies as by power loss, `term` asks the run to end, `stop`
/// stops the process until it is told to go on, `time-out` lets nothing come in time until [`relent`].
pub fn strike(stage: &str, point: Point) -> Result<()> {
    match asked(stage, point).as_deref() {
        Some("error") => return Err(Error::new(format!("a fault was asked for: {stage}, {}", point.text()))),
        Some("kill") => send(Signal::KILL),
        // Goes on when it is told to (SIGCONT): a moment for anything to happen from outside.
        Some("stop") => send(Signal::STOP),
        Some("term") => {
            send(Signal::TERM);
            // The signal is taken by a task of its own; the step goes on once it has been.
            std::thread::sleep(Duration::from_millis(200));
        }
        Some("time-out") => LATE.store(true, Ordering::Relaxed),
        _ => {}
    }
    Ok(())
}

/// Whether `twice` was asked for: the step, or its undoing, is then done once more.
pub fn twice(stage: &str, point: Point) -> bool {
    asked(stage, point).as_deref() == Some("twice")
}

/// Ends what `time-out` began.
pub fn relent() {
    LATE.store(false, Ordering::Relaxed);
}

/// Whether `time-out` has struck.
pub fn late() -> bool {
    LATE.load(Ordering::Relaxed)
}

fn send(signal: Signal) {
    let _ = kill_process(getpid(), signal);
}
