//! `status`: the site's state by the journal, compared with git and the engine.

use serde_json::json;

use super::Call;
use crate::error::Result;
use crate::event::Event;
use crate::git::Repo;
use crate::pipeline::{self, Finished, Standing};
use crate::site::journal::Record;
use crate::site::lock::{Holder, Lock};
use crate::site::store::Store;

/// `cowhand status`
pub async fn status(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let repo = Repo::open(site.root())?;
    let holder = Lock::holder(&Store::of(repo.git_folder()).lock());
    let standing = pipeline::standing(&site)?;
    let facts = pipeline::observe(&repo, &standing).await;
    let (state, mut lines) = match &standing {
        Standing::NoRun => ("old", vec!["Cowhand has not changed this site yet.".to_owned()]),
        Standing::Old(record) => (
            "old",
            vec![format!("The site is in its old state: run {} was rolled back.", record.id)],
        ),
        Standing::New(record) => {
            ("new", vec![format!("The site is updated, by run {}.", record.id)])
        }
        Standing::Between(record) => ("between", between(record, holder.is_some())),
    };
    let at_work = holder.as_ref().and(pipeline::unfinished(&site)?);
    let stage = at_work.as_ref().and_then(pipeline::last_stage);
    lines.extend(holder.as_ref().map(|holder| under_way(holder, stage)));
    lines.extend(facts.lines());
    let record = standing.record();
    call.company.events.emit(Event::Report {
        report: "status".to_owned(),
        data: json!({
            "state": state,
            "run": record.map(|record| &record.id),
            "stage": record.and_then(pipeline::last_stage),
            "running": holder.map(|holder| json!({
                "pid": holder.pid, "command": holder.command, "since": holder.since,
                "run": at_work.as_ref().map(|record| &record.id), "stage": stage,
            })),
            "facts": facts,
        }),
        text: lines.join("\n"),
    });
    Ok(Finished::done(""))
}

/// Returns the lines for a site between old and new, with the commands that end that.
fn between(record: &Record, at_work: bool) -> Vec<String> {
    let (id, stage) = (&record.id, pipeline::last_stage(record).unwrap_or("its beginning"));
    let [forward, back] = pipeline::ways_out(record);
    if at_work {
        return vec![format!("The site is between old and new: run {id} is in progress.")];
    }
    vec![
        format!("The site is between old and new: run {id} stopped in {stage}."),
        format!("  → {forward}"),
        format!("  → {back}"),
    ]
}

fn under_way(holder: &Holder, stage: Option<&str>) -> String {
    let stage = stage.map(|stage| format!(", in stage {stage}")).unwrap_or_default();
    format!(
        "`cowhand {}` is running{stage} (process {}, since {}).",
        holder.command, holder.pid, holder.since
    )
}
