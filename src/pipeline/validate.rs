//! Validate: checks that the merged stack resolves, keeps its names and finds its mounts, and
//! computes the change set.

#![expect(
    clippy::disallowed_methods,
    reason = "it only asks if a path exists that the engine would mount"
)]

use std::path::Path;

use super::scratch::{self, Resolutions};
use super::{Progress, Run, counted, facts, host, own_files, start};
use crate::error::Result;
use crate::exit::Exit;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::site::mailcow;
use crate::stack::change::Action;
use crate::stack::changes::{self, Changes, Situation};
use crate::stack::{images, validate};

/// Resolves old and new, refuses what cannot work, and computes the change set.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let resolved = scratch::prepare(run).await?;
    host::tell(run, &resolved).await?;
    refuse_problems(run, &resolved).await?;
    let events = run.events.clone();
    let stack = run.stack().await?;
    let containers = stack.engine.containers(&resolved.old.project).await?;
    run.plan.images =
        images::plan(&stack.engine, &resolved.new, &containers, false, &events).await?;
    decide(run, &resolved).await?;
    let changes = Changes { services: run.plan.services.clone(), down: run.plan.down.clone() };
    refuse(validate::health(&resolved.new, &changes, &containers))?;
    warn_of_migration(run);
    own_files::warn_of_links(run)?;
    Ok(Progress::Done(describe(run)))
}

/// Refuses what cannot work while the old stack serves mail.
async fn refuse_problems(run: &mut Run, resolved: &Resolutions) -> Result<()> {
    let (old, new) = (scratch::on_disk(run)?, scratch::new_stack(run));
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let (root, repo) = (run.site.root().to_owned(), &run.repo);
    let in_merge = |path: &Path| {
        let inside = path.strip_prefix(&root).ok();
        inside
            .is_some_and(|path| repo.has_path(merged.tree, &SitePath::from(path)).unwrap_or(false))
    };
    let mut problems =
        validate::problems(&resolved.old, &resolved.new, &|path| path.exists() || in_merge(path));
    let stack = run.stack().await?;
    let containers = stack.engine.all_containers().await?;
    if let Some(problem) = validate::elsewhere(&resolved.old, &containers, &root) {
        // Its ports would be reported as in use by another project, and freeing them is the last
        // thing to do.
        return refuse(vec![problem]);
    }
    problems.extend(validate::left_over(&stack.compose, &old, &new, &resolved.new).await?);
    problems.extend(validate::ports(&stack.engine, &containers, &resolved.new));
    refuse(problems)
}

fn refuse(problems: Vec<validate::Problem>) -> Result<()> {
    validate::refusal(problems).map_or(Ok(()), |error| Err(error.exit(Exit::Prepare)))
}

/// Computes what happens to each service; called again after a plugin has given files.
pub async fn decide(run: &mut Run, resolved: &Resolutions) -> Result<()> {
    let changed = changed_paths(run)?;
    let root = run.site.root().to_owned();
    let images = run.plan.images.clone();
    let own: Vec<String> = run.site.config().start.read_live.clone();
    let own = own.iter().map(|folder| folder.trim_start_matches("./"));
    let read_live: Vec<&str> = mailcow::READ_LIVE.iter().copied().chain(own).collect();
    let stack = run.stack().await?;
    let containers = stack.engine.containers(&resolved.old.project).await?;
    let Changes { services, down } = changes::compute(&Situation {
        old: &resolved.old,
        new: &resolved.new,
        containers: &containers,
        images: &images,
        changed_paths: &changed,
        site_root: &root,
        read_live: &read_live,
    });
    run.plan.services = services;
    run.plan.down = down;
    run.save_plan()
}

/// Lists every path of the site that a merge, a plugin or a migration will change.
fn changed_paths(run: &Run) -> Result<Vec<SitePath>> {
    let merged: Merged = run.journal.record().need(facts::MERGED)?;
    let from = run.repo.tree_of(merged.ours)?;
    let merge = run.repo.changed_paths(from, merged.tree)?.into_iter().map(|(path, _)| path);
    let installs = run.installs()?.into_iter().map(|file| file.path);
    Ok(merge.chain(merged.kept.into_iter().map(|kept| kept.path)).chain(installs).collect())
}

/// Warns of what cannot be rolled back.
fn warn_of_migration(run: &Run) {
    let services = start::migrating(run);
    if services.is_empty() {
        return;
    }
    let hint = if run.site.config().backup.database {
        "The database is dumped into the run before the switch."
    } else {
        "Back up first, or set `database = true` below [backup] in cowhand.toml to have the \
         database dumped before the switch."
    };
    let what = format!(
        "{}: a new image may migrate the database, which no rollback undoes",
        services.join(", ")
    );
    run.events.warn(what, Some(hint.to_owned()));
}

fn describe(run: &Run) -> String {
    let change = run.plan.services.iter().filter(|service| service.action != Action::Keep).count();
    let stay = run.plan.services.len() - change;
    let pull = run.plan.images.iter().filter(|image| image.pull).count();
    let down = if run.plan.down.is_empty() {
        ""
    } else {
        "; a network changes, so the whole stack stops first"
    };
    format!(
        "{} to change, {stay} to stay as they are; {} to pull{down}",
        counted(change, "service"),
        counted(pull, "image")
    )
}
