//! Switch, the first commit point: branch and working tree move to the merge, and the files that are in no commit come with them.

use super::{Progress, Run, facts, own_files, start};
use crate::error::Result;
use crate::git::switch::Switch;
use crate::site::mailcow;

/// Moves git's files, then the index, then the branch; then the site's own files.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    own_files::remember(run)?;
    start::stop_first(run).await?;
    switch.apply(&run.repo, &mailcow::after_message(&run.now), &run.events)?;
    let own = own_files::change(run)?;
    let counts = std::iter::once((switch.paths().len(), "files changed")).chain(own);
    let said = counts.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Ok(Progress::Done(said.collect::<Vec<_>>().join(", ")))
}

/// Brings back git's files, the index and the branch, then the site's own files.
pub async fn undo(run: &mut Run) -> Result<Progress> {
    let switch: Switch = run.journal.record().need(facts::SWITCH)?;
    if let Err(error) = start::stop_first(run).await {
        run.events.warn(error.summary(), Some("The files go back all the same.".to_owned()));
    }
    let message = format!("cowhand: rollback of run {}", run.folder.id());
    for kept in switch.undo(&run.repo, &message, &run.events)? {
        let hint = format!("Its content is kept: git cat-file blob {}", kept.oid);
        run.events.warn(format!("{} was written after the switch and was replaced", kept.path), Some(hint));
    }
    own_files::bring_back(run)?;
    Ok(Progress::Done(String::new()))
}
