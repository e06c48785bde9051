//! Report: the outcome and how to roll it back.

use super::run::Finished;
use super::{Progress, Run, verify};
use crate::error::Result;

/// Reports the outcome of the run.
#[expect(clippy::unused_async, reason = "all stages have one signature")]
pub async fn act(run: &mut Run) -> Result<Progress> {
    verify::show_version(run);
    let version = run.chosen()?.theirs;
    let finished = if run.options.skip_start {
        Finished::done(format!("The files are updated ({version:.10}); nothing was started."))
            .hint("Start the new stack with `docker compose up -d --remove-orphans`.")
    } else {
        Finished::done(format!("The site is up to date ({version:.10})."))
    };
    let finished = run.plan.by_hand.iter().fold(finished, |finished, one| {
        finished.hint(format!("Not migrated: {}. {}", one.what, one.remedy))
    });
    let id = run.folder.id();
    run.finished = Some(
        finished.hint(format!("Details: `cowhand show {id}`. Undo: `cowhand rollback {id}`.")),
    );
    Ok(Progress::Done(String::new()))
}
