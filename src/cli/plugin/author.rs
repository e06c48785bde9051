//! `plugin new` and `plugin test`: what authors of plugins need, without a site.

#![expect(clippy::disallowed_methods, reason = "an author's own project is no site")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::Call;
use super::tell;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::pipeline::{self, Finished};
use crate::plugin::case::{Case, Outcome, Subject};
use crate::plugin::spec::Hook;
use crate::plugin::{Cache, Compiler, read_source};
use crate::scaffold::{self, Language};

/// `cowhand plugin new`
pub fn new(
    call: &Call,
    folder: &Path,
    language: Language,
    mut hooks: Vec<Hook>,
) -> Result<Finished> {
    begin(call);
    hooks.sort_unstable();
    hooks.dedup();
    scaffold::write(folder, language, &hooks)?;
    let next: Vec<String> =
        scaffold::commands(language).lines().map(|line| format!("  {line}")).collect();
    let shown = folder.display();
    let text = format!(
        "Created {shown}. Build and test it with\n  cd {shown}\n{}\n  cowhand plugin test",
        next.join("\n")
    );
    tell(call, json!({ "folder": folder, "hooks": hooks }), &[text]);
    Ok(Finished::done(""))
}

/// `cowhand plugin test`
pub async fn test(call: &Call, component: Option<&str>, cases: &Path) -> Result<Finished> {
    begin(call);
    let source = component.map_or_else(built_here, |named| Ok(named.to_owned()))?;
    let (bytes, _) = read_source(&source).map_err(|error| error.exit(Exit::Usage))?;
    let cases = Case::below(cases).map_err(|error| error.exit(Exit::Usage))?;
    if cases.is_empty() {
        let hint = "A case is a directory with a `case.toml`. `cowhand plugin new` writes one, `cowhand plan --record DIR` many.";
        return Err(Error::new("no cases found").exit(Exit::Usage).hint(hint));
    }
    let events = &call.company.events;
    let subject = Subject::new(
        &source,
        bytes,
        Compiler::in_this_program(),
        Cache::of_the_caller(),
        events,
        pipeline::plugins::text_merge(),
    )
    .await?;
    let (mut lines, mut told, mut failed) = (Vec::new(), Vec::new(), 0);
    for case in &cases {
        let outcome = subject.run(case).await?;
        failed += usize::from(!outcome.differences.is_empty());
        let name = case.folder.display().to_string();
        lines.push(line(&name, &outcome));
        told.push(json!({ "case": name, "answered": outcome.answered, "fuel": outcome.fuel, "differences": outcome.differences }));
    }
    tell(call, json!(told), &lines);
    match failed {
        0 => Ok(Finished::done(format!("{} of {} passed.", cases.len(), cases.len()))),
        failed => Err(Error::new(format!("{failed} of {} failed", cases.len()))),
    }
}

/// Programs get the first event that every command has; people need no site to be named.
fn begin(call: &Call) {
    if call.arguments.json {
        call.begin(Path::new("."), None);
    }
}

fn line(name: &str, outcome: &Outcome) -> String {
    let Outcome { answered, fuel, differences } = outcome;
    if differences.is_empty() {
        return format!("ok      {name}: {}, fuel {fuel}", answered.answer);
    }
    let why = differences.join("\n").replace('\n', "\n          ");
    format!("FAILED  {name}: {why}")
}

/// Finds the component that the author's tools built in this directory.
fn built_here() -> Result<String> {
    let mut found = Vec::new();
    for folder in [".", "target/wasm32-wasip2/release"] {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries {
            let path = entry.what("could not look for a component")?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                found.push(path);
            }
        }
    }
    match &found[..] {
        [one] => Ok(one.display().to_string()),
        [] => Err(Error::new("no component found")
            .exit(Exit::Usage)
            .hint("Build it first; its README says how.")),
        several => Err(Error::new(format!("found several components: {}", listed(several)))
            .exit(Exit::Usage)
            .hint("Name one: `cowhand plugin test FILE`.")),
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
