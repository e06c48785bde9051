//! Verify: the new stack is up and well, or the run is not done.

use std::fs;

use super::{Progress, Run, backup, consent, counted, facts, scratch};
use crate::config::OnUnwell;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files;
use crate::git::merge::Merged;
use crate::site::mailcow::{self, AppInfo};
use crate::stack::verify::{self, Limits};

/// Waits until the stack is well, within limits; then says to the web interface what it is.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if run.options.skip_start {
        stamp(run)?;
        return Ok(Progress::Skipped("nothing was started".to_owned()));
    }
    let (files, events, limits) = (scratch::on_disk(run), run.events.clone(), limits(run));
    let stack = run.stack().await?;
    let resolved = stack.compose.resolve(&files).await?;
    let unwell = verify::check(&stack.engine, &resolved, &limits, &events).await?;
    if let Some(error) = verify::failure(&unwell) {
        return Err(judge(run, error)?);
    }
    stamp(run)?;
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

/// Once the new containers may have migrated data, going back to the old images would break more than it mends.
fn judge(run: &Run, unwell: Error) -> Result<Error> {
    let migrated = run.journal.record().fact(facts::DATA_MIGRATED)?.unwrap_or(false);
    let stays = match (run.site.config().verify.on_failure, migrated) {
        (OnUnwell::RollBack, _) | (OnUnwell::Judge, false) => return Ok(unwell),
        (OnUnwell::Keep, _) => "The new stack stays, as cowhand.toml says.",
        (OnUnwell::Judge, true) => {
            "The new stack stays: its database may have been migrated, and rolling back would not undo that."
        }
    };
    let id = run.folder.id();
    let restore = backup::restore(run.journal.record(), &run.folder);
    let unwell = unwell
        .exit(Exit::Unwell)
        .left(stays)
        .hint("Look at the service's log with `docker compose logs SERVICE`, mend it, then see `docker compose ps`.")
        .hint(format!("If the data is known to be unchanged, `cowhand rollback {id}` makes the site the old one."));
    Ok(match restore {
        Some(restore) => {
            unwell.hint(format!("If it is not: roll back, then bring the dumped database back: {restore}"))
        }
        None => unwell,
    })
}

/// The version that the web interface shows; written only after success.
fn stamp(run: &Run) -> Result<()> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let chosen = run.chosen()?;
    let branch = run.branch_after()?;
    let theirs = run.repo.commit(merged.theirs)?;
    let newest_tag = run.repo.newest_tag(merged.theirs)?;
    let stable = branch == mailcow::DEFAULT_BRANCH;
    let short = chosen.theirs.get(..9).unwrap_or(&chosen.theirs);
    let info = AppInfo {
        version: newest_tag.as_deref().filter(|_| stable).unwrap_or(short),
        commit: &chosen.theirs,
        commit_date: &theirs.date_and_time(),
        branch: &branch,
        updated_at: run.now.timestamp().as_second(),
    };
    let path = run.site.path(mailcow::APP_INFO);
    let folder = path.parent().unwrap_or(run.site.root());
    fs::create_dir_all(folder).what_with(|| format!("could not create {}", folder.display()))?;
    files::write(&path, info.php().as_bytes(), 0o644)
}
