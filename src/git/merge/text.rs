//! The three-way merge of texts: what both sides agree on, and the hunks where they do not. Pure.

use git2::{FileFavor, MergeFileInput, MergeFileOptions};

use super::Favor;
use super::similar::is_binary;
use crate::error::{Context, Result};

/// How conflicting hunks come out.
#[derive(Clone, Copy, Debug)]
pub enum Hunks<'a> {
    /// One side's or both.
    Favor(Favor),
    /// Between markers of this size, with these names.
    Marked {
        /// How many characters a marker has.
        size: u16,
        /// The name of our side.
        ours: &'a str,
        /// The name of their side.
        theirs: &'a str,
    },
}

/// A part of a merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunk {
    /// What needs no decision: unchanged, changed by one side, or by both alike.
    Agreed(Vec<u8>),
    /// Where the sides conflict.
    Conflict {
        /// What both come from.
        base: Vec<u8>,
        /// The site's lines.
        ours: Vec<u8>,
        /// Upstream's lines.
        theirs: Vec<u8>,
    },
}

/// The bytes, and whether no hunk conflicted (a favoured hunk does not count). None: one of them is not text.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], hunks: Hunks<'_>) -> Result<Option<(Vec<u8>, bool)>> {
    run(base, ours, theirs, hunks, false)
}

/// The merge as hunks, conflicting ones with their base. Joining `Agreed` and a choice for each conflict gives the text.
/// None: one of them is not text.
pub fn hunks(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<Vec<Hunk>>> {
    let longest = [base, ours, theirs].into_iter().map(longest_marker).max().unwrap_or(0);
    let size = (longest + 1).max(16);
    let Ok(size) = u16::try_from(size) else { return Ok(None) };
    let marked = run(base, ours, theirs, Hunks::Marked { size, ours: "o", theirs: "t" }, true)?;
    Ok(marked.map(|(text, _)| split(&text, usize::from(size), ends(base, ours, theirs))))
}

fn run(base: &[u8], ours: &[u8], theirs: &[u8], hunks: Hunks<'_>, with_base: bool) -> Result<Option<(Vec<u8>, bool)>> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return Ok(None);
    }
    let mut options = MergeFileOptions::new();
    options.patience(true);
    match hunks {
        Hunks::Favor(Favor::Ours) => options.favor(FileFavor::Ours),
        Hunks::Favor(Favor::Theirs) => options.favor(FileFavor::Theirs),
        Hunks::Favor(Favor::Union) => options.favor(FileFavor::Union),
        Hunks::Marked { size, ours, theirs } => {
            options.marker_size(size).our_label(ours).their_label(theirs).ancestor_label("b");
            if with_base { options.style_diff3(true) } else { options.style_standard(true) }
        }
    };
    let inputs = [base, ours, theirs].map(|content| {
        let mut input = MergeFileInput::new();
        input.content(content);
        input
    });
    let [base, ours, theirs] = &inputs;
    let merged = git2::merge_file(base, ours, theirs, Some(&mut options)).what("could not merge two texts")?;
    Ok(Some((merged.content().to_vec(), merged.is_automergeable())))
}

/// The longest run of a marker's characters at the start of a line.
fn longest_marker(text: &[u8]) -> usize {
    let run = |line: &[u8]| {
        let first = line.first().copied().filter(|byte| b"<=>|".contains(byte));
        first.map_or(0, |first| line.iter().take_while(|byte| **byte == first).count())
    };
    text.split(|byte| *byte == b'\n').map(run).max().unwrap_or(0)
}

/// Whether base, ours and theirs end without a line end; in front of a marker, one is added that must go again.
fn ends(base: &[u8], ours: &[u8], theirs: &[u8]) -> [bool; 3] {
    [base, ours, theirs].map(|text| !text.is_empty() && !text.ends_with(b"\n"))
}

fn split(text: &[u8], size: usize, open: [bool; 3]) -> Vec<Hunk> {
    let mut hunks = Vec::new();
    let mut agreed = Vec::new();
    let mut parts: [Vec<u8>; 3] = Default::default();
    let mut part = None;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match (marker(line, size), part) {
            (Some(b'<'), None) => {
                part = Some(1);
                if !agreed.is_empty() {
                    hunks.push(Hunk::Agreed(std::mem::take(&mut agreed)));
                }
            }
            (Some(b'|'), Some(1)) => part = Some(0),
            (Some(b'='), Some(0)) => part = Some(2),
            (Some(b'>'), Some(2)) => {
                part = None;
                let [base, ours, theirs] = std::mem::take(&mut parts);
                hunks.push(Hunk::Conflict { base, ours, theirs });
            }
            (_, Some(part)) => parts[part].extend_from_slice(line),
            (_, None) => agreed.extend_from_slice(line),
        }
    }
    if !agreed.is_empty() {
        hunks.push(Hunk::Agreed(agreed));
    } else if let Some(Hunk::Conflict { base, ours, theirs }) = hunks.last_mut() {
        for (part, open) in [base, ours, theirs].into_iter().zip(open) {
            if open && part.last() == Some(&b'\n') {
                part.pop();
            }
        }
    }
    hunks
}

fn marker(line: &[u8], size: usize) -> Option<u8> {
    let first = *line.first()?;
    let run = line.iter().take_while(|byte| **byte == first).count();
    (run == size && b"<=>|".contains(&first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &[u8] = b"one\ntwo\nthree\nfour\nfive\n";
    const OURS: &[u8] = b"one\nTWO\nthree\nfour\nfive\n";
    const THEIRS: &[u8] = b"one\n2\nthree\nfour\nFIVE\n";

    #[test]
    fn favour_takes_a_side_hunk_by_hunk() {
        let favor = |favor| merge(BASE, OURS, THEIRS, Hunks::Favor(favor)).unwrap().unwrap();
        assert_eq!(favor(Favor::Ours), (b"one\nTWO\nthree\nfour\nFIVE\n".to_vec(), true));
        assert_eq!(favor(Favor::Theirs), (b"one\n2\nthree\nfour\nFIVE\n".to_vec(), true));
        assert_eq!(favor(Favor::Union), (b"one\nTWO\n2\nthree\nfour\nFIVE\n".to_vec(), true));
    }

    #[test]
    fn hunks_carry_all_three_sides() {
        let [Hunk::Agreed(one), Hunk::Conflict { base, ours, theirs }, Hunk::Agreed(rest)] =
            &hunks(BASE, OURS, THEIRS).unwrap().unwrap()[..]
        else {
            panic!("three hunks");
        };
        assert_eq!((one.as_slice(), rest.as_slice()), (&b"one\n"[..], &b"three\nfour\nFIVE\n"[..]));
        assert_eq!((base.as_slice(), ours.as_slice(), theirs.as_slice()), (&b"two\n"[..], &b"TWO\n"[..], &b"2\n"[..]));
    }

    #[test]
    fn a_missing_line_end_stays_missing() {
        let found = hunks(b"a\nb", b"a\nx", b"a\ny").unwrap().unwrap();
        let conflict = Hunk::Conflict { base: b"b".to_vec(), ours: b"x".to_vec(), theirs: b"y".to_vec() };
        assert_eq!(found, [Hunk::Agreed(b"a\n".to_vec()), conflict]);
    }

    #[test]
    fn markers_in_the_text_are_text() {
        let ours = b"<<<<<<<<<<<<<<<<<<<<<<<<<<<< o\n=================\nx\n";
        let found = hunks(b"b\n", ours, b"c\n").unwrap().unwrap();
        let conflict = Hunk::Conflict { base: b"b\n".to_vec(), ours: ours.to_vec(), theirs: b"c\n".to_vec() };
        assert_eq!(found, [conflict]);
    }

    #[test]
    fn what_is_not_text_is_not_merged() {
        assert_eq!(merge(b"a\0", b"b", b"c", Hunks::Favor(Favor::Ours)).unwrap(), None);
        assert_eq!(hunks(b"a", b"b\0", b"c").unwrap(), None);
    }
}
