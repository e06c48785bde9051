//! Verify: the new stack is up and well, or the run is not done.

use std::path::Path;

use super::{Progress, Run, StageName, backup, consent, counted, facts, scratch, start};
use crate::config::OnUnwell;
use crate::dir::Attributes;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::git::merge::Merged;
use crate::site::mailcow::{self, AppInfo};
use crate::stack::verify::{self, Limits};

/// Waits until the stack is well, within limits; then says to the web interface what it is.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if run.options.skip_start {
        show_version(run);
        return Ok(Progress::Skipped("nothing was started".to_owned()));
    }
    let (files, events, limits) = (scratch::on_disk(run)?, run.events.clone(), limits(run));
    let stack = run.stack().await?;
    let resolved = stack.compose.resolve(&files).await?;
    let unwell = verify::check(&stack.engine, &resolved, &limits, &events).await?;
    if let Some(error) = verify::failure(&unwell) {
        return Err(error);
    }
    show_version(run);
    if let Err(error) = consent::script(run, mailcow::POST_HOOK).await {
        run.events.warn(error.summary(), Some("The update itself is done.".to_owned()));
    }
    Ok(Progress::Done(format!("all well: {}", counted(resolved.services.len(), "service"))))
}

/// How long the site lets what take.
pub fn limits(run: &Run) -> Limits {
    let config = &run.site.config().verify;
    Limits {
        settle: config.settle.unsigned_abs(),
        running: config.running.unsigned_abs(),
        healthy: config.healthy.unsigned_abs(),
        ports: config.ports.unsigned_abs(),
    }
}

/// Whether a failure from the start of the new stack on is a reason to go back; where it is not, the error says so with [`Exit::Unwell`].
/// Once new containers may have migrated data, going back to the old images would break more than it mends.
pub async fn judge(run: &mut Run, stage: StageName, error: Error) -> Error {
    let whole = stage == StageName::Verify;
    let on_failure = run.site.config().verify.on_failure;
    let stays = match on_failure {
        OnUnwell::RollBack => return error,
        OnUnwell::Keep if whole => "The new stack stays, as cowhand.toml says.",
        OnUnwell::Keep | OnUnwell::Judge if !start::has_migrated(run).await => return error,
        _ if whole => {
            "The new stack stays: its database may have been migrated, and rolling back would not undo that."
        }
        _ => {
            "What has started of the new stack stays: its database may have been migrated, and rolling back would not undo that."
        }
    };
    let error = error.exit(Exit::Unwell).left(stays);
    let error = if whole {
        error.hint(
            "Look at the service's log with `docker compose logs SERVICE`, mend it, then see `docker compose ps`.",
        )
    } else {
        error.hint("Mend what is named above, then `cowhand resume` finishes the update.")
    };
    let id = run.folder.id();
    let error = error.hint(format!(
        "If the data is known to be unchanged, `cowhand rollback {id}` makes the site the old one."
    ));
    match backup::restore(run.journal.record(), &run.folder) {
        Some(restore) => error.hint(format!(
            "If it is not: roll back, then bring the dumped database back: {restore}"
        )),
        None => error,
    }
}

/// What the web interface shows is no reason to take a stack back that is well. The run's end sees to it again.
pub fn show_version(run: &Run) {
    if let Err(error) = stamp(run) {
        run.events.warn(
            error.summary(),
            Some("The web interface shows another version until the next update.".to_owned()),
        );
    }
}

/// The version that the web interface shows; written only after success.
fn stamp(run: &Run) -> Result<()> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let chosen = run.chosen()?;
    let branch = run.branch_after()?;
    let theirs = run.repo.commit(merged.theirs)?;
    let newest_tag = run.repo.newest_tag(merged.theirs, mailcow::is_release)?;
    let stable = branch == mailcow::DEFAULT_BRANCH;
    let short = chosen.theirs.get(..9).unwrap_or(&chosen.theirs);
    let info = AppInfo {
        version: newest_tag.as_deref().filter(|_| stable).unwrap_or(short),
        commit: &chosen.theirs,
        commit_date: &theirs.date_and_time(),
        branch: &branch,
        updated_at: run.now.timestamp().as_second(),
    };
    let (path, text) = (Path::new(mailcow::APP_INFO), info.php());
    let most = text.len() as u64;
    if run.site.dir().read(path, most).is_ok_and(|shown| shown == text.as_bytes()) {
        return Ok(());
    }
    let written = run.site.dir().write(path, text.as_bytes(), Attributes::bits(0o644));
    written.what_with(|| format!("could not write {}", path.display()))
}
