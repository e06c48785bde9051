//! Switch, the first commit point: moves branch and working tree to the merge, and installs the
//! files that are in no commit.

use super::{Progress, Run, facts, own_files, start};
use crate::dir::Attributes;
use crate::error::{Context, Result};
use crate::git::merge::Kept;
use crate::git::switch::Switch;
use crate::site::mailcow;

/// Moves git's files, then the index, then the branch; then the site's own files.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    own_files::remember(run)?;
    start::stop_first(run).await?;
    let kept = switch.apply(&run.repo, &mailcow::after_message(&run.now), &run.events)?;
    keep_replaced(run, &kept, "while the update was switching files")?;
    let own = own_files::change(run)?;
    let counts = std::iter::once((switch.paths().len(), "files changed")).chain(own);
    let said =
        counts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Ok(Progress::Done(said.collect::<Vec<_>>().join(", ")))
}

/// Brings back git's files, the index and the branch, then the site's own files.
pub async fn undo(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    if let Err(error) = start::stop_first(run).await {
        run.events.warn(error.summary(), Some("The files go back all the same.".to_owned()));
    }
    let message = format!("cowhand: rollback of run {}", run.folder.id());
    let kept = switch.undo(&run.repo, &message, &run.events)?;
    keep_replaced(run, &kept, "after the switch")?;
    own_files::bring_back(run)?;
    Ok(Progress::Done(String::new()))
}

/// Keeps what was written meanwhile and replaced by the switch, and names it.
fn keep_replaced(run: &Run, kept: &[Kept], when: &str) -> Result<()> {
    for file in kept {
        let content = run.repo.blob(file.oid)?;
        let path = file.path.as_path();
        let written = run.folder.replaced_dir()?.write(path, &content, Attributes::bits(0o600));
        written.what_with(|| format!("could not keep {}", file.path))?;
        let hint = format!(
            "Its content is kept: {}",
            run.folder.path().join("replaced").join(path).display()
        );
        run.events.warn(format!("{} was written {when} and was replaced", file.path), Some(hint));
    }
    Ok(())
}
