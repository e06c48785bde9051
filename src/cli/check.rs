//! `check`: is there anything new? Reads, and changes nothing.

use super::Call;
use crate::error::Result;
use crate::event::Event;
use crate::exit::Exit;
use crate::git::Repo;
use crate::pipeline::Finished;

/// `cowhand check`
pub fn check(call: &Call) -> Result<Finished> {
    look(call).map_err(|error| error.exit(Exit::CouldNotTell).or_left("Nothing was changed."))
}

fn look(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let repo = Repo::open(site.root())?;
    let branch = repo.readiness()?;
    let upstream = repo.remote_head(&branch)?;
    if repo.commit(upstream).is_err() {
        repo.download(&branch)?;
    }
    let commits = repo.commits(branch.head, upstream)?;
    let update = !commits.is_empty();
    call.company.events.emit(Event::Check {
        update,
        head: branch.head.to_string(),
        upstream: upstream.to_string(),
        branch: branch.upstream.label(),
        commits: commits.iter().map(|commit| format!("{} - {}", commit.day(), commit.subject)).collect(),
    });
    Ok(if update {
        Finished::done("An update is available.").hint("`cowhand plan` shows what it would do.")
    } else {
        Finished::with(Exit::NoUpdate, "No update is available.")
    })
}
