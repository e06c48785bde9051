//! Merges the compose file, restores the site's pins and drops the services that either side
//! removed.

use std::collections::BTreeSet;

use resolver::Sides;

use crate::check::{Lack, keys, missing, without_image};
use crate::document::Document;
use crate::list;
use crate::yaml::{Entry, Node, Value};

/// The keys of a network that stay as the site changed them.
const OF_NETWORKS: [&str; 2] = ["enable_ipv6", "ipam"];

/// The parts of a compose file that define something with a name.
const PARTS: [&str; 5] = ["services", "volumes", "networks", "secrets", "configs"];

/// Merges the sides and restores these keys of the site's services. The error says why that is not
/// possible.
pub fn keep(
    pinned: &[String],
    sides: &Sides,
    merge: impl FnOnce(&Sides) -> Result<String, String>,
) -> Result<String, String> {
    let (sides, ends) = sides.plain()?;
    let read =
        |side: &str, text: &str| Document::read(text).map_err(|why| format!("{side} file: {why}"));
    let (base, ours) = (read("the base", &sides.base)?, read("the site's", &sides.ours)?);
    let (theirs, result) =
        (read("upstream's", &sides.theirs)?, read("the merged", &merge(&sides)?)?);
    let mut pins = Pins { base, ours, theirs, result };
    pins.are_blocks()?;
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
    pins.holds_together()?;
    Ok(ends.put(pins.result.text()))
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
    /// Checks that pinned parts are written in block style on every side. In flow style their keys
    /// would seem to be missing.
    fn are_blocks(&self) -> Result<(), String> {
        for document in [&self.base, &self.ours, &self.theirs, &self.result] {
            for part in PARTS {
                let Some(entry) = document.find(&[part]) else { continue };
                let is_pinned = |name: &str| {
                    ["services", "networks"].contains(&part)
                        && self.base.find(&[part, name]).is_some()
                };
                let inner = entry.node.entries().iter().filter(|entry| is_pinned(&entry.key));
                if let Some(other) = inner.chain([entry]).find(|entry| !entry.node.is_open()) {
                    return Err(format!("`{}` is not a block of keys on every side", other.key));
                }
            }
        }
        Ok(())
    }

    /// Drops the services that upstream or the site removed.
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

    /// Removes a service as the site did: commented out if it is so in the site's file.
    fn switch_off(&mut self, path: &[&str; 2]) -> Result<(), String> {
        let is_comment = |line: &String| {
            let said = line.trim_start();
            said.starts_with('#') && said.trim_start_matches(['#', ' ']) == format!("{}:", path[1])
        };
        let in_comments = |document: &Document| document.all_lines().iter().any(is_comment);
        match self.result.find(path) {
            Some(entry) if in_comments(&self.ours) && !in_comments(&self.result) => {
                let range = entry.line..entry.node.last + 1;
                let lines = self
                    .result
                    .lines(range.clone())
                    .iter()
                    .map(|line| format!("#{line}"))
                    .collect();
                self.result.splice(range, lines)
            }
            _ => self.result.remove(path),
        }
    }

    /// Restores everything that only one side added as that side has it, and everything that both
    /// added if the result lacks it.
    fn added(&mut self) -> Result<(), String> {
        for (side, other) in [(&self.ours, &self.theirs), (&self.theirs, &self.ours)] {
            for (part, name) in PARTS
                .iter()
                .flat_map(|part| names(side, part).into_iter().map(|name| (*part, name)))
            {
                let path = [part, name.as_str()];
                let (None, Some(entry)) = (self.base.find(&path), side.find(&path)) else {
                    continue;
                };
                let there = self.result.find(&path).map(|entry| entry.node.words());
                let is_due = there
                    .is_none_or(|words| other.find(&path).is_none() && words != entry.node.words());
                if is_due {
                    self.result.put(&path, side, entry)?;
                }
            }
        }
        Ok(())
    }

    /// Sets the value at a path to the site's if the site changed it, or else to upstream's. Does
    /// nothing unless the site, upstream and the result all have the service or network.
    fn pin(&mut self, path: &[&str]) -> Result<(), String> {
        let above = &path[..2];
        if [&self.ours, &self.theirs, &self.result]
            .iter()
            .any(|document| document.find(above).is_none())
        {
            return Ok(());
        }
        let (base, ours) = (self.base.find(path), self.ours.find(path));
        let is_simple =
            ours.is_none_or(|entry| matches!(entry.node.value, Value::Text(_) | Value::Flow(_)));
        if !is_simple || words(ours) == words(base) {
            keep_changed(&mut self.result, path, base, &self.theirs)?;
        }
        keep_changed(&mut self.result, path, base, &self.ours)
    }

    /// Removes references to services that no longer exist, but not to services that the site has
    /// in another file.
    fn forget_what_is_gone(&mut self) -> Result<(), String> {
        let services = names(&self.result, "services");
        let mut known = [names(&self.base, "services"), names(&self.theirs, "services")].concat();
        let elsewhere: Vec<_> =
            missing(&self.ours).into_iter().filter(|lack| lack.kind == "service").collect();
        known.retain(|name| {
            !services.contains(name) && !elsewhere.iter().any(|lack| lack.name == *name)
        });
        let is_gone = |name: &str| known.iter().any(|known| known == name);
        for service in &services {
            let path = ["services", service, "depends_on"];
            let Some(entry) = self.result.find(&path) else { continue };
            let gone: Vec<_> = keys(&entry.node).into_iter().filter(|name| is_gone(name)).collect();
            match entry.node.value {
                _ if gone.is_empty() => {}
                Value::List(_) => {
                    list::remove(&mut self.result, &path, |item| is_gone(item.trim_matches('"')))?;
                }
                Value::Flow(_) => list::remove_in_brackets(&mut self.result, &path, is_gone)?,
                _ => gone
                    .iter()
                    .try_for_each(|name| self.result.remove(&[path[0], path[1], path[2], name]))?,
            }
        }
        Ok(())
    }

    /// Checks that the result refers to nothing undefined, except where a side already does.
    fn holds_together(&self) -> Result<(), String> {
        if names(&self.result, "services").is_empty() {
            return Err("the merged file has no services".to_owned());
        }
        let known = [missing(&self.theirs), missing(&self.ours)].concat();
        let is_known = |lack: &Lack| {
            known.iter().any(|known| known.kind == lack.kind && known.name == lack.name)
        };
        if let Some(lack) = missing(&self.result).iter().find(|lack| !is_known(lack)) {
            return Err(format!("{lack}, which does not exist"));
        }
        let known = [without_image(&self.theirs), without_image(&self.ours)].concat();
        match without_image(&self.result).into_iter().find(|name| !known.contains(name)) {
            Some(name) => Err(format!("service {name} no longer has an image")),
            None => Ok(()),
        }
    }
}

fn words(entry: Option<&Entry>) -> Option<String> {
    entry.map(|entry| entry.node.words())
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.is_empty())
}

fn keep_changed(
    result: &mut Document,
    path: &[&str],
    base: Option<&Entry>,
    site: &Document,
) -> Result<(), String> {
    let (ours, there) = (site.find(path), result.find(path));
    if words(ours) == words(base) || words(ours) == words(there) {
        return Ok(());
    }
    let (Some(ours), Some(there)) = (ours, there) else {
        return match ours {
            Some(ours) => result.put(path, site, ours),
            None => result.remove(path),
        };
    };
    // If the base was written in another style, single changes cannot be determined.
    let was_open = base.is_none_or(|base| base.node.is_open());
    let was_list =
        base.is_none_or(|base| matches!(base.node.value, Value::List(_)) || is_empty(&base.node));
    match (&ours.node.value, &there.node.value) {
        (Value::Map(_), Value::Map(_)) if was_open => {
            let was = base.map(|base| base.node.entries()).unwrap_or_default();
            let keys: BTreeSet<&str> =
                was.iter().chain(ours.node.entries()).map(|entry| entry.key.as_str()).collect();
            for key in keys {
                let base = base.and_then(|base| base.node.get(key));
                keep_changed(result, &[path, &[key]].concat(), base, site)?;
            }
            Ok(())
        }
        (Value::List(_), Value::List(_)) if was_list => {
            list::keep(result, path, base.map(|base| &base.node), (site, ours))
        }
        _ => result.put(path, site, ours),
    }
}

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
