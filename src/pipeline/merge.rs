//! Merge: the site's side and upstream's, in memory. The plugins are asked about every conflict;
//! losses are named and kept.

use std::sync::Arc;

use super::course::Course;
use super::{Goal, Progress, Run, adapt, by_hand, counted, facts, majors, versions};
use crate::config::{Favor, OnLoss};
use crate::error::{Error, Result};
use crate::event::Events;
use crate::exit::Exit;
use crate::git::Oid;
use crate::git::blob::Blobs;
use crate::git::local::Local;
use crate::git::merge::{Conflict, Merge, Merged, Options};
use crate::git::switch::Switch;
use crate::path::SitePath;
use crate::plan::MergePlan;
use crate::plugin::Plugins;
use crate::plugin::types::Decided;
use crate::site::OWN_NAMES;
use crate::site::mailcow::{self, migrations};

/// The largest content that a plugin may give for one file.
const LARGEST_ANSWER: u64 = 32 << 20;

/// Computes the commits and trees of the result. Branch, index and working tree stay where they
/// are.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let course = Course::of(run)?;
    let theirs = facts::oid(&run.chosen()?.theirs)?;
    let local = untrack(run, run.local_changes(course.now.head)?, theirs)?;
    tell_left_out(&run.events, &run.repo.left_out(local.commit, theirs, &OWN_NAMES)?);
    let label = course.upstream.label();
    let options = Options { label, limit: LARGEST_ANSWER, own: &OWN_NAMES };
    let ends = course.ends(run, &local, theirs)?;
    let merge = Merge::new(&run.repo, ends.0, ends.1, options)?;
    let favor = run.favor();
    let plugins = run.plugins.as_mut().ok_or_else(|| Error::new("no plugins are loaded"))?;
    decide_all(plugins, &merge, favor).await?;
    let merged = merge.finish(&mailcow::after_message(&run.now), &run.now)?;
    let merged = course.conclude(run, merged, theirs)?;
    // A plan keeps nothing: its run is thrown away.
    if !matches!(run.options.goal, Goal::Plan { .. }) {
        versions::keep(run, &local, &merged)?;
    }
    let mut switch = Switch::plan(&run.repo, &course.now, &local, &merged)?;
    if let Some(onto) = &course.onto {
        switch = switch.onto(&run.repo, onto, &course.upstream.remote)?;
    }
    for (name, oid) in switch.objects() {
        run.repo.hold(run.folder.id(), &name, oid)?;
    }
    run.journal.set(facts::LOCAL, &local)?;
    run.journal.set(facts::MERGED, &merged)?;
    run.journal.set(facts::SWITCH, &switch)?;
    let found = describe(&merged);
    run.plan.major = majors::passed(run, &merged)?;
    run.plan.by_hand = by_hand::found(run, &merged)?;
    run.plan.merge = Some(in_plan(merged));
    run.save_plan()?;
    as_reviewed(run)?;
    nothing_lost(run)?;
    Ok(Progress::Done(found))
}

impl Run {
    /// The site's side: its uncommitted changes as a commit, with what `[merge] include-untracked`
    /// adds.
    pub(super) fn local_changes(&self, head: Oid) -> Result<Local> {
        let untracked = self.site.config().merge.include_untracked;
        self.repo.local_changes(head, &mailcow::before_message(&self.now), &self.now, untracked)
    }
}

/// Notes what upstream has at the names that are the site's alone.
pub fn tell_left_out(events: &Events, names: &[String]) {
    if !names.is_empty() {
        let names = names.join(", ");
        events.info(format!(
            "Upstream tracks {names}: not merged. The site's own files stay as they are."
        ));
    }
}

/// Files that git must not track are not part of the site's side.
fn untrack(run: &Run, mut local: Local, theirs: Oid) -> Result<Local> {
    let theirs = run.repo.tree_of(theirs)?;
    for (path, reason) in migrations::untracked() {
        let path = SitePath::from(path);
        if run.repo.has_path(local.tree, &path)? && !run.repo.has_path(theirs, &path)? {
            local =
                run.repo.without(&local, &path, &mailcow::before_message(&run.now), &run.now)?;
            run.events.info(format!("{path} is no longer tracked by git (file kept): {reason}."));
        }
    }
    Ok(local)
}

/// Lets the resolvers decide every conflict of a merge, and carries out what they answer.
pub async fn decide_all(plugins: &mut Plugins, merge: &Merge<'_>, favor: Favor) -> Result<()> {
    let blobs = merge.blobs()?;
    for conflict in merge.conflicts() {
        decide(plugins, merge, &blobs, favor, conflict).await?;
    }
    Ok(())
}

/// Offers a conflict to the resolvers, in their order: the first that does not pass decides.
async fn decide(
    plugins: &mut Plugins,
    merge: &Merge<'_>,
    blobs: &Blobs,
    favor: Favor,
    conflict: &Conflict,
) -> Result<()> {
    let asked = adapt::conflict(conflict, favor);
    let needs_a_person = |what: String| Error::new(what).exit(Exit::Conflict);
    let sides = Arc::new(adapt::Sides::of(conflict, blobs.clone()));
    let accept = |plugin: &str, answer: &_| merge.resolve(conflict, adapt::answer(answer)?, plugin);
    match plugins.resolve(&asked, sides, accept).await? {
        Decided::By { .. } => Ok(()),
        Decided::Undecided => {
            Err(needs_a_person(format!("no plugin decided the conflict in {}", conflict.path))
                .hint("Name stock-conflicts last in cowhand.toml; it decides every conflict."))
        }
        Decided::Stop { plugin, reason } => Err(needs_a_person(format!(
            "{plugin} stopped the update at {}: {reason}",
            conflict.path
        ))),
    }
}

fn describe(merged: &Merged) -> String {
    let conflicts = match merged.decisions.len() {
        0 => "no conflict".to_owned(),
        decided => format!("{} decided", counted(decided, "conflict")),
    };
    match merged.losses.len() {
        0 => format!("{conflicts}; all local changes kept"),
        losing => {
            format!("{conflicts}; local changes lost in {}", counted(losing, "file"))
        }
    }
}

fn in_plan(merged: Merged) -> MergePlan {
    MergePlan {
        base: merged.base.to_string(),
        ours: merged.ours.to_string(),
        theirs: merged.theirs.to_string(),
        tree: merged.tree.to_string(),
        conflicts: merged.decisions,
        losses: merged.losses,
    }
}

/// `--expect-tree`: only what was reviewed is applied.
fn as_reviewed(run: &Run) -> Result<()> {
    let tree = run.plan.merge.as_ref().map(|merge| merge.tree.as_str());
    match run.options.expect_tree.as_deref() {
        Some(expected) if tree != Some(expected) => Err(Error::new(format!(
            "the merge's result is tree {}, not the expected {expected}",
            tree.unwrap_or("unknown")
        ))
        .exit(Exit::Conflict)
        .hint("The site or upstream has changed since that plan; run `cowhand plan` again.")),
        _ => Ok(()),
    }
}

/// `on-loss = "stop"`: what the site wrote is not dropped by itself.
fn nothing_lost(run: &Run) -> Result<()> {
    let losses = run.plan.merge.iter().flat_map(|merge| &merge.losses);
    let paths: Vec<String> = losses.map(|loss| loss.path.to_string()).collect();
    if run.site.config().merge.on_loss == OnLoss::Report
        || !run.options.goal.applies()
        || paths.is_empty()
    {
        return Ok(());
    }
    Err(Error::new(format!("the merge would drop local changes in {}", paths.join(", ")))
        .exit(Exit::Conflict)
        .hint(
            "See the lines with `cowhand plan`. Keep them with a conflict resolver, or drop them \
               with `[merge] on-loss = \"report\"`.",
        ))
}
