//! Between prepare and apply: the plan is shown, the person agrees, and the site's own script of old has its say.

use std::time::Duration;

use super::{Goal, Run};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::exit::Exit;
use crate::process::Command;
use crate::site::mailcow;

/// How long a site's own script may take.
const SCRIPT_LIMIT: Duration = Duration::from_mins(10);

/// Shows the plan and asks. Nothing has changed yet; a no leaves it so.
pub async fn ask(run: &mut Run) -> Result<()> {
    if run.options.goal != (Goal::Update { until: None }) {
        return Ok(());
    }
    run.events.emit(Event::Plan(Box::new(run.plan.clone())));
    let lost: usize = run.plan.merge.iter().flat_map(|merge| &merge.losses).map(|loss| loss.lines.len().max(1)).sum();
    let question = match lost {
        0 => "Update the site now?".to_owned(),
        lines => format!(
            "The merge drops {lines} lines that the site had written (listed above, kept in the run). Update the site now?"
        ),
    };
    if !run.person.agrees(&question).await? {
        return Err(Error::new("not updated, as asked")
            .exit(Exit::Declined)
            .hint("`cowhand update --yes` asks nothing."));
    }
    script(run, mailcow::PRE_HOOK).await.map_err(|error| {
        error
            .exit(Exit::Declined)
            .hint(format!("{} stops an update by ending with an error; mend it or take it away.", mailcow::PRE_HOOK))
    })
}

/// Runs one of the site's own scripts, where it exists.
pub async fn script(run: &Run, name: &str) -> Result<()> {
    let path = run.site.path(name);
    if !path.is_file() {
        return Ok(());
    }
    let output = Command::new("bash", SCRIPT_LIMIT)
        .arg(&path)
        .folder(run.site.root())
        .run_ok()
        .await
        .what_with(|| format!("{name} failed"))?;
    for line in output.text().lines() {
        run.events.info(format!("{name}: {line}"));
    }
    Ok(())
}
