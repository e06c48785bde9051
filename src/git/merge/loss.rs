//! Losses: the site's changes that the merged result lacks, line by line, even if git calls the
//! merge clean.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use git2::{ObjectType, Oid};

use super::Behind;
use super::content::{Contents, kind_of};
use super::lines::{self, Change, Map, Numbers, Text};
use super::similar::is_binary;
use super::trees::Trees;
use super::walk::{BASE, Carried, Entry, OURS, Stage, THEIRS, Version, Walk};
use crate::error::Result;
use crate::git::blob::Content;
use crate::git::conflict::{Loss, LostLine, Was};
use crate::path::SitePath;
use crate::printable::{MOST_OF_A_TEXT, cut};
use crate::redact::names_a_key;

/// Returns the site's changes that `tree` lacks.
pub fn find(
    contents: &Contents<'_>,
    trees: &Trees<'_>,
    walk: &Walk,
    behind: &[Behind],
    tree: Oid,
) -> Result<Vec<Loss>> {
    let came_of = |change: Changed, places: &[&Vec<u8>]| Outcome::of(change, places, trees, tree);
    let mut outcomes = Vec::new();
    let moved: HashMap<&[u8], [Option<&Vec<u8>>; 2]> = behind
        .iter()
        .filter_map(|behind| behind.clash.as_ref())
        .map(|clash| (clash.path.as_slice(), [clash.aside.as_ref(), clash.twin.as_ref()]))
        .collect();
    for (path, entry) in walk.entries.iter().filter(|(_, entry)| !entry.gone) {
        let mut places = vec![path];
        places.extend(moved.get(path.as_slice()).into_iter().flatten().flatten());
        for change in site_changes(entry) {
            outcomes.push(came_of(change, &places)?);
        }
    }
    for obstacle in behind.iter().filter_map(|behind| behind.obstacle.as_ref()) {
        if trees.find(tree, &obstacle.blocks)?.is_some() {
            let change = Changed {
                ours: Some(obstacle.version()),
                theirs: obstacle.theirs,
                ..Changed::default()
            };
            outcomes.push(came_of(change, &[&obstacle.path().to_vec()])?);
        }
    }
    outcomes.retain(|outcome| outcome.result != outcome.change.ours);
    let losses = contents.each(&outcomes, |contents, outcome| outcome.loss(contents))?;
    Ok(one_for_each_path(losses.into_iter().flatten().collect()))
}

/// Two files merged under one name may each have losses.
fn one_for_each_path(mut losses: Vec<Loss>) -> Vec<Loss> {
    losses.sort_by(|one, two| one.path.cmp(&two.path));
    losses.dedup_by(|next, kept| {
        let same = next.path == kept.path;
        if same {
            let more = std::mem::take(&mut next.lines)
                .into_iter()
                .filter(|line| !kept.lines.contains(line));
            let more: Vec<LostLine> = more.collect();
            kept.lines.extend(more);
        }
        same
    });
    losses
}

/// The site's change to a file, and upstream's version.
#[derive(Clone, Copy, Default)]
struct Changed {
    base: Option<Version>,
    ours: Option<Version>,
    theirs: Option<Version>,
    /// True if the site renamed it.
    renamed: bool,
}

/// Returns the site's changes behind an entry's path: to the file itself, and to one that a rename
/// brought there.
fn site_changes(entry: &Entry) -> Vec<Changed> {
    let [base, ours, theirs] = [BASE, OURS, THEIRS].map(|side| entry.stages[side].as_ref());
    let version = |stage: Option<&Stage>| stage.map(|stage| stage.version);
    let renamed = matches!((base, ours), (Some(base), Some(ours)) if base.path != ours.path);
    let own =
        Changed { base: version(base), ours: version(ours), theirs: version(theirs), renamed };
    let brought = |carried: Carried| Changed {
        base: Some(carried.base),
        ours: Some(carried.ours),
        theirs: version(theirs),
        renamed: carried.side == OURS,
    };
    let mut changes = Vec::new();
    let site_brought_it = entry.carried.is_some_and(|carried| carried.side == OURS);
    // If both renamed a file, the site's name has the change.
    if !site_brought_it && (entry.twin.is_none() || ours.is_some()) {
        changes.push(own);
    }
    changes.extend(entry.carried.map(brought));
    changes.retain(|change| change.base != change.ours || change.renamed);
    changes
}

/// The outcome of a change of the site.
struct Outcome {
    change: Changed,
    path: SitePath,
    result: Option<Version>,
}

impl Outcome {
    /// Finds the change in a tree; `places` are the possible paths of the file.
    fn of(change: Changed, places: &[&Vec<u8>], trees: &Trees<'_>, tree: Oid) -> Result<Self> {
        let mut at = places.first().copied();
        let mut result = None;
        for place in places {
            result = trees.file(tree, place)?;
            if result.is_some() {
                at = Some(place);
                break;
            }
        }
        Ok(Self { change, path: SitePath::from(at.map_or(&[][..], Vec::as_slice)), result })
    }

    /// Returns the parts of the change that are missing.
    fn loss(&self, contents: &Contents<'_>) -> Result<Option<Loss>> {
        let Self { change, path, result } = self;
        let told = |lines| Some(Loss { path: path.clone(), lines });
        match self.texts(contents)? {
            Some(texts) => {
                let [base, ours, theirs, result] =
                    texts.each_ref().map(|text| text.as_deref().unwrap_or_default());
                let lines = lost_lines(base, ours, theirs_of(change, base, theirs), result);
                if !lines.is_empty() {
                    // The lines of a private key are not shown.
                    let secret = names_a_key(base) || names_a_key(ours);
                    return Ok(told(if secret { Vec::new() } else { lines }));
                }
            }
            None if content_lost(change, *result) => return Ok(told(Vec::new())),
            None => {}
        }
        let lost = presence_lost(change, *result)
            || overwritten_empty(change, *result)
            || mode_lost(change, *result);
        Ok(if lost { told(Vec::new()) } else { None })
    }

    /// Returns base, ours, theirs and the result as texts. `None` if the site's side is not text.
    /// Missing files are empty, and so is a result that is not text.
    fn texts<'g>(&self, contents: &Contents<'g>) -> Result<Option<[Option<Content<'g>>; 4]>> {
        let Changed { base, ours, theirs, .. } = self.change;
        let read =
            |version: Option<Version>| version.map(|version| text(contents, version)).transpose();
        let (base, ours) = (read(base)?, read(ours)?);
        if matches!(base, Some(None)) || matches!(ours, Some(None)) {
            return Ok(None);
        }
        Ok(Some([base, ours, read(theirs)?, read(self.result)?].map(Option::flatten)))
    }
}

/// Returns a file's text. `None` if it is not text.
fn text<'g>(contents: &Contents<'g>, version: Version) -> Result<Option<Content<'g>>> {
    if kind_of(version.mode) != 0o100_000 {
        return Ok(None);
    }
    let content = contents.read(version.oid)?;
    Ok((!is_binary(&content)).then_some(content))
}

/// A file without lines is lost if the result differs from the site's version.
fn content_lost(change: &Changed, result: Option<Version>) -> bool {
    let content =
        |version: Option<Version>| version.map(|version| (kind_of(version.mode), version.oid));
    content(change.ours) != content(change.base) && content(change.ours) != content(result)
}

/// Reports a changed file that is missing, or a deleted one that exists, even if no line shows it.
fn presence_lost(change: &Changed, result: Option<Version>) -> bool {
    change.ours.is_some() != result.is_some()
}

/// Reports an empty file of the site that is no longer empty.
fn overwritten_empty(change: &Changed, result: Option<Version>) -> bool {
    let is_empty = |oid| Oid::hash_object(ObjectType::Blob, &[]).is_ok_and(|empty| empty == oid);
    matches!((change.base, change.ours, result), (None, Some(ours), Some(result))
        if ours.oid != result.oid && is_empty(ours.oid))
}

fn mode_lost(change: &Changed, result: Option<Version>) -> bool {
    matches!((change.ours, result), (Some(ours), Some(result))
        if ours.mode != result.mode && change.base.is_none_or(|base| base.mode != ours.mode))
}

/// Returns upstream's text. If upstream has none, the base's: nothing in the result is then
/// upstream's.
fn theirs_of<'t>(change: &Changed, base: &'t [u8], theirs: &'t [u8]) -> &'t [u8] {
    if change.theirs.is_some() { theirs } else { base }
}

/// Returns the site's added lines that are missing and its deleted lines that are back. A missing
/// newline at the end makes no difference.
pub fn lost_lines(base: &[u8], ours: &[u8], theirs: &[u8], result: &[u8]) -> Vec<LostLine> {
    let texts = [base, ours, theirs, result].map(ended);
    // The common beginning and end of all four texts, which are most of a file, have no losses.
    let (above, below) = shared(&texts.each_ref().map(AsRef::as_ref));
    let skipped = texts[0][..above].split_inclusive(|byte| *byte == b'\n').count();
    let mut numbers = Numbers::default();
    let four =
        Four::of(texts.each_ref().map(|text| numbers.text(&text[above..text.len() - below])));
    let back = four.back();
    let gone = four.gone(&back);
    let told = |text: &Text<'_>, line: usize, was| lost_line(skipped + line, text.lines[line], was);
    let mut lost: Vec<LostLine> =
        back.iter().map(|line| told(&four.base, *line, Was::Deleted)).collect();
    lost.extend(gone.iter().map(|line| told(&four.ours, *line, Was::Added)));
    lost.sort_by_key(|line| (line.line, line.was == Was::Deleted));
    lost
}

/// The texts of a file, and their changes.
struct Four<'t> {
    base: Text<'t>,
    ours: Text<'t>,
    theirs: Text<'t>,
    result: Text<'t>,
    /// From the base to ours.
    site: Vec<Change>,
    /// From the base to theirs.
    upstream: Vec<Change>,
    /// From ours to the result.
    merge: Vec<Change>,
    /// The lines that the merge added, with counts.
    put: Map<u32, usize>,
}

impl<'t> Four<'t> {
    fn of([base, ours, theirs, result]: [Text<'t>; 4]) -> Self {
        let site = lines::diff(&base.ids, &ours.ids);
        let upstream = lines::diff(&base.ids, &theirs.ids);
        let merge = lines::diff(&ours.ids, &result.ids);
        let put = counts(merge.iter().flat_map(|change| &result.ids[change.new.clone()]));
        Self { base, ours, theirs, result, site, upstream, merge, put }
    }

    /// Returns the base's lines that the site had deleted and that are back. A line is back in
    /// place if the result has the base's line and the merge added an equal line there. It is back
    /// elsewhere, where upstream moved it, if the result has more equal lines than the site had and
    /// upstream added.
    fn back(&self) -> Vec<usize> {
        let taken_out = self.site.iter().flat_map(|change| change.old.clone());
        let mut put = self.put.clone();
        let back_somewhere: Vec<usize> =
            taken_out.filter(|line| put.contains_key(&self.base.ids[*line])).collect();
        if back_somewhere.is_empty() {
            return Vec::new();
        }
        let same = self.theirs.ids == self.result.ids;
        let from_base = if same {
            self.upstream.clone()
        } else {
            lines::diff(&self.base.ids, &self.result.ids)
        };
        let gone_there_too: HashSet<usize> =
            from_base.into_iter().flat_map(|change| change.old).collect();
        let (mut back, mut elsewhere) = (Vec::new(), Vec::new());
        for line in back_somewhere {
            match put.get_mut(&self.base.ids[line]).filter(|count| **count > 0) {
                Some(count) if !gone_there_too.contains(&line) => {
                    *count -= 1;
                    back.push(line);
                }
                Some(_) => elsewhere.push(line),
                None => {}
            }
        }
        self.add_those_elsewhere(elsewhere, &mut back);
        back
    }

    fn add_those_elsewhere(&self, elsewhere: Vec<usize>, back: &mut Vec<usize>) {
        if elsewhere.is_empty() {
            return;
        }
        let [base, ours, theirs, result] =
            [&self.base, &self.ours, &self.theirs, &self.result].map(|text| counts(&text.ids));
        let mut named = counts(back.iter().map(|line| &self.base.ids[*line]));
        for line in elsewhere {
            let id = self.base.ids[line];
            let expected = count(&ours, id) + count(&theirs, id).saturating_sub(count(&base, id));
            if count(&result, id) > expected + count(&named, id) {
                *named.entry(id).or_default() += 1;
                back.push(line);
            }
        }
    }

    /// Returns the site's added lines that are missing, given the lines that are back.
    fn gone(&self, back: &[usize]) -> Vec<usize> {
        let gone: HashSet<usize> =
            self.merge.iter().flat_map(|change| change.old.clone()).collect();
        let added = self.site.iter().flat_map(|change| change.new.clone());
        let (gone, in_place): (Vec<usize>, Vec<usize>) =
            added.partition(|line| gone.contains(line));
        let mut lost = self.nowhere(gone, back);
        lost.extend(self.one_too_few(&in_place, &lost));
        lost
    }

    /// Returns the site's added lines that are missing in place and elsewhere. Lines that the merge
    /// put elsewhere count as the site's unless upstream added them or the site had deleted them.
    fn nowhere(&self, gone: Vec<usize>, back: &[usize]) -> Vec<usize> {
        let upstream_added =
            self.upstream.iter().flat_map(|change| &self.theirs.ids[change.new.clone()]);
        let of_others = counts(upstream_added.chain(back.iter().map(|line| &self.base.ids[*line])));
        let mut put = self.put.clone();
        for (line, put) in &mut put {
            *put = put.saturating_sub(count(&of_others, *line));
        }
        let mut is_elsewhere = |line: &usize| {
            let count = put.get_mut(&self.ours.ids[*line]).filter(|count| **count > 0);
            count.map(|count| *count -= 1).is_some()
        };
        gone.into_iter().filter(|line| !is_elsewhere(line)).collect()
    }

    /// Returns the site's added lines that only seem to be in place: an equal line is there, but
    /// the result has fewer of them than the site had, apart from those that upstream deleted and
    /// those that are already reported.
    fn one_too_few(&self, in_place: &[usize], named: &[usize]) -> Vec<usize> {
        if in_place.is_empty() {
            return Vec::new();
        }
        let upstream_took =
            counts(self.upstream.iter().flat_map(|change| &self.base.ids[change.old.clone()]));
        let [in_ours, in_result] = [&self.ours, &self.result].map(|text| counts(&text.ids));
        let mut named = counts(named.iter().map(|line| &self.ours.ids[*line]));
        let is_lost = |line: &usize| -> bool {
            let id = self.ours.ids[*line];
            let named = named.entry(id).or_default();
            let lost =
                count(&in_ours, id) > count(&in_result, id) + count(&upstream_took, id) + *named;
            *named += usize::from(lost);
            lost
        };
        in_place.iter().copied().filter(is_lost).collect()
    }
}

/// Returns the number of bytes in whole lines that all four texts have in common at the beginning
/// and at the end.
fn shared(texts: &[&[u8]; 4]) -> (usize, usize) {
    let [first, others @ ..] = texts;
    let above = others
        .iter()
        .map(|other| alike(first.chunks(BLOCK), other.chunks(BLOCK)))
        .min()
        .unwrap_or_default();
    let above = first[..above].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let [first, others @ ..] = texts.map(|text| &text[above..]);
    let below = others
        .iter()
        .map(|other| alike(first.rchunks(BLOCK), other.rchunks(BLOCK)))
        .min()
        .unwrap_or_default();
    let below = &first[first.len() - below..];
    let end = below.iter().position(|byte| *byte == b'\n').map_or(below.len(), |end| end + 1);
    (above, below.len() - end)
}

/// The size of a block for comparisons, in bytes.
const BLOCK: usize = 32;

/// Returns the number of equal bytes in whole blocks.
fn alike<'t>(one: impl Iterator<Item = &'t [u8]>, other: impl Iterator<Item = &'t [u8]>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).map(|(block, _)| block.len()).sum()
}

/// Returns a text with a newline at its end.
fn ended(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_empty() || text.ends_with(b"\n") {
        text.into()
    } else {
        [text, b"\n"].concat().into()
    }
}

/// Counts each line.
fn counts<'l>(text: impl IntoIterator<Item = &'l u32>) -> Map<u32, usize> {
    text.into_iter().fold(Map::default(), |mut counts, line| {
        *counts.entry(*line).or_default() += 1;
        counts
    })
}

fn count(counts: &Map<u32, usize>, line: u32) -> usize {
    counts.get(&line).copied().unwrap_or_default()
}

fn lost_line(line: usize, text: &[u8], was: Was) -> LostLine {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let line = u32::try_from(line + 1).unwrap_or(u32::MAX);
    let text = cut(String::from_utf8_lossy(text).into_owned(), MOST_OF_A_TEXT);
    LostLine { line, was, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result is upstream's text, as if theirs were favoured.
    fn lost(base: &str, ours: &str, result: &str) -> Vec<(u32, Was, String)> {
        lost_of(base, ours, result, result)
    }

    fn lost_of(base: &str, ours: &str, theirs: &str, result: &str) -> Vec<(u32, Was, String)> {
        let [base, ours, theirs, result] = [base, ours, theirs, result].map(str::as_bytes);
        let lines = lost_lines(base, ours, theirs, result);
        lines.into_iter().map(|line| (line.line, line.was, line.text)).collect()
    }

    #[test]
    fn an_added_line_that_is_gone() {
        let found = lost("a\nb\n", "a\nmine\nb\n", "a\nb\ntheirs\n");
        assert_eq!(found, [(2, Was::Added, "mine".to_owned())]);
    }

    #[test]
    fn a_deleted_line_that_is_back() {
        let found = lost(
            "ports:\n- 25\n- 110\nend\n",
            "ports:\n- 25\nend\n",
            "ports:\n- 25\n- 110\nend\nmore\n",
        );
        assert_eq!(found, [(3, Was::Deleted, "- 110".to_owned())]);
    }

    #[test]
    fn a_changed_line_is_both() {
        let found = lost("x = 1\n", "x = 2\n", "x = 1\n");
        assert_eq!(
            found,
            [(1, Was::Added, "x = 2".to_owned()), (1, Was::Deleted, "x = 1".to_owned())]
        );
    }

    #[test]
    fn what_upstream_changed_elsewhere_is_no_loss() {
        assert_eq!(lost("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nB\nc\nD\n"), []);
    }

    #[test]
    fn a_deleted_line_that_upstream_moved_is_back_elsewhere() {
        let (base, ours) = ("port 110\na\nb\nc\nd\n", "a\nb\nc\nd\n");
        let theirs = "a\nb\nc\nd\nport 110\n";
        assert_eq!(lost_of(base, ours, theirs, theirs), [(1, Was::Deleted, "port 110".to_owned())]);
        // A line that upstream adds in another place too is upstream's.
        let theirs = "port 110\na\nb\nc\nd\nport 110\n";
        assert_eq!(lost_of(base, ours, theirs, "a\nb\nc\nd\nport 110\n"), []);
        // A line that both deleted is nowhere.
        assert_eq!(lost_of(base, ours, ours, ours), []);
    }

    #[test]
    fn an_added_line_that_stands_elsewhere_is_no_loss() {
        let (base, ours) = ("a\nb\nc\nd\n", "a\nmine\nb\nc\nd\n");
        assert_eq!(lost_of(base, ours, base, "a\nb\nc\nd\nmine\n"), []);
        // Upstream's own line is not the site's, wherever it is.
        let told = [(2, Was::Added, "mine".to_owned())];
        assert_eq!(lost(base, ours, "a\nb\nc\nd\nmine\n"), told);
        // One of two equal lines is still missing.
        let twice = "mine\na\nmine\nb\nc\nd\n";
        assert_eq!(lost_of(base, twice, base, "a\nb\nc\nd\nmine\n").len(), 1);
    }

    #[test]
    fn the_end_of_the_last_line_is_no_line() {
        assert_eq!(lost("a\n", "a\nmine", "a\nmine\nb\n"), []);
        assert_eq!(lost("a\nb", "a\n", "a\nc\n"), []);
        assert_eq!(lost("a", "a\nmine", "a\nb"), [(2, Was::Added, "mine".to_owned())]);
    }

    #[test]
    fn what_all_texts_share_changes_no_number() {
        let around = |text: &str| format!("{}{text}{}", "above\n".repeat(50), "below\n".repeat(50));
        let found = lost(&around("x\n"), &around("x\nmine\n"), &around("x\ntheirs\n"));
        assert_eq!(found, [(52, Was::Added, "mine".to_owned())]);
        // It is unknown which of the equal lines was added, but one is missing.
        let found = lost(&around(""), &around("below\n"), &around("y\n"));
        assert!(matches!(&found[..], [(51.., Was::Added, line)] if line == "below"), "{found:?}");
        assert_eq!(lost("x\ny\n", "x\nx\ny\n", "x\ny\nz\n").len(), 1);
        // Upstream may delete one of them.
        assert_eq!(lost("x\na\nb\n", "x\na\nb\nx\n", "a\nb\nx\n"), []);
    }

    #[test]
    fn one_of_two_equal_lines_deleted_is_no_loss_while_it_stays_deleted() {
        assert_eq!(lost("x\nx\nx\ny\n", "x\nx\ny\n", "x\nx\ny\nz\n"), []);
    }
}
