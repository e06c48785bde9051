//! Fetch: gets upstream's commits and asks the pre-merge hook.

use super::course::Course;
use super::facts::{self, Chosen};
use super::{Finished, Progress, Run, adapt, counted};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::git::history::CommitInfo;
use crate::git::{Branch, Oid};
use crate::plugin::types::{End, PreMerge, PreMergeVerdict};

/// Fetches, asks the pre-merge hook, and ends the run if there is nothing to do.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let course = Course::of(run)?;
    let (branch, switching) = (course.wanted(), course.onto.is_some());
    run.plan.branch = course.planned();
    let newest = run.repo.fetch(&branch, &run.events)?;
    if !switching && run.repo.contains(branch.head, newest)? {
        return Ok(up_to_date(&branch, newest));
    }
    run.repo.refuse_hostile(branch.head, newest)?;
    let commits = run.repo.with_tags(run.repo.commits(branch.head, newest)?)?;
    let theirs = match ask(run, &branch, newest, &commits).await? {
        Some(theirs) => theirs,
        None => newest,
    };
    if !switching && run.repo.contains(branch.head, theirs)? {
        return Ok(Progress::End(Finished::done(format!(
            "The site already has {theirs:.10}, the newest commit that its plugins allow."
        ))));
    }
    run.journal
        .set(facts::CHOSEN, &Chosen { theirs: theirs.to_string(), newest: newest.to_string() })?;
    Ok(Progress::Done(describe(&branch, theirs, &commits)))
}

fn up_to_date(branch: &Branch, newest: Oid) -> Progress {
    Progress::End(Finished::done(format!(
        "Nothing new: the site has all of {} ({newest:.10}).",
        branch.upstream.label()
    )))
}

fn describe(branch: &Branch, theirs: Oid, commits: &[CommitInfo]) -> String {
    let chosen = commits.iter().skip_while(|commit| commit.oid != theirs);
    let tag =
        commits.iter().find(|commit| commit.oid == theirs).and_then(|commit| commit.tags.first());
    let name = tag.map(|tag| format!(", {tag}")).unwrap_or_default();
    format!(
        "{} from {} ({theirs:.10}{name})",
        counted(chosen.count(), "new commit"),
        branch.upstream.label()
    )
}

/// Returns the commit that the pre-merge hook allows, or an error if it ends the run.
async fn ask(
    run: &mut Run,
    branch: &Branch,
    newest: Oid,
    commits: &[CommitInfo],
) -> Result<Option<Oid>> {
    let input = input(run, branch, newest, commits)?;
    let Some(plugins) = &mut run.plugins else { return Ok(None) };
    match plugins.pre_merge(&input).await? {
        PreMergeVerdict::Proceed { to, files } => {
            run.take_installs(files)?;
            let Some(narrowed) = to else { return Ok(None) };
            run.events.info(format!(
                "{} limits the update to {:.10}: {}",
                narrowed.plugin, narrowed.commit, narrowed.reason
            ));
            facts::oid(&narrowed.commit).map(Some)
        }
        PreMergeVerdict::NotNow { plugin, reason, until } => {
            let until =
                until.map(|until| format!(" (earliest start: {until})")).unwrap_or_default();
            let told = format!("{plugin} postponed the update: {reason}{until}");
            if run.options.goal.waits() {
                return Err(declined(told));
            }
            run.events.info(told);
            Ok(None)
        }
        PreMergeVerdict::Stop { plugin, reason } => {
            Err(declined(format!("{plugin} stopped the update: {reason}")))
        }
    }
}

fn input(run: &Run, branch: &Branch, newest: Oid, commits: &[CommitInfo]) -> Result<PreMerge> {
    let repo = &run.repo;
    let base = repo.merge_bases(branch.head, newest)?.first().copied().unwrap_or(branch.head);
    let before = repo.tree_of(base)?;
    let local = run.local_changes(branch.head)?;
    Ok(PreMerge {
        now: run.now.clone(),
        base: base.to_string(),
        ours: End { commit: branch.head.to_string(), branch: branch.name.clone() },
        theirs: End { commit: newest.to_string(), branch: branch.upstream.label() },
        commits: commits.iter().map(adapt::commit).collect(),
        our_changes: adapt::changes(repo.changed_paths(before, local.tree)?),
        their_changes: adapt::changes(repo.changed_paths(before, repo.tree_of(newest)?)?),
    })
}

fn declined(what: String) -> Error {
    Error::new(what).exit(Exit::Declined)
}
