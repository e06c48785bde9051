//! The merge. The result follows upstream's file, including order and comments; each key's value is
//! merged on its own.

use std::collections::{BTreeMap, HashMap, HashSet};

use resolver::{Favor, Sides, TextMerge};

use crate::file::{File, Item};
use crate::row::Rows;
use crate::syntax::Syntax;

/// The rules of a merge.
pub struct Rules<'a> {
    /// The syntax of the files.
    pub syntax: Syntax,
    /// Keys that upstream renames, from old to new name.
    pub renamed: &'a BTreeMap<String, String>,
    /// The side whose value wins if both changed it.
    pub favor: Favor,
    /// Merges the lines of a value that both sides changed.
    pub text_merge: TextMerge,
}

/// An item's identity, independent of its position: scope, key, the value if the key occurs more
/// than once, and a counter for equal ones.
type Id = (String, String, String, usize);

/// Merges the sides. The error says why they cannot be merged key by key.
pub fn merge(rules: &Rules<'_>, sides: &Sides) -> Result<String, String> {
    let (sides, ends) = sides.plain()?;
    let read = |text: &str| File::read(rules.syntax, text);
    let (mut base, mut ours, theirs) =
        (read(&sides.base)?, read(&sides.ours)?, read(&sides.theirs)?);
    if ours.generated.is_some() != theirs.generated.is_some() {
        return Err("one side lacks the line `# Overrides #`".to_owned());
    }
    for file in [&mut base, &mut ours] {
        follow(rules.renamed, file, &theirs);
    }
    let rows = Rows::settle(&base, &ours, &theirs)?;
    let merged = Merger::new(rules, &base, &ours, &theirs).merge()?;
    let text = merged.text();
    if said(&read(&text)?) != said(&merged) {
        return Err("one side changed a block that the other side removed".to_owned());
    }
    rows.hold(&merged)?;
    Ok(ends.put(text))
}

/// Returns the content of a file: scopes, names and values.
fn said(file: &File) -> Vec<(&str, &str, String)> {
    file.items.iter().map(|item| (item.scope.as_str(), item.name.as_str(), item.words())).collect()
}

/// Renames keys as upstream did.
fn follow(renamed: &BTreeMap<String, String>, file: &mut File, theirs: &File) {
    let has = |file: &File, scope: &str, name: &str| {
        file.items.iter().any(|item| item.scope == scope && item.name == *name)
    };
    for (old, new) in renamed {
        let known: HashSet<String> = file
            .items
            .iter()
            .filter(|item| item.name == *new)
            .map(|item| item.scope.clone())
            .collect();
        let is_due = |item: &&mut Item| {
            let done = has(theirs, &item.scope, new) && !has(theirs, &item.scope, old);
            item.name == *old && done && !known.contains(&item.scope)
        };
        file.items.iter_mut().filter(is_due).for_each(|item| item.rename(new));
    }
}

/// The three files, with their items by identity.
struct Merger<'a> {
    rules: &'a Rules<'a>,
    ends: [&'a File; 3],
    base: HashMap<Id, (usize, &'a Item)>,
    ours: Vec<(Id, &'a Item)>,
    theirs: Vec<(Id, &'a Item)>,
}

impl<'a> Merger<'a> {
    fn new(rules: &'a Rules<'a>, base: &'a File, ours: &'a File, theirs: &'a File) -> Self {
        let ends = [base, ours, theirs];
        let repeated: HashSet<_> =
            ends.iter().flat_map(|file| repeated(rules.syntax, file)).collect();
        let [base, ours, theirs] = ends.map(|file| named(rules.syntax, file, &repeated));
        let base = base.into_iter().enumerate().map(|(at, (id, item))| (id, (at, item))).collect();
        Self { rules, ends, base, ours, theirs }
    }

    fn merge(&self) -> Result<File, String> {
        let ours: HashMap<&Id, &Item> = self.ours.iter().map(|(id, item)| (id, *item)).collect();
        let mut result = Vec::new();
        for (id, theirs) in &self.theirs {
            let base = self.base.get(id).map(|(_, item)| *item);
            if let Some(item) = self.both(base, ours.get(id).copied(), theirs)? {
                result.push((id, item));
            }
        }
        let carried = self.add_ours(&mut result)?;
        self.order(&result)?;
        let [base, ours, theirs] = self.ends.map(|file| &file.end);
        let end = self.text(base, ours, theirs)?;
        let items = result.into_iter().map(|(_, item)| item).collect();
        Ok(File { items, end: carried + &end, generated: self.ends[1].generated.clone() })
    }

    /// Merges an item that upstream has. `None` if it is dropped.
    fn both(
        &self,
        base: Option<&Item>,
        ours: Option<&Item>,
        theirs: &Item,
    ) -> Result<Option<Item>, String> {
        let is_ours = self.rules.favor == Favor::Ours;
        match (base, ours) {
            (None, None) => Ok(Some(theirs.clone())),
            (Some(base), None) => {
                let stays = base.words() != theirs.words() && !is_ours;
                Ok(stays.then(|| theirs.clone()))
            }
            (base, Some(ours)) => {
                let lead =
                    self.text(base.map_or("", |base| &base.lead), &ours.lead, &theirs.lead)?;
                Ok(Some(Item { lead, ..self.line(base, ours, theirs)? }))
            }
        }
    }

    /// Returns an item with its whole line from one side, unless its value is merged from both.
    fn line(&self, base: Option<&Item>, ours: &Item, theirs: &Item) -> Result<Item, String> {
        let was = base.map(Item::words);
        let [our, their] = [ours, theirs].map(|item| Some(item.words()));
        if our == was || our == their {
            return Ok(theirs.clone());
        }
        if their == was {
            return Ok(ours.clone());
        }
        let value = self.text(base.map_or("", |base| &base.value), &ours.value, &theirs.value)?;
        if let Some(item) = [ours, theirs].into_iter().find(|item| item.value == value) {
            return Ok(item.clone());
        }
        let is_same = ours.head.split_whitespace().eq(theirs.head.split_whitespace());
        if is_same {
            Ok(Item { value, ..theirs.clone() })
        } else {
            Err(format!("the sides write `{}` in different ways", ours.name))
        }
    }

    fn text(&self, base: &str, ours: &str, theirs: &str) -> Result<String, String> {
        if ours == base || ours == theirs {
            return Ok(theirs.to_owned());
        }
        if theirs == base {
            return Ok(ours.to_owned());
        }
        let sides =
            Sides { base: base.to_owned(), ours: ours.to_owned(), theirs: theirs.to_owned() };
        (self.rules.text_merge)(&sides, self.rules.favor)
    }

    /// Inserts the items that only the site has, each behind the item that precedes it there.
    /// Returns the site's comments that found no place.
    fn add_ours<'i>(&'i self, result: &mut Vec<(&'i Id, Item)>) -> Result<String, String> {
        let mut place = 0;
        let mut carried = String::new();
        for (number, (id, item)) in self.ours.iter().enumerate() {
            let there = result.iter().position(|(there, _)| *there == id);
            let base = self.base.get(id).map(|(_, item)| *item);
            let changed = base
                .is_none_or(|base| self.rules.favor == Favor::Ours && base.words() != item.words());
            if let Some(at) = there {
                result[at].1.lead.insert_str(0, &std::mem::take(&mut carried));
                place = at + 1;
            } else if changed {
                let lead = std::mem::take(&mut carried) + &item.lead;
                let at = self.place(result, number, place)?;
                result.insert(at, (id, Item { lead, ..(*item).clone() }));
                place = at + 1;
            } else {
                // Upstream removed it. Keep the site's comments on it.
                let known: HashSet<&str> =
                    base.map(|base| base.lead.lines()).into_iter().flatten().collect();
                carried.extend(
                    item.lead.split_inclusive('\n').filter(|line| !known.contains(line.trim_end())),
                );
            }
        }
        Ok(carried)
    }

    /// Returns the position for one of the site's items: `wanted` if possible. If a key occurs more
    /// than once, the last one may win, so the order of its values on the site's side is kept.
    fn place(&self, result: &[(&Id, Item)], number: usize, wanted: usize) -> Result<usize, String> {
        let key = key(&self.ours[number].0);
        let is_same = |id: &Id| self::key(id) == key;
        if !result.iter().any(|(id, _)| is_same(id)) {
            return Ok(wanted);
        }
        let numbers: HashMap<&Id, usize> =
            self.ours.iter().enumerate().map(|(at, (id, _))| (id, at)).collect();
        let is_later = |id: &Id| is_same(id) && numbers.get(id).is_some_and(|at| *at > number);
        let is_earlier = |id: &Id| is_same(id) && numbers.get(id).is_some_and(|at| *at < number);
        let behind = |is: &dyn Fn(&Id) -> bool| {
            result.iter().rposition(|(id, _)| is(id)).map_or(0, |at| at + 1)
        };
        let Some(end) = result.iter().position(|(id, _)| is_later(id)) else {
            return Ok(wanted.max(behind(&is_same)));
        };
        let begin = behind(&is_earlier);
        if begin > end { Err(in_two_orders(key.1)) } else { Ok(wanted.clamp(begin, end)) }
    }

    /// Checks that the site's order of the values of a repeated key is kept.
    fn order(&self, result: &[(&Id, Item)]) -> Result<(), String> {
        let theirs: HashSet<&Id> = self.theirs.iter().map(|(id, _)| id).collect();
        let merged: HashMap<&Id, usize> =
            result.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let mut places: HashMap<_, Vec<(Option<usize>, usize)>> = HashMap::new();
        for (id, _) in self.ours.iter().filter(|(id, _)| theirs.contains(id)) {
            let was = self.base.get(id).map(|(at, _)| *at);
            places.entry(key(id)).or_default().extend(merged.get(id).map(|is| (was, *is)));
        }
        let lost = |places: &[(Option<usize>, usize)]| {
            let is_upstream_s = places.iter().all(|(was, _)| was.is_some())
                && places.is_sorted_by_key(|(was, _)| *was);
            !is_upstream_s && !places.is_sorted_by_key(|(_, is)| *is)
        };
        if let Some(((_, name), _)) = places.iter().find(|(_, places)| lost(places)) {
            return Err(in_two_orders(name));
        }
        // If the site changed the last value of a key, its value has to stay the last.
        let mut base: Vec<_> = self.base.iter().map(|(id, (at, _))| (at, id)).collect();
        base.sort_unstable();
        let (was, is) =
            (lasts(base.into_iter().map(|(_, id)| id)), lasts(result.iter().map(|(id, _)| *id)));
        let ours = lasts(self.ours.iter().map(|(id, _)| id));
        let lost = ours
            .iter()
            .find(|(key, last)| was.get(*key) != Some(last) && is.get(*key) != Some(last));
        lost.map_or(Ok(()), |((_, name), _)| Err(in_two_orders(name)))
    }
}

/// Returns the last item of each key.
fn lasts<'i>(ids: impl Iterator<Item = &'i Id>) -> HashMap<(&'i str, &'i str), &'i Id> {
    ids.map(|id| (key(id), id)).collect()
}

/// Returns the scope and the name.
fn key(id: &Id) -> (&str, &str) {
    (&id.0, &id.1)
}

fn in_two_orders(name: &str) -> String {
    format!("the site's order of the values of `{name}` conflicts with upstream's")
}

/// Returns the keys that occur more than once.
fn repeated(syntax: Syntax, file: &File) -> HashSet<(String, String)> {
    let mut seen = HashSet::new();
    let keys = file.items.iter().map(|item| (item.scope.clone(), syntax.key(&item.name)));
    keys.filter(|key| !seen.insert(key.clone())).collect()
}

fn named<'f>(
    syntax: Syntax,
    file: &'f File,
    repeated: &HashSet<(String, String)>,
) -> Vec<(Id, &'f Item)> {
    let mut counts: HashMap<(String, String, String), usize> = HashMap::new();
    let name = |item: &'f Item| {
        let (scope, key) = (item.scope.clone(), syntax.key(&item.name));
        let is_repeated = repeated.contains(&(scope.clone(), key.clone()));
        let value = if is_repeated { item.words() } else { String::new() };
        let count = counts.entry((scope.clone(), key.clone(), value.clone())).or_default();
        *count += 1;
        ((scope, key, value, *count), item)
    };
    file.items.iter().map(name).collect()
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
