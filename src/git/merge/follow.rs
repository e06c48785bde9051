//! Applies renames to the walk's entries, so that each file is merged under its final name.

use std::collections::BTreeMap;

use super::content::{Contents, Policy, kind_of};
use super::rename::Rename;
use super::walk::{BASE, Carried, Entry, OURS, Stage, THEIRS, Version};
use crate::error::Result;

const REGULAR: u32 = 0o100_000;

/// Applies the renames of both sides as git does: files that both renamed, renames onto other
/// files, renames of deleted files.
pub fn renames(
    entries: &mut BTreeMap<Vec<u8>, Entry>,
    contents: &Contents<'_>,
    mut renames: Vec<Rename>,
) -> Result<()> {
    renames.sort_by(|one, two| one.from.cmp(&two.from));
    let mut rest = renames.as_slice();
    while let [rename, more @ ..] = rest {
        rest = more;
        if entries.get(&rename.from).is_none_or(|old| old.gone) {
            continue;
        }
        match more {
            [other, more @ ..] if other.from == rename.from => {
                rest = more;
                both_renamed(entries, contents, rename, other)?;
            }
            _ => one_renamed(entries, contents, rename)?,
        }
    }
    Ok(())
}

fn both_renamed(
    entries: &mut BTreeMap<Vec<u8>, Entry>,
    contents: &Contents<'_>,
    one: &Rename,
    two: &Rename,
) -> Result<()> {
    let Some(base) = entries.get(&one.from).and_then(|old| old.stages[BASE].clone()) else {
        return Ok(());
    };
    if one.to == two.to {
        if let Some(new) = entries.get_mut(&one.to) {
            new.stages[BASE] = Some(base);
        }
        mark_gone(entries, &one.from);
        return Ok(());
    }
    let side = |rename: &Rename| {
        entries
            .get(&rename.to)
            .and_then(|new| new.stages[rename.side].as_ref())
            .map(|stage| stage.version)
    };
    let nested = [Some(base.version), side(one), side(two)];
    let merged = merged_stage(contents, &one.from, nested)?;
    for (rename, other) in [(one, two), (two, one)] {
        let Some(new) = entries.get_mut(&rename.to) else { continue };
        let own = new.stages[rename.side].as_ref().map_or(base.version, |stage| stage.version);
        new.stages[rename.side] = Some(merged.stage(own, rename.to.clone()));
        new.carried =
            (rename.side == OURS).then_some(Carried { side: OURS, base: base.version, ours: own });
        new.rename_conflict = true;
        new.twin = Some(other.to.clone());
    }
    mark_gone(entries, &one.from);
    Ok(())
}

/// A merge that is done or needs a decision.
enum Merged {
    Done(Version),
    Waits(Box<[Option<Version>; 3]>),
}

impl Merged {
    fn stage(&self, own: Version, path: Vec<u8>) -> Stage {
        match self {
            Self::Done(version) => Stage { version: *version, nested: None, path },
            Self::Waits(nested) => Stage { version: own, nested: Some(nested.clone()), path },
        }
    }
}

fn merged_stage(
    contents: &Contents<'_>,
    path: &[u8],
    versions: [Option<Version>; 3],
) -> Result<Merged> {
    if let [_, Some(one), Some(two)] = versions
        && kind_of(one.mode) == kind_of(two.mode)
    {
        let merged = contents.merge(path, versions, Policy::Look, 0)?;
        if merged.clean() {
            return Ok(Merged::Done(merged.version));
        }
    }
    Ok(Merged::Waits(Box::new(versions)))
}

fn one_renamed(
    entries: &mut BTreeMap<Vec<u8>, Entry>,
    contents: &Contents<'_>,
    rename: &Rename,
) -> Result<()> {
    let side = rename.side;
    let other = OURS + THEIRS - side;
    let (Some(old), Some(new)) =
        (entries.get(&rename.from).cloned(), entries.get(&rename.to).cloned())
    else {
        return Ok(());
    };
    let (Some(base), Some(target)) = (old.stages[BASE].clone(), new.stages[side].clone()) else {
        return Ok(());
    };
    let there = old.stages[other].clone();
    let is_regular = |stage: &Stage| kind_of(stage.version.mode) == REGULAR;
    let type_changed = there.as_ref().is_some_and(|there| is_regular(there) != is_regular(&target));
    let taken = new.stages[other].is_some() && !type_changed;
    let mut new = new;
    match (taken, there) {
        (true, Some(there)) => {
            let mut versions = [Some(base.version), None, None];
            versions[side] = Some(target.version);
            versions[other] = Some(there.version);
            new.stages[side] = Some(
                merged_stage(contents, &rename.from, versions)?
                    .stage(target.version, rename.to.clone()),
            );
            let ours = if side == OURS { target.version } else { there.version };
            new.carried = Some(Carried { side, base: base.version, ours });
            new.equal = None;
        }
        (true, None) => new.rename_conflict = true,
        (false, there) => {
            new.stages[BASE] = Some(base);
            match there {
                _ if type_changed => {}
                None => new.rename_conflict = true,
                Some(there) => new.stages[other] = Some(there),
            }
        }
    }
    entries.insert(rename.to.clone(), new);
    if type_changed {
        if let Some(old) = entries.get_mut(&rename.from) {
            old.stages[BASE] = None;
            old.equal = None;
        }
    } else {
        mark_gone(entries, &rename.from);
    }
    Ok(())
}

fn mark_gone(entries: &mut BTreeMap<Vec<u8>, Entry>, path: &[u8]) {
    if let Some(old) = entries.get_mut(path) {
        old.gone = true;
    }
}
