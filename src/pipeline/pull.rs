//! Pull: the images of the merged stack, by digest, while the old stack serves mail and keeps its
//! tags.

use super::{Goal, Progress, Run, adapt, counted, facts, scratch, validate};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plugin::types::{PostPull, PostPullVerdict};
use crate::stack::images::{self, Pulled};

/// Pulls, then asks the post-pull hook.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if matches!(run.options.goal, Goal::Plan { .. }) {
        run.plan.prune = super::prune::preview(run).await?;
        return Ok(Progress::Skipped("a plan pulls nothing".to_owned()));
    }
    let (events, wanted) = (run.events.clone(), run.plan.images.clone());
    let pulled = images::pull(&run.stack().await?.engine, &wanted, &events).await?;
    run.journal.set(facts::PULLED, &pulled)?;
    keep_until_started(run, &pulled).await?;
    if run.options.goal.applies() {
        ask(run, &pulled).await?;
    }
    let new = wanted.iter().filter(|image| image.pull).count();
    Ok(match new {
        0 => Progress::Skipped("every image is already pulled".to_owned()),
        new => Progress::Done(counted(new, "image")),
    })
}

/// Tags the pulled images until they run, in this run or a later one, so that no prune removes
/// them.
async fn keep_until_started(run: &mut Run, pulled: &[Pulled]) -> Result<()> {
    let files = scratch::on_disk(run)?;
    let stack = run.stack().await?;
    let project = stack.compose.resolve(&files).await?.project;
    images::hold_prefetched(&stack.engine, &project, pulled).await
}

async fn ask(run: &mut Run, pulled: &[Pulled]) -> Result<()> {
    let mut images = Vec::new();
    for change in run.plan.images.clone() {
        let id = pulled
            .iter()
            .find(|pulled| pulled.reference == change.reference)
            .map(|pulled| pulled.image_id.as_str());
        let found = run.stack().await?.engine.image(id.unwrap_or(&change.reference)).await?;
        images.push(adapt::image(&change, found));
    }
    let Some(plugins) = &mut run.plugins else { return Ok(()) };
    match plugins.post_pull(&PostPull { now: run.now.clone(), images }).await? {
        PostPullVerdict::Proceed { files } if files.is_empty() => Ok(()),
        PostPullVerdict::Proceed { files } => {
            run.take_installs(files)?;
            let resolved = scratch::resolve(run).await?;
            validate::decide(run, &resolved).await
        }
        PostPullVerdict::Stop { plugin, reason } => {
            Err(Error::new(format!("{plugin} stopped the update: {reason}")).exit(Exit::Declined))
        }
    }
}
