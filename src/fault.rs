//! Faults on request, so that every step of a run can be made to fail or to die from outside. For tests: nothing happens without the variable.

use rustix::process::{Signal, getpid, kill_process};

use crate::error::{Error, Result};

/// Names the fault: `STAGE:POINT:KIND`, such as `switch:acted:kill`.
pub const VARIABLE: &str = "COWHAND_FAULT";

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

/// Strikes if this point of this stage was asked for: `error` fails, `kill` dies as by power loss, `term` asks the run to end, `stop`
/// stops the process until it is told to go on.
pub fn strike(stage: &str, point: Point) -> Result<()> {
    let Ok(asked) = std::env::var(VARIABLE) else { return Ok(()) };
    let here = format!("{stage}:{}:", point.text());
    match asked.strip_prefix(&here) {
        Some("error") => Err(Error::new(format!("a fault was asked for: {asked}"))),
        Some("kill") => {
            let _ = kill_process(getpid(), Signal::KILL);
            Ok(())
        }
        Some("stop") => {
            // Goes on when it is told to (SIGCONT): a moment for anything to happen from outside.
            let _ = kill_process(getpid(), Signal::STOP);
            Ok(())
        }
        Some("term") => {
            let _ = kill_process(getpid(), Signal::TERM);
            // The signal is taken by a task of its own; the step goes on once it has been.
            std::thread::sleep(std::time::Duration::from_millis(200));
            Ok(())
        }
        _ => Ok(()),
    }
}
