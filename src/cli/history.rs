//! `history` and `show`: what the runs of this site did.

use std::fs;

use serde_json::json;

use super::Call;
use crate::error::Result;
use crate::event::Event;
use crate::git::Repo;
use crate::pipeline::{Finished, versions};
use crate::site::journal::{self, Record};
use crate::site::store::Store;

/// `cowhand history`
pub fn history(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let runs = Store::of(Repo::open(site.root())?.git_folder()).runs()?;
    let text =
        if runs.is_empty() { "No runs yet.".to_owned() } else { runs.iter().map(line).collect::<Vec<_>>().join("\n") };
    call.company.events.emit(Event::Report {
        report: "history".to_owned(),
        data: json!(runs.iter().map(summary).collect::<Vec<_>>()),
        text,
    });
    Ok(Finished::done(""))
}

/// `cowhand show RUN`
pub fn show(call: &Call, id: &str) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let folder = Store::of(Repo::open(site.root())?.git_folder()).run(id)?;
    let record = journal::read(&folder.journal())?;
    let text = fs::read_to_string(folder.events()).unwrap_or_default();
    let events: Vec<Event> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if call.arguments.json {
        let data = json!({ "run": record, "events": events, "kept": folder.kept() });
        call.company.events.emit(Event::Report { report: "show".to_owned(), data, text: line(&record) });
    } else {
        events
            .iter()
            .filter(|event| !matches!(event, Event::Start { .. }))
            .for_each(|event| call.company.events.emit(event.clone()));
        for (what, path) in [
            ("Copies of the site's own files as they were", folder.kept()),
            ("Versions of the files that the merge decided", folder.path().join(versions::FOLDER)),
        ] {
            if path.is_dir() {
                call.company.events.info(format!("{what}: {}", path.display()));
            }
        }
    }
    Ok(Finished::done(""))
}

fn line(record: &Record) -> String {
    let outcome = record
        .ended
        .as_ref()
        .map_or("unfinished".to_owned(), |ended| format!("{:>3}  {}", ended.exit.code(), ended.message));
    format!("{}  {}  {outcome}", record.id, record.started.strftime("%Y-%m-%d %H:%M"))
}

fn summary(record: &Record) -> serde_json::Value {
    let seconds = record.ended.as_ref().map(|ended| (ended.at - record.started).as_secs());
    json!({ "run": record.id, "command": record.command, "started": record.started, "ended": record.ended, "seconds": seconds })
}
