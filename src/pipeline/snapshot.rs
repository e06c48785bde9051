//! Snapshot: copies the certificates, then the configuration, then the list of running images into
//! the run, before anything changes.

use super::facts::{self, OldImage};
use super::preflight::needs;
use super::{Need, Progress, Run, counted, mounted, own_files, scratch};
use crate::error::Result;
use crate::site::journal::Record;
use crate::site::{keep, mailcow};
use crate::stack::container::Container;
use crate::stack::images;

/// Keeps copies of the site's own files and gives the running images a tag of ours, so that no
/// prune prevents a rollback.
pub async fn act(run: &mut Run) -> Result<Progress> {
    let (mut files, kept) = (0_usize, run.folder.kept_dir()?);
    for path in mailcow::precious(&run.site.compose_files()) {
        let copied = keep::copy(run.site.dir(), &path, &kept)?;
        own_files::warn_of_left(run, &copied);
        files += copied.paths.len();
    }
    if !needs(run.options.goal, Need::Engine) {
        return Ok(Progress::Done(format!("{} kept", counted(files, "file"))));
    }
    let (id, compose_files) = (run.folder.id().to_owned(), scratch::on_disk(run)?);
    let stack = run.stack().await?.clone();
    let project = stack.compose.resolve(&compose_files).await?.project;
    let containers = stack.engine.containers(&project).await?;
    mounted::volumes(run, &project).await?;
    let held = images::hold(&stack.engine, &project, &id, &containers).await?;
    let old: Vec<OldImage> = containers.iter().map(old_image).collect();
    run.journal.set(facts::PROJECT, &project)?;
    run.journal.set(facts::OLD_IMAGES, &old)?;
    for service in &held.missing {
        let hint = "A rollback can only start it if a registry still has its image.".to_owned();
        run.events
            .warn(format!("the engine no longer has the image that {service} runs"), Some(hint));
    }
    Ok(Progress::Done(format!(
        "{} and {} kept",
        counted(files, "file"),
        counted(held.images.len(), "image")
    )))
}

fn old_image(container: &Container) -> OldImage {
    OldImage {
        service: container.service.clone(),
        reference: container.image.clone(),
        image_id: container.image_id.clone(),
    }
}

/// Lets the old images of the run of this record go, and keeps those of the others.
pub async fn release(run: &mut Run, record: &Record) -> Result<()> {
    let Some(project) = record.fact::<String>(facts::PROJECT)? else { return Ok(()) };
    let others: Vec<String> = run
        .store()
        .runs()?
        .into_iter()
        .map(|other| other.id)
        .filter(|id| *id != record.id)
        .collect();
    let keep: Vec<&str> = others.iter().map(String::as_str).collect();
    images::release(&run.stack().await?.engine, &project, &keep).await
}
