//! What the site had written and a merge's result does not contain: line by line, whatever git called clean.

use std::collections::{HashMap, HashSet};

use git2::Oid;

use super::lines::{self, Numbers};
use super::similar::is_binary;
use super::trees::Trees;
use super::walk::{BASE, Entry, OURS, Version, Walk};
use super::{Behind, content::kind_of};
use crate::error::Result;
use crate::git::Repo;
use crate::git::conflict::{Loss, LostLine, Was};
use crate::path::SitePath;

/// A private key's lines are not for showing.
const SECRET: &[u8] = b"PRIVATE KEY-----";

/// What `tree` lacks of what the site had changed.
pub fn find(repo: &Repo, trees: &Trees<'_>, walk: &Walk, behind: &[Behind], tree: Oid) -> Result<Vec<Loss>> {
    let mut losses = Vec::new();
    let moved: HashMap<&[u8], [Option<&Vec<u8>>; 2]> = behind
        .iter()
        .filter_map(|behind| behind.clash.as_ref())
        .map(|clash| (clash.path.as_slice(), [clash.aside.as_ref(), clash.twin.as_ref()]))
        .collect();
    for (path, entry) in walk.entries.iter().filter(|(_, entry)| !entry.gone) {
        let (base, ours) = site_side(entry);
        if base == ours || entry.twin.is_some() && ours.is_none() {
            continue;
        }
        let mut places = vec![path];
        places.extend(moved.get(path.as_slice()).into_iter().flatten().flatten());
        losses.extend(compare(repo, trees, base, ours, &places, tree)?);
    }
    for obstacle in behind.iter().filter_map(|behind| behind.obstacle.as_ref()) {
        if trees.find(tree, &obstacle.blocks)?.is_some() {
            losses.extend(compare(repo, trees, None, Some(obstacle.version()), &[&obstacle.path().to_vec()], tree)?);
        }
    }
    losses.sort_by(|one, two| one.path.cmp(&two.path));
    losses.dedup_by(|one, two| one.path == two.path);
    Ok(losses)
}

/// What the file was, and what the site had made of it.
fn site_side(entry: &Entry) -> (Option<Version>, Option<Version>) {
    let ours = entry.stages[OURS].as_ref();
    let nested = ours.and_then(|stage| stage.nested.as_ref()).and_then(|nested| nested[BASE]);
    let base = entry.stages[BASE].as_ref().map(|stage| stage.version).or(nested);
    (base, ours.map(|stage| stage.version))
}

fn compare(
    repo: &Repo,
    trees: &Trees<'_>,
    base: Option<Version>,
    ours: Option<Version>,
    places: &[&Vec<u8>],
    tree: Oid,
) -> Result<Option<Loss>> {
    let mut result = None;
    let mut path = places.first().map_or(&[][..], |path| path);
    for place in places {
        result = trees.file(tree, place)?;
        if result.is_some() {
            path = place;
            break;
        }
    }
    if result == ours {
        return Ok(None);
    }
    let path = SitePath::from(path);
    let contents = [base, ours, result].map(|version| text(repo, version));
    let [base_text, our_text, result_text] = contents;
    let (Some(base_text), Some(our_text), Some(result_text)) = (base_text?, our_text?, result_text?) else {
        // Not text: whatever the site had made of it is not what is there now.
        let same = ours.map(|version| version.oid) == result.map(|version| version.oid);
        return Ok((!same).then_some(Loss { path, lines: Vec::new() }));
    };
    let secret = [&base_text, &our_text].into_iter().any(|text| text.windows(SECRET.len()).any(|part| part == SECRET));
    let lines = lost_lines(&base_text, &our_text, &result_text)?;
    let mode_lost = matches!((ours, result), (Some(ours), Some(result))
        if ours.mode != result.mode && base.is_none_or(|base| base.mode != ours.mode));
    if lines.is_empty() && !mode_lost {
        return Ok(None);
    }
    Ok(Some(Loss { path, lines: if secret { Vec::new() } else { lines } }))
}

/// A file's text; empty where there is none; none where it is not text.
fn text(repo: &Repo, version: Option<Version>) -> Result<Option<Vec<u8>>> {
    let Some(version) = version else { return Ok(Some(Vec::new())) };
    if kind_of(version.mode) != 0o100_000 {
        return Ok(None);
    }
    let content = repo.blob(version.oid)?;
    Ok((!is_binary(&content)).then_some(content))
}

/// The site's added lines that are gone and its deleted lines that are back.
pub fn lost_lines(base: &[u8], ours: &[u8], result: &[u8]) -> Result<Vec<LostLine>> {
    let mut numbers = Numbers::default();
    let [base, ours, result] = [base, ours, result].map(|text| numbers.text(text));
    let site = lines::diff(&base.ids, &ours.ids)?;
    let merge = lines::diff(&ours.ids, &result.ids)?;
    let from_base = lines::diff(&base.ids, &result.ids)?;
    let mut lost = Vec::new();
    let gone: HashSet<usize> = merge.iter().flat_map(|change| change.old.clone()).collect();
    for line in site.iter().flat_map(|change| change.new.clone()).filter(|line| gone.contains(line)) {
        lost.push(lost_line(line, ours.lines[line], Was::Added));
    }
    // A deleted line is back if the base's line is in the result, and the merge put such a line there.
    let mut put: HashMap<u32, usize> = HashMap::new();
    for line in merge.iter().flat_map(|change| change.new.clone()) {
        *put.entry(result.ids[line]).or_default() += 1;
    }
    let gone_there_too: HashSet<usize> = from_base.iter().flat_map(|change| change.old.clone()).collect();
    for line in site.iter().flat_map(|change| change.old.clone()).filter(|line| !gone_there_too.contains(line)) {
        if let Some(count) = put.get_mut(&base.ids[line]).filter(|count| **count > 0) {
            *count -= 1;
            lost.push(lost_line(line, base.lines[line], Was::Deleted));
        }
    }
    lost.sort_by_key(|line| line.line);
    Ok(lost)
}

fn lost_line(line: usize, text: &[u8], was: Was) -> LostLine {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let line = u32::try_from(line + 1).unwrap_or(u32::MAX);
    LostLine { line, was, text: String::from_utf8_lossy(text).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(base: &str, ours: &str, result: &str) -> Vec<(u32, Was, String)> {
        let lines = lost_lines(base.as_bytes(), ours.as_bytes(), result.as_bytes()).unwrap();
        lines.into_iter().map(|line| (line.line, line.was, line.text)).collect()
    }

    #[test]
    fn an_added_line_that_is_gone() {
        let found = lost("a\nb\n", "a\nmine\nb\n", "a\nb\ntheirs\n");
        assert_eq!(found, [(2, Was::Added, "mine".to_owned())]);
    }

    #[test]
    fn a_deleted_line_that_is_back() {
        let found = lost("ports:\n- 25\n- 110\nend\n", "ports:\n- 25\nend\n", "ports:\n- 25\n- 110\nend\nmore\n");
        assert_eq!(found, [(3, Was::Deleted, "- 110".to_owned())]);
    }

    #[test]
    fn a_changed_line_is_both() {
        let found = lost("x = 1\n", "x = 2\n", "x = 1\n");
        assert_eq!(found, [(1, Was::Added, "x = 2".to_owned()), (1, Was::Deleted, "x = 1".to_owned())]);
    }

    #[test]
    fn what_upstream_changed_elsewhere_is_no_loss() {
        assert_eq!(lost("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nB\nc\nD\n"), []);
    }

    #[test]
    fn one_of_two_equal_lines_deleted_is_no_loss_while_it_stays_deleted() {
        assert_eq!(lost("x\nx\nx\ny\n", "x\nx\ny\n", "x\nx\ny\nz\n"), []);
    }
}
