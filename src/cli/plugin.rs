//! `plugin`: which plugins this site has, what they may do, and what a component wants.

use std::path::Path;

use serde_json::json;

use super::Call;
use super::args::PluginCommand;
use crate::error::Result;
use crate::event::Event;
use crate::exit::Exit;
use crate::pipeline::{self, Finished};
use crate::plugin::spec::Hook;
use crate::plugin::{Inspection, Listed, Plugins, Request, inspect, read_source};

/// `cowhand plugin …`
pub async fn plugin(call: &Call, command: PluginCommand) -> Result<Finished> {
    match command {
        PluginCommand::List => list(call).await,
        PluginCommand::Inspect { source } => look_into(call, &source),
    }
}

async fn list(call: &Call) -> Result<Finished> {
    let site = call.site()?;
    call.start(&site, None);
    let options = pipeline::plugin_options(&site, &call.company.events, true);
    let listed = Plugins::load(&site.config().plugin, &options).await?.list();
    let text = listed.iter().flat_map(describe).collect::<Vec<_>>().join("\n");
    tell(call, json!(listed), text);
    Ok(Finished::done(""))
}

fn look_into(call: &Call, source: &str) -> Result<Finished> {
    let (bytes, _) = read_source(source, Path::new("."))
        .map_err(|error| error.exit(Exit::Usage).hint("Name a file, or a stock plugin as stock:NAME."))?;
    let found = inspect(&bytes)
        .map_err(|error| crate::error::Error::new(format!("{source} is no plugin")).because(error).exit(Exit::Usage))?;
    let text = [
        format!(
            "{source}: {}, hooks {} ({})",
            bytesize::ByteSize::b(found.size as u64),
            found.version,
            hooks(&found.hooks)
        ),
        format!("  digest   {}", found.digest),
        requests(&found.requests),
        format!("  imports  {}", imports(&found)),
    ];
    tell(call, json!(found), text.join("\n"));
    Ok(Finished::done(""))
}

fn describe(plugin: &Listed) -> Vec<String> {
    let may = &plugin.effective;
    let folders =
        |folders: &[std::path::PathBuf]| folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>();
    let mut lines = vec![format!("{}  ({}; {})", plugin.name, plugin.source, hooks(&plugin.hooks))];
    for (what, values) in [
        ("read", folders(&may.read)),
        ("install", may.install.clone()),
        ("http", may.http.clone()),
        ("env", may.env.clone()),
    ] {
        if !values.is_empty() {
            lines.push(format!("  may {what}: {}", values.join(", ")));
        }
    }
    lines
}

fn hooks(hooks: &[Hook]) -> String {
    hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>().join(", ")
}

fn requests(requests: &[Request]) -> String {
    if requests.is_empty() {
        return "  requests nothing".to_owned();
    }
    let line =
        |request: &Request| format!("  requests {} {}: {}", request.capability.key(), request.value, request.reason);
    requests.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn imports(found: &Inspection) -> String {
    if found.imports.is_empty() { "nothing".to_owned() } else { found.imports.join(", ") }
}

fn tell(call: &Call, data: serde_json::Value, text: String) {
    call.company.events.emit(Event::Report { report: "plugin".to_owned(), data, text });
}
