//! The commands that only look: `list`, `inspect`, `explain`, `verify`.

use serde_json::json;

use super::{Call, tell, view};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::git::Repo;
use crate::pipeline::{Finished, plugins};
use crate::plugin::spec::Spec;
use crate::plugin::{self, Options, Source, Trust, unnamed_stock};
use crate::printable;
use crate::site::Site;

/// The site, and how its plugins are looked at.
fn open(call: &Call) -> Result<(Site, Options, Trust)> {
    let site = call.site()?;
    call.start(&site, None);
    let options = plugins::options(&site, &Repo::open(site.root())?, &call.company.events, true)?;
    let trust = options.trust.clone().unwrap_or_default();
    Ok((site, options, trust))
}

fn all(site: &Site) -> Vec<Spec> {
    let named = &site.config().plugin;
    named.iter().cloned().chain(unnamed_stock(named)).collect()
}

pub fn list(call: &Call) -> Result<Finished> {
    let (site, options, trust) = open(call)?;
    let (mut data, mut lines) = (Vec::new(), Vec::new());
    for spec in all(&site) {
        match options.examine(&spec) {
            Ok(found) => {
                data.push(view::data(&found, &trust));
                lines.extend(view::short(&found, &trust));
            }
            Err(error) => {
                data.push(view::broken(&spec, &error));
                lines.push(format!("{}  ({}; unusable)", spec.name, spec.source));
                lines.push(format!("  {}", printable::line(&error.causes().join(": "))));
            }
        }
    }
    tell(call, json!(data), &lines);
    Ok(Finished::done(""))
}

pub fn explain(call: &Call, name: &str) -> Result<Finished> {
    let (site, options, trust) = open(call)?;
    let specs = all(&site);
    let spec = specs.iter().find(|spec| spec.name == name).ok_or_else(|| unknown(name, &specs))?;
    let found = options.examine(spec)?;
    tell(call, view::data(&found, &trust), &view::long(&found, &trust));
    Ok(Finished::done(""))
}

/// There is no such plugin.
pub fn unknown(name: &str, specs: &[Spec]) -> Error {
    let error = Error::new(format!("the site has no plugin `{name}`")).exit(Exit::Usage);
    match crate::nearest::nearest(name, specs.iter().map(|spec| spec.name.as_str())) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint("`cowhand plugin list` shows the site's plugins."),
    }
}

pub async fn inspect(call: &Call, source: &str) -> Result<Finished> {
    call.start_anywhere();
    let bytes = if Source::of(source).is_remote() {
        let login = plugins::login(Source::of(source)).await?;
        plugin::fetch(source, None, login, &call.company.events).await?.bytes.into()
    } else {
        let read = plugin::read_source(source);
        read.map_err(|error| error.exit(Exit::Usage).hint(plugins::SOURCES))?.0
    };
    let found = plugin::inspect(&bytes).map_err(|error| {
        Error::new(format!("{source} is not a plugin")).because(error).exit(Exit::Usage)
    })?;
    let mut lines = vec![source.to_owned()];
    lines.extend(view::inspected(&found));
    lines.push(view::imports(&found));
    tell(call, json!(found), &lines);
    Ok(Finished::done(""))
}

/// Checks if a run would accept every plugin. Plugins are compiled now, so that no run has to.
pub async fn verify(call: &Call) -> Result<Finished> {
    let (site, options, trust) = open(call)?;
    let specs = &site.config().plugin;
    let (mut data, mut lines, mut bad) = (Vec::new(), Vec::new(), 0);
    for spec in specs {
        let problem = options.verify(spec).await.err();
        bad += usize::from(problem.is_some());
        let (ok, told) = (problem.is_none(), problem.as_ref().map(Error::summary));
        let standing = told.as_deref().unwrap_or("ok");
        lines.push(format!("{}: {}", spec.name, printable::line(standing)));
        let hints = problem.as_ref().map(|problem| problem.hints().to_vec()).unwrap_or_default();
        lines.extend(hints.iter().map(|hint| format!("  {hint}")));
        data.push(json!({ "name": spec.name, "source": spec.source, "ok": ok, "problem": told, "hints": hints }));
    }
    for gone in
        trust.lock.plugins.iter().filter(|gone| specs.iter().all(|spec| spec.name != gone.name))
    {
        let what = "approved, but not in cowhand.toml";
        lines.push(format!("{}: {what}", gone.name));
        lines.push(format!("  `cowhand plugin remove {}` removes the approval.", gone.name));
        data.push(json!({ "name": gone.name, "source": gone.source, "ok": true, "problem": what }));
    }
    tell(call, json!(data), &lines);
    match bad {
        0 => Ok(Finished::done("Every plugin matches its approval.")),
        1 => Ok(Finished::with(Exit::Refused, "1 plugin would prevent a run.")),
        _ => Ok(Finished::with(Exit::Refused, format!("{bad} plugins would prevent a run."))),
    }
}
