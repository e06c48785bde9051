//! `history` and `show`: the site's runs and their details.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs;

use serde_json::json;

use super::Call;
use crate::error::Result;
use crate::event::Event;
use crate::git::Repo;
use crate::pipeline::{self, Account, Finished, backup, counted, versions};
use crate::plugin::Receipt;
use crate::printable;
use crate::site::journal::{self, Record};
use crate::site::store::Store;

/// `cowhand history`
pub fn history(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let runs = Store::of(Repo::open(site.root())?.git_folder()).runs()?;
    let text = if runs.is_empty() {
        "No runs yet.".to_owned()
    } else {
        runs.iter().map(line).collect::<Vec<_>>().join("\n")
    };
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
    let events: Vec<Event> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if call.arguments.json {
        let data = json!({ "run": record, "events": events, "kept": folder.kept() });
        call.company.events.emit(Event::Report {
            report: "show".to_owned(),
            data,
            text: line(&record),
        });
    } else {
        events.iter().filter(|event| !matches!(event, Event::Start { .. })).for_each(|event| {
            match event {
                Event::Plugin(called) => call.company.events.info(receipt(called)),
                event => call.company.events.emit(event.clone()),
            }
        });
        for (what, path) in [
            ("Copies of the site's files from before the run", folder.kept()),
            ("Versions of the files with merge conflicts", folder.path().join(versions::FOLDER)),
        ] {
            if path.is_dir() {
                call.company.events.info(format!("{what}: {}", path.display()));
            }
        }
        if let Some(restore) = backup::restore(&record, &folder) {
            call.company.events.info(format!(
                "The database was dumped before the switch. To restore it: {restore}"
            ));
        }
    }
    Ok(Finished::done(""))
}

/// Returns a line with a plugin's answer, its cost and the component's digest.
fn receipt(receipt: &Receipt) -> String {
    let Receipt { plugin, digest, hook, calls, micros, memory, .. } = receipt;
    let answer = match &receipt.failure {
        Some(failure) => format!("{}: {}", failure.class.name(), failure.message),
        None => receipt.answer.clone().unwrap_or_else(|| "no answer".to_owned()),
    };
    let would = if receipt.monitor { " would have answered" } else { "" };
    let (hook, took, memory) = (hook.name(), micros / 1000, bytesize::ByteSize::b(*memory));
    let calls = if *calls == 1 { String::new() } else { format!("{calls} calls, ") };
    let refused =
        receipt.refusals.iter().map(|refusal| format!("; refused {refusal}")).collect::<String>();
    format!(
        "plugin {plugin} at {hook}{would}: {answer} ({calls}{took} ms, {memory}, {digest:.19}){refused}"
    )
}

fn line(record: &Record) -> String {
    let outcome = record.ended.as_ref().map_or("unfinished".to_owned(), |ended| {
        format!("{:>3}  {}", ended.exit.code(), printable::line(&ended.message))
    });
    let Account { from, to, interrupted } = pipeline::account(record);
    let seconds = seconds(record);
    let short = |commit: Option<String>| {
        commit.map_or_else(|| "?".to_owned(), |commit| format!("{commit:.10}"))
    };
    let took = seconds.map(|seconds| format!("  {seconds} s")).unwrap_or_default();
    let services = interrupted
        .map(|count| format!("  interrupted {}", counted(count, "service")))
        .unwrap_or_default();
    let started = record.started.strftime("%Y-%m-%d %H:%M");
    format!("{}  {started}  {} → {}{took}{services}  {outcome}", record.id, short(from), short(to))
}

fn summary(record: &Record) -> serde_json::Value {
    let Account { from, to, interrupted } = pipeline::account(record);
    json!({
        "run": record.id, "command": record.command, "started": record.started, "ended": record.ended, "seconds": seconds(record),
        "stage": pipeline::last_stage(record),
        "from": from, "to": to, "interrupted": interrupted,
    })
}

fn seconds(record: &Record) -> Option<i64> {
    record.ended.as_ref().map(|ended| (ended.at - record.started).as_secs())
}
