//! `check`: looks for new commits or releases and changes nothing.

use serde_json::json;

use super::Call;
use super::args::CheckOptions;
use super::update_sh::{self, Manner};
use crate::error::Result;
use crate::event::Event;
use crate::exit::Exit;
use crate::git::Repo;
use crate::pipeline::{self, Finished};
use crate::site::OWN_NAMES;

/// `cowhand check`
pub fn check(call: &Call, options: CheckOptions) -> Result<Finished> {
    let looked = if options.tags { look_for_tags(call) } else { look(call) };
    let update =
        looked.map_err(|error| error.exit(Exit::CouldNotTell).or_left("Nothing was changed."))?;
    let exit = if update { Exit::Done } else { Exit::NoUpdate };
    Ok(match (call.arguments.manner, update) {
        (Manner::UpdateSh, _) => Finished::with(exit, update_sh::check_line(update, options.tags)),
        (Manner::Cowhand, true) => {
            Finished::done("An update is available.").hint("`cowhand plan` shows what it would do.")
        }
        (Manner::Cowhand, false) => Finished::with(exit, "No update is available."),
    })
}

fn look(call: &Call) -> Result<bool> {
    let site = call.site()?;
    call.start(&site, None);
    let repo = Repo::open(site.root())?;
    let branch = repo.readiness()?;
    let upstream = repo.remote_head(&branch)?;
    let commits = repo.commits(branch.head, upstream)?;
    let update = !commits.is_empty();
    if update {
        let left_out = repo.left_out(branch.head, upstream, &OWN_NAMES)?;
        pipeline::tell_left_out(&call.company.events, &left_out);
    }
    call.company.events.emit(Event::Check {
        update,
        head: branch.head.to_string(),
        upstream: upstream.to_string(),
        branch: branch.upstream.label(),
        commits: commits
            .iter()
            .map(|commit| format!("{} - {}", commit.day(), commit.subject))
            .collect(),
    });
    Ok(update)
}

/// Returns true if the site lacks upstream's newest release.
fn look_for_tags(call: &Call) -> Result<bool> {
    let site = call.site()?;
    call.start(&site, None);
    let repo = Repo::open(site.root())?;
    let branch = repo.readiness()?;
    let (tag, commit) = repo.remote_tag(&branch)?;
    // The site cannot contain a commit that its clone does not have.
    let update = !(repo.commit(commit).is_ok() && repo.contains(branch.head, commit)?);
    let whose = if update { "the site does not have it yet" } else { "the site has it" };
    call.company.events.emit(Event::Report {
        report: "check-tags".to_owned(),
        data: json!({ "update": update, "tag": tag, "commit": commit.to_string(), "head": branch.head.to_string() }),
        text: format!("The newest release is {tag}; {whose}."),
    });
    Ok(update)
}
