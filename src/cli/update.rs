//! `update`, `plan` and `prefetch`: the pipeline with different goals.

use std::path::{Path, PathBuf};

use super::args::{PlanOptions, UpdateOptions};
use super::{Call, recover, typed};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::exit::Exit;
use crate::pipeline::{self, Finished, Goal, Options, Run, Standing};
use crate::site::Site;
use crate::site::journal::Record;

/// `cowhand update`
pub async fn update(call: &mut Call, typed: UpdateOptions) -> Result<Finished> {
    let site = call.site()?;
    let UpdateOptions { favor, branch, until, expect_tree, skip_start, wait, record, yes: _ } =
        typed;
    let record = record.as_deref().map(absolute).transpose()?;
    if let Some(tree) = &expect_tree {
        object_id(tree)?;
    }
    if let Standing::Between(record) = pipeline::standing(&site)? {
        let plain = until.is_none() && expect_tree.is_none() && !skip_start;
        return over_unfinished(call, &site, &record, plain).await;
    }
    let goal = Goal::Update { until };
    let options = Options {
        goal,
        favor: favor.favor(),
        branch: branch.branch(),
        expect_tree,
        skip_start,
        wait,
        record,
    };
    walk(call, site, options).await
}

/// `cowhand plan`
pub async fn plan(call: &mut Call, typed: PlanOptions) -> Result<Finished> {
    let site = call.site()?;
    let options = Options {
        favor: typed.favor.favor(),
        branch: typed.branch.branch(),
        record: typed.record.as_deref().map(absolute).transpose()?,
        ..Options::new(Goal::Plan { until: typed.until })
    };
    let finished = walk(call, site, options).await?;
    call.company.events.info(finished.message);
    // The plan is the last event: a program finds it at the end.
    let plan = call.run.as_ref().map(|run| run.plan.clone()).unwrap_or_default();
    call.company.events.emit(Event::Plan(Box::new(plan)));
    Ok(Finished { message: String::new(), ..finished })
}

/// `cowhand prefetch`
pub async fn prefetch(call: &mut Call) -> Result<Finished> {
    let site = call.site()?;
    walk(call, site, Options::new(Goal::Prefetch)).await
}

async fn walk(call: &mut Call, site: Site, options: Options) -> Result<Finished> {
    let run = Run::begin(site, options, call.company.clone(), &typed())?;
    call.start(&run.site, Some(run.folder.id()));
    pipeline::walk(call.run.insert(run)).await
}

/// Offers to resume or roll back an unfinished run. `--yes` resumes it, unless files that the
/// switch would replace have changed since. `plain` is false for an update limited by options such
/// as
/// `--until`: resuming would do something else, so it is refused.
async fn over_unfinished(
    call: &mut Call,
    site: &Site,
    record: &Record,
    plain: bool,
) -> Result<Finished> {
    let id = &record.id;
    let unfinished = Error::new(format!("run {id} is unfinished: the site is between old and new"))
        .exit(Exit::Unfinished)
        .left("Nothing was started.");
    let unfinished = pipeline::ways_out(record).into_iter().fold(unfinished, Error::hint);
    if !plain {
        return Err(unfinished
            .because("--until, --expect-tree and --skip-start do not apply to finishing a run"));
    }
    let changed = pipeline::changed_since(site, record)?;
    if call.company.person.says_yes() && !changed.is_empty() {
        let files = changed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(
            unfinished.because(format!("files have changed since the interruption: {files}"))
        );
    }
    let person = call.company.person.clone();
    let backward = pipeline::goes_back(record);
    let what = if backward { "its rollback" } else { "it" };
    let question =
        format!("Run {id} is unfinished: the site is between old and new. Finish {what} now?");
    if person.agrees(&question).await? {
        let finished = recover::resume(call).await?;
        if !backward {
            return Ok(finished);
        }
        let finished = Finished { exit: Exit::RolledBack, ..finished };
        Ok(finished.hint("Nothing was updated. Run `cowhand update` again."))
    } else {
        match recover::roll_back(call, Some(id)).await {
            Err(error) if error.exit_code() == Some(Exit::Declined) => Err(unfinished),
            rolled_back => rolled_back,
        }
    }
}

/// Makes a path absolute: `resume` may run in another directory.
fn absolute(folder: &Path) -> Result<PathBuf> {
    std::path::absolute(folder)
        .what_with(|| format!("could not resolve the path {}", folder.display()))
}

fn object_id(text: &str) -> Result<()> {
    let whole = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if whole {
        Ok(())
    } else {
        Err(Error::new(format!("--expect-tree takes a full object id, not `{text}`"))
            .exit(Exit::Usage))
    }
}
