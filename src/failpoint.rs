//! Failpoints: every step of a run can be made to fail, hang or die from outside.
//!
//! They exist only with the cargo feature `failpoints`, for tests. Without it, [`hit`] and the
//! other functions do nothing, and the environment variable means nothing.

#[cfg(feature = "failpoints")]
pub use armed::{ANY_STAGE, VARIABLE, hit, repeats, restore_timeouts, timeouts_expire};
#[cfg(not(feature = "failpoints"))]
pub use disarmed::{hit, repeats, restore_timeouts, timeouts_expire};

/// A place in a step where a failpoint can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before the journal records the step.
    Before,
    /// The journal records the step as started; nothing is done yet.
    Begun,
    /// The step is done; the journal does not record that yet.
    Acted,
    /// The journal records the step as done.
    Recorded,
    /// Before the step is undone.
    Undoing,
    /// The step is undone; the journal does not record that yet.
    Undone,
}

/// The functions with the feature.
#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use rustix::process::{Signal, getpid, kill_process};

    use super::Point;
    use crate::error::{Error, Result};

    /// The environment variable that sets a failpoint: `STAGE:POINT:ACTION`, such as
    /// `switch:acted:kill`. [`ANY_STAGE`] stands for every stage.
    pub const VARIABLE: &str = "COWHAND_FAULT";

    /// Stands for every stage in [`VARIABLE`].
    pub const ANY_STAGE: &str = "every";

    /// True while every timeout expires at once.
    static EXPIRE: AtomicBool = AtomicBool::new(false);

    impl Point {
        /// Returns the point's name in [`VARIABLE`].
        fn name(self) -> &'static str {
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

    /// Returns the action that [`VARIABLE`] sets for this point of this stage.
    fn action(stage: &str, point: Point) -> Option<String> {
        let set = std::env::var(VARIABLE).ok()?;
        let mut parts = set.splitn(3, ':');
        let here = parts.next().is_some_and(|name| name == stage || name == ANY_STAGE)
            && parts.next() == Some(point.name());
        here.then(|| parts.next().unwrap_or_default().to_owned())
    }

    /// Carries out the action that is set for this point of this stage.
    ///
    /// `error` returns an error. `kill` ends the process as a power cut would. `term` sends
    /// SIGTERM. `stop` stops the process until SIGCONT, so that a test can change things outside.
    /// `time-out` makes every timeout expire until [`restore_timeouts`].
    pub fn hit(stage: &str, point: Point) -> Result<()> {
        match action(stage, point).as_deref() {
            Some("error") => {
                return Err(Error::new(format!("the failpoint {stage}:{} fails", point.name())));
            }
            Some("kill") => send(Signal::KILL),
            Some("stop") => send(Signal::STOP),
            Some("term") => {
                send(Signal::TERM);
                // Another task receives the signal; the step must not go on before it has.
                std::thread::sleep(Duration::from_millis(200));
            }
            Some("time-out") => EXPIRE.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok(())
    }

    /// Returns true if `twice` is set here: the step, or its undoing, is then done once more.
    pub fn repeats(stage: &str, point: Point) -> bool {
        action(stage, point).as_deref() == Some("twice")
    }

    /// Ends the effect of `time-out`.
    pub fn restore_timeouts() {
        EXPIRE.store(false, Ordering::Relaxed);
    }

    /// Returns true while `time-out` makes every timeout expire.
    pub fn timeouts_expire() -> bool {
        EXPIRE.load(Ordering::Relaxed)
    }

    fn send(signal: Signal) {
        let _ = kill_process(getpid(), signal);
    }
}

/// The functions without the feature. The compiler removes every call of them.
#[cfg(not(feature = "failpoints"))]
mod disarmed {
    use super::Point;
    use crate::error::Result;

    /// Does nothing.
    #[inline]
    pub fn hit(_stage: &str, _point: Point) -> Result<()> {
        Ok(())
    }

    /// Returns false.
    #[inline]
    pub fn repeats(_stage: &str, _point: Point) -> bool {
        false
    }

    /// Does nothing.
    #[inline]
    pub fn restore_timeouts() {}

    /// Returns false.
    #[inline]
    pub fn timeouts_expire() -> bool {
        false
    }
}
