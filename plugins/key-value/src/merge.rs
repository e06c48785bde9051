//! The merge. Upstream's file is the frame, order and comments included; each key's value is merged by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use resolver::{Favor, Sides, TextMerge};

use crate::file::{File, Item};
use crate::syntax::Syntax;

/// How to merge.
pub struct Rules<'a> {
    /// How the files are written.
    pub syntax: Syntax,
    /// Keys that upstream renames: the old name, and the new one.
    pub renamed: &'a BTreeMap<String, String>,
    /// Whose value counts where both changed it.
    pub favor: Favor,
    /// Merges the lines of one value that both changed.
    pub text_merge: TextMerge,
}

/// What an item is, whatever its place: scope, key, for keys that come more than once the value, and the how-manieth of that.
type Id = (String, String, String, usize);

/// The merged text, or why it cannot be merged key by key.
pub fn merge(rules: &Rules<'_>, sides: &Sides) -> Result<String, String> {
    let read = |text: &str| File::read(rules.syntax, text);
    let (mut base, mut ours, theirs) = (read(&sides.base)?, read(&sides.ours)?, read(&sides.theirs)?);
    if ours.repeated_blocks() != theirs.repeated_blocks()
        || !sides.base.is_empty() && base.repeated_blocks() != theirs.repeated_blocks()
    {
        return Err("a block that comes more than once was added or removed".to_owned());
    }
    if ours.generated.is_some() != theirs.generated.is_some() {
        return Err("one side has no line `# Overrides #`".to_owned());
    }
    for file in [&mut base, &mut ours] {
        follow(rules.renamed, file, &theirs);
    }
    let merged = Merger::new(rules, &base, &ours, &theirs).merge()?;
    let keys = |file: &File| file.items.iter().map(|item| (item.scope.clone(), item.name.clone())).collect::<Vec<_>>();
    let text = merged.text();
    if keys(&read(&text)?) != keys(&merged) {
        return Err("what one side changed has lost its block on the other".to_owned());
    }
    Ok(text)
}

/// Renames keys as upstream has done.
fn follow(renamed: &BTreeMap<String, String>, file: &mut File, theirs: &File) {
    for (old, new) in renamed {
        let has = |file: &File, scope: &str, name: &str| {
            file.items.iter().any(|item| item.scope == scope && item.name == *name)
        };
        for at in 0..file.items.len() {
            let scope = file.items[at].scope.clone();
            let done = has(theirs, &scope, new) && !has(theirs, &scope, old);
            if file.items[at].name == *old && done && !has(file, &scope, new) {
                file.items[at].rename(new);
            }
        }
    }
}

/// The three files with their items by what they are.
struct Merger<'a> {
    rules: &'a Rules<'a>,
    ends: [&'a File; 3],
    base: HashMap<Id, &'a Item>,
    ours: Vec<(Id, &'a Item)>,
    theirs: Vec<(Id, &'a Item)>,
}

impl<'a> Merger<'a> {
    fn new(rules: &'a Rules<'a>, base: &'a File, ours: &'a File, theirs: &'a File) -> Self {
        let ends = [base, ours, theirs];
        let repeated: HashSet<_> = ends.iter().flat_map(|file| repeated(file)).collect();
        let [base, ours, theirs] = ends.map(|file| named(file, &repeated));
        Self { rules, ends, base: base.into_iter().collect(), ours, theirs }
    }

    fn merge(&self) -> Result<File, String> {
        let ours: HashMap<&Id, &Item> = self.ours.iter().map(|(id, item)| (id, *item)).collect();
        let mut result = Vec::new();
        for (id, theirs) in &self.theirs {
            if let Some(item) = self.both(self.base.get(id).copied(), ours.get(id).copied(), theirs)? {
                result.push((id, item));
            }
        }
        let carried = self.add_ours(&mut result);
        let [base, ours, theirs] = self.ends.map(|file| &file.end);
        let end = self.text(base, ours, theirs)?;
        let items = result.into_iter().map(|(_, item)| item).collect();
        Ok(File { items, end: carried + &end, generated: self.ends[1].generated.clone() })
    }

    /// What becomes of an item that upstream has.
    fn both(&self, base: Option<&Item>, ours: Option<&Item>, theirs: &Item) -> Result<Option<Item>, String> {
        let is_ours = self.rules.favor == Favor::Ours;
        match (base, ours) {
            (None, None) => Ok(Some(theirs.clone())),
            (Some(base), None) => {
                let stays = base.words() != theirs.words() && !is_ours;
                Ok(stays.then(|| theirs.clone()))
            }
            (base, Some(ours)) => {
                let nothing = Item::default();
                let base = base.unwrap_or(&nothing);
                let value = self.value(base, ours, theirs)?;
                let lead = self.text(&base.lead, &ours.lead, &theirs.lead)?;
                Ok(Some(Item { lead, value, ..theirs.clone() }))
            }
        }
    }

    fn value(&self, base: &Item, ours: &Item, theirs: &Item) -> Result<String, String> {
        let [was, our, their] = [base, ours, theirs].map(Item::words);
        if our == was || our == their {
            Ok(theirs.value.clone())
        } else if their == was {
            Ok(ours.value.clone())
        } else {
            self.text(&base.value, &ours.value, &theirs.value)
        }
    }

    fn text(&self, base: &str, ours: &str, theirs: &str) -> Result<String, String> {
        if ours == base || ours == theirs {
            return Ok(theirs.to_owned());
        }
        if theirs == base {
            return Ok(ours.to_owned());
        }
        let sides = Sides { base: base.to_owned(), ours: ours.to_owned(), theirs: theirs.to_owned() };
        (self.rules.text_merge)(&sides, self.rules.favor)
    }

    /// Puts what the site alone has behind what stands before it there; gives comments of the site's that found no place.
    fn add_ours<'i>(&'i self, result: &mut Vec<(&'i Id, Item)>) -> String {
        let mut place = 0;
        let mut carried = String::new();
        for (id, item) in &self.ours {
            let there = result.iter().position(|(there, _)| *there == id);
            let base = self.base.get(id);
            let changed = base.is_none_or(|base| self.rules.favor == Favor::Ours && base.words() != item.words());
            if let Some(at) = there {
                result[at].1.lead.insert_str(0, &std::mem::take(&mut carried));
                place = at + 1;
            } else if changed {
                let lead = std::mem::take(&mut carried) + &item.lead;
                result.insert(place, (id, Item { lead, ..(*item).clone() }));
                place += 1;
            } else {
                // Upstream removed it. What the site had noted there stays.
                let known: HashSet<&str> = base.map(|base| base.lead.lines()).into_iter().flatten().collect();
                carried.extend(item.lead.split_inclusive('\n').filter(|line| !known.contains(line.trim_end())));
            }
        }
        carried
    }
}

/// The keys that come more than once.
fn repeated(file: &File) -> HashSet<(&str, &str)> {
    let mut seen = HashSet::new();
    file.items.iter().map(|item| (item.scope.as_str(), item.name.as_str())).filter(|key| !seen.insert(*key)).collect()
}

fn named<'f>(file: &'f File, repeated: &HashSet<(&str, &str)>) -> Vec<(Id, &'f Item)> {
    let mut counts: HashMap<(String, String, String), usize> = HashMap::new();
    let name = |item: &'f Item| {
        let is_repeated = repeated.contains(&(item.scope.as_str(), item.name.as_str()));
        let value = if is_repeated { item.words() } else { String::new() };
        let count = counts.entry((item.scope.clone(), item.name.clone(), value.clone())).or_default();
        *count += 1;
        ((item.scope.clone(), item.name.clone(), value, *count), item)
    };
    file.items.iter().map(name).collect()
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
