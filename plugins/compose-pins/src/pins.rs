//! The decision: the text as merged, with the site's pins put back and without what either side took out.

use std::collections::BTreeSet;

use resolver::Sides;

use crate::check::{keys, missing};
use crate::document::Document;
use crate::list;
use crate::yaml::{Entry, Value};

/// What of a network stays as the site changed it.
const OF_NETWORKS: [&str; 2] = ["enable_ipv6", "ipam"];

/// Puts into `merged` what the site pinned: those keys of its services; or says why that cannot be done.
pub fn keep(pinned: &[String], sides: &Sides, merged: &str) -> Result<String, String> {
    let read = |side: &str, text: &str| Document::read(text).map_err(|why| format!("{side} file: {why}"));
    let (base, ours) = (read("the former", &sides.base)?, read("the site's", &sides.ours)?);
    let (theirs, result) = (read("upstream's", &sides.theirs)?, read("the merged", merged)?);
    let mut pins = Pins { base, ours, theirs, result };
    pins.services()?;
    pins.added()?;
    let of_networks = OF_NETWORKS.map(str::to_owned);
    for (part, kept) in [("services", pinned), ("networks", &of_networks)] {
        for name in names(&pins.base, part) {
            for key in kept {
                pins.pin(&[part, &name, key])?;
            }
        }
    }
    pins.forget_what_is_gone()?;
    let known = missing(&pins.theirs);
    match missing(&pins.result).into_iter().find(|problem| !known.contains(problem)) {
        Some(problem) => Err(format!("{problem}, which is not there")),
        None => Ok(pins.result.text()),
    }
}

struct Pins {
    base: Document,
    ours: Document,
    theirs: Document,
    result: Document,
}

fn names(document: &Document, part: &str) -> Vec<String> {
    let entries = document.find(&[part]).map(|entry| entry.node.entries()).unwrap_or_default();
    entries.iter().map(|entry| entry.key.clone()).collect()
}

impl Pins {
    /// A service that upstream removed stays away, and so does one that the site took out.
    fn services(&mut self) -> Result<(), String> {
        for name in names(&self.base, "services") {
            let path = ["services", name.as_str()];
            if self.theirs.find(&path).is_none() {
                self.result.remove(&path)?;
            } else if self.ours.find(&path).is_none() {
                self.switch_off(&path)?;
            }
        }
        Ok(())
    }

    /// Takes a service out as the site did: where it stands in comments there, it does so here.
    fn switch_off(&mut self, path: &[&str; 2]) -> Result<(), String> {
        let is_comment = |line: &String| {
            let said = line.trim_start();
            said.starts_with('#') && said.trim_start_matches(['#', ' ']) == format!("{}:", path[1])
        };
        let in_comments = |document: &Document| document.all_lines().iter().any(is_comment);
        match self.result.find(path) {
            Some(entry) if in_comments(&self.ours) && !in_comments(&self.result) => {
                let range = entry.line..entry.node.last + 1;
                let lines = self.result.lines(range.clone()).iter().map(|line| format!("#{line}")).collect();
                self.result.splice(range, lines)
            }
            _ => self.result.remove(path),
        }
    }

    /// Services, volumes and networks of the site's own.
    fn added(&mut self) -> Result<(), String> {
        for part in ["services", "volumes", "networks"] {
            for name in names(&self.ours, part) {
                let path = [part, name.as_str()];
                if let (None, None, Some(entry)) =
                    (self.base.find(&path), self.result.find(&path), self.ours.find(&path))
                {
                    self.result.put(&path, &self.ours, entry)?;
                }
            }
        }
        Ok(())
    }

    /// Lets what stands at these keys be as the site changed it, if it did, and if both sides still have what it is about.
    fn pin(&mut self, path: &[&str]) -> Result<(), String> {
        let above = &path[..2];
        if self.ours.find(above).is_some() && self.result.find(above).is_some() {
            keep_changed(&mut self.result, path, self.base.find(path), &self.ours)?;
        }
        Ok(())
    }

    /// Takes references to services out that are not there.
    fn forget_what_is_gone(&mut self) -> Result<(), String> {
        let services = names(&self.result, "services");
        for service in &services {
            let path = ["services", service, "depends_on"];
            let Some(entry) = self.result.find(&path) else { continue };
            let is_list = matches!(entry.node.value, Value::List(_));
            let gone: Vec<_> = keys(&entry.node).into_iter().filter(|name| !services.contains(name)).collect();
            for name in gone {
                if is_list {
                    list::remove(&mut self.result, &path, |item| item.trim_matches('"') == name)?;
                } else {
                    self.result.remove(&[path[0], path[1], path[2], &name])?;
                }
            }
        }
        Ok(())
    }
}

fn keep_changed(result: &mut Document, path: &[&str], base: Option<&Entry>, site: &Document) -> Result<(), String> {
    let (ours, there) = (site.find(path), result.find(path));
    let words = |entry: Option<&Entry>| entry.map(|entry| entry.node.words());
    if words(ours) == words(base) || words(ours) == words(there) {
        return Ok(());
    }
    let (Some(ours), Some(there)) = (ours, there) else {
        return match ours {
            Some(ours) => result.put(path, site, ours),
            None => result.remove(path),
        };
    };
    match (&ours.node.value, &there.node.value) {
        (Value::Map(_), Value::Map(_)) => {
            let was = base.map(|base| base.node.entries()).unwrap_or_default();
            let keys: BTreeSet<&str> = was.iter().chain(ours.node.entries()).map(|entry| entry.key.as_str()).collect();
            for key in keys {
                let base = base.and_then(|base| base.node.get(key));
                keep_changed(result, &[path, &[key]].concat(), base, site)?;
            }
            Ok(())
        }
        (Value::List(_), Value::List(_)) => list::keep(result, path, base.map(|base| &base.node), (site, ours)),
        _ => result.put(path, site, ours),
    }
}

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
