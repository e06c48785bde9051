//! `status`: where the site stands, from the journal and from the facts.

use serde_json::json;

use super::Call;
use crate::error::Result;
use crate::event::Event;
use crate::git::Repo;
use crate::pipeline::{self, Finished, Standing};
use crate::site::lock::{Holder, Lock};
use crate::site::store::Store;

/// `cowhand status`
pub fn status(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let repo = Repo::open(site.root())?;
    let holder = Lock::holder(&Store::of(repo.git_folder()).lock());
    let standing = pipeline::standing(&site)?;
    let facts = pipeline::observe(&repo, &standing);
    let (state, mut lines) = match &standing {
        Standing::NoRun => ("old", vec!["Cowhand has not changed this site yet.".to_owned()]),
        Standing::Old(record) => ("old", vec![format!("The site is the old one: run {} was rolled back.", record.id)]),
        Standing::New(record) => ("new", vec![format!("The site is the new one, by run {}.", record.id)]),
        Standing::Between(record) => ("between", between(&record.id, pipeline::last_stage(record))),
    };
    lines.extend(holder.as_ref().map(under_way));
    lines.extend(facts.lines());
    let run = standing.record().map(|record| record.id.clone());
    let stage = standing.record().and_then(pipeline::last_stage);
    call.company.events.emit(Event::Report {
        report: "status".to_owned(),
        data: json!({ "state": state, "run": run, "stage": stage, "running": holder, "facts": facts }),
        text: lines.join("\n"),
    });
    Ok(Finished::done(""))
}

fn between(id: &str, stage: Option<&str>) -> Vec<String> {
    vec![
        format!("The site is between old and new: run {id} ended in {}.", stage.unwrap_or("its beginning")),
        "  → `cowhand resume` finishes the update.".to_owned(),
        format!("  → `cowhand rollback {id}` makes the site the old one."),
    ]
}

fn under_way(holder: &Holder) -> String {
    format!("`cowhand {}` is at work (process {}, since {}).", holder.command, holder.pid, holder.since)
}
