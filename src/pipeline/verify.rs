//! Verify: waits until the new stack is healthy.

use std::path::Path;

use super::{Progress, Run, StageName, backup, consent, counted, facts, scratch, start};
use crate::config::OnUnwell;
use crate::dir::Attributes;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::git::merge::Merged;
use crate::site::mailcow::{self, AppInfo};
use crate::stack::verify::{self, Limits};

/// Waits, within limits, until the stack is healthy, then writes the version for the web UI.
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
    Ok(Progress::Done(format!("{} healthy", counted(resolved.services.len(), "service"))))
}

/// Returns the timeouts from `[verify]`.
pub fn limits(run: &Run) -> Limits {
    let config = &run.site.config().verify;
    Limits {
        settle: config.settle.unsigned_abs(),
        running: config.running.unsigned_abs(),
        healthy: config.healthy.unsigned_abs(),
        ports: config.ports.unsigned_abs(),
    }
}

/// Decides if a failure since the start of the new stack leads to a rollback. [`Exit::Unwell`] on
/// the error means no. Once new containers may have migrated data, old images would break more.
pub async fn judge(run: &mut Run, stage: StageName, error: Error) -> Error {
    let whole = stage == StageName::Verify;
    let on_failure = run.site.config().verify.on_failure;
    let stays = match on_failure {
        OnUnwell::RollBack => return error,
        OnUnwell::Keep if whole => "The new stack stays, as cowhand.toml says.",
        OnUnwell::Keep | OnUnwell::Judge if !start::has_migrated(run).await => return error,
        _ if whole => {
            "The new stack stays: its database may have been migrated, and a rollback would not \
             undo that."
        }
        _ => {
            "The started part of the new stack stays: its database may have been migrated, and a \
             rollback would not undo that."
        }
    };
    let error = error.exit(Exit::Unwell).left(stays);
    let error = if whole {
        error.hint(
            "Read the service's log with `docker compose logs SERVICE`, fix the cause, and check \
             `docker compose ps`.",
        )
    } else {
        error.hint("Fix the problem above, then run `cowhand resume`.")
    };
    let id = run.folder.id();
    let error =
        error.hint(format!("If the data is certainly unchanged, run `cowhand rollback {id}`."));
    match backup::restore(run.journal.record(), &run.folder) {
        Some(restore) => {
            error.hint(format!("Otherwise roll back and restore the dumped database: {restore}"))
        }
        None => error,
    }
}

/// Writes the version shown in the web UI. A failure must not roll back a healthy stack; the report
/// stage retries.
pub fn show_version(run: &Run) {
    if let Err(error) = stamp(run) {
        run.events.warn(
            error.summary(),
            Some("The web UI shows another version until the next update.".to_owned()),
        );
    }
}

/// Writes the version that the web UI shows; only after success.
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
