//! `plugin`: which plugins this site has, what they may do, what a component wants, and who
//! approved it.

mod author;
mod change;
mod look;
mod view;

use serde_json::Value;

use super::Call;
use super::args::PluginCommand;
use crate::error::Result;
use crate::event::Event;
use crate::pipeline::Finished;

/// `cowhand plugin …`
pub async fn plugin(call: &Call, command: PluginCommand) -> Result<Finished> {
    match command {
        PluginCommand::List => look::list(call),
        PluginCommand::Inspect { source } => look::inspect(call, &source).await,
        PluginCommand::Explain { name } => look::explain(call, &name),
        PluginCommand::Add(options) => change::add(call, &options).await,
        PluginCommand::Remove { name } => change::remove(call, &name),
        PluginCommand::Approve { names, .. } => change::approve(call, &names).await,
        PluginCommand::Verify => look::verify(call).await,
        PluginCommand::New { name, lang, hooks } => author::new(call, &name, lang, hooks),
        PluginCommand::Test { component, cases } => {
            author::test(call, component.as_deref(), &cases).await
        }
    }
}

fn tell(call: &Call, data: Value, lines: &[String]) {
    call.company.events.emit(Event::Report {
        report: "plugin".to_owned(),
        data,
        text: lines.join("\n"),
    });
}
