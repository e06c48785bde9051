//! The commands that change what plugins a site has: `add`, `remove`, `approve`. A person sees what
//! it is about and agrees.

use serde_json::json;

use super::look::unknown;
use super::{Call, tell, view};
use crate::cli::args::AddOptions;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::pipeline::Finished;
use crate::pipeline::plugins::{Proposal, Shelf, Wanted};
use crate::plugin::spec::Spec;
use crate::plugin::{Standing, Trust};

fn open(call: &Call) -> Result<Shelf> {
    let site = call.site()?;
    call.start(&site, None);
    Shelf::open(site, &call.company.events, &crate::cli::typed())
}

pub async fn add(call: &Call, options: &AddOptions) -> Result<Finished> {
    let mut shelf = open(call)?;
    let wanted = Wanted {
        source: &options.source,
        name: options.name.as_deref(),
        digest: options.digest,
        signature: options.signature.as_deref(),
        grants: &options.grant,
    };
    let proposal = shelf.propose(&wanted).await?;
    let name = proposal.found.spec.name.clone();
    show(call, &shelf, &proposal);
    if !call.company.person.agrees(&format!("Add `{name}` and approve it?")).await? {
        return Ok(declined());
    }
    let lacking = proposal.found.lacking.clone();
    shelf.accept(proposal).await?;
    let done = Finished::done(format!(
        "Added `{name}`. It is called after the plugins above it in cowhand.toml."
    ));
    Ok(lacking
        .into_iter()
        .fold(done, |done, (request, line)| done.hint(format!("Not granted: {request}. {line}"))))
}

pub async fn approve(call: &Call, names: &[String]) -> Result<Finished> {
    let mut shelf = open(call)?;
    let specs = if names.is_empty() { needy(&shelf) } else { named(&shelf, names)? };
    if specs.is_empty() {
        return Ok(Finished::done("Nothing to approve."));
    }
    let (mut told, mut failed) = (Vec::new(), false);
    for spec in &specs {
        match approve_one(call, &mut shelf, spec).await {
            Ok(Some(done)) => told.push(done),
            Ok(None) if told.is_empty() => return Ok(declined()),
            Ok(None) => {
                told.push(format!("`{}` was declined and is unchanged.", spec.name));
                return Ok(Finished::with(Exit::Declined, told.join(" ")));
            }
            // Without names, every plugin that can be approved is meant.
            Err(error) if names.is_empty() => {
                call.company.events.warn(error.summary(), error.hints().first().cloned());
                told.push(format!("`{}` cannot be approved.", spec.name));
                failed = true;
            }
            Err(error) => return Err(told.into_iter().fold(error, Error::hint)),
        }
    }
    let text = told.join(" ");
    Ok(if failed { Finished::with(Exit::Refused, text) } else { Finished::done(text) })
}

/// Shows a plugin, approves it, and returns a message. `None` if the operator declined.
async fn approve_one(call: &Call, shelf: &mut Shelf, spec: &Spec) -> Result<Option<String>> {
    let name = &spec.name;
    let proposal = shelf.propose_named(spec).await?;
    if matches!(trust(shelf).standing(&proposal.found), Standing::Stock) {
        return Ok(Some(format!("`{name}` is part of Cowhand and needs no approval.")));
    }
    show(call, shelf, &proposal);
    if !call.company.person.agrees(&format!("Approve `{name}`?")).await? {
        return Ok(None);
    }
    shelf.accept(proposal).await?;
    Ok(Some(format!("Approved: `{name}`.")))
}

pub fn remove(call: &Call, name: &str) -> Result<Finished> {
    let mut shelf = open(call)?;
    if shelf.remove(name)? {
        return Ok(Finished::done(format!("Removed `{name}` from the site.")));
    }
    Err(unknown(name, shelf.specs()))
}

fn trust(shelf: &Shelf) -> Trust {
    shelf.options.trust.clone().unwrap_or_default()
}

/// The plugins that a run would refuse until somebody approves them.
fn needy(shelf: &Shelf) -> Vec<Spec> {
    let needs = |spec: &&Spec| match shelf.options.examine(spec) {
        Ok(found) => shelf.options.judge(&found).is_err(),
        // A plugin that is not fetched yet is fetched for its approval; other errors are reported
        // then.
        Err(_) => true,
    };
    shelf.specs().iter().filter(needs).cloned().collect()
}

fn named(shelf: &Shelf, names: &[String]) -> Result<Vec<Spec>> {
    let find = |name: &String| {
        let found = shelf.specs().iter().find(|spec| spec.name == *name);
        found.cloned().ok_or_else(|| unknown(name, shelf.specs()))
    };
    names.iter().map(find).collect()
}

fn declined() -> Finished {
    Finished::with(Exit::Declined, "Declined. Nothing was changed.")
}

/// Returns the details of an approval, and what is new in it.
fn show(call: &Call, shelf: &Shelf, proposal: &Proposal) {
    let Proposal { found, before, .. } = proposal;
    let mut lines = vec![format!("{}  ({})", found.spec.name, found.spec.source)];
    lines.extend(view::inspected(&found.inspection));
    lines.extend(view::effective(&found.allowed));
    let news = before.as_ref().map(|_| trust(shelf).standing(found));
    if let Some(Standing::Unapproved(changes)) = news {
        lines.push("  since its approval:".to_owned());
        lines.extend(changes.iter().map(|change| format!("    {change}")));
        let asked = before.as_ref().map(|before| before.requests.as_slice()).unwrap_or_default();
        let new = found.inspection.requests.iter().filter(|request| !asked.contains(request));
        lines.extend(new.map(|new| {
            format!("    it requests now: {} {}: {}", new.capability.key(), new.value, new.reason)
        }));
    }
    tell(call, json!(view::data(found, &trust(shelf))), &lines);
}
