//! The three-way merge of texts by git's rules: agreements, and hunks with conflicts. Pure
//! functions.

use std::ops::Range;

use super::Favor;
use super::lines::{self, Change, Numbers, Text};
use super::similar::is_binary;

/// The output of conflicting hunks.
#[derive(Clone, Copy, Debug)]
pub enum Hunks<'a> {
    /// One side's lines, or both sides'.
    Favor(Favor),
    /// Between markers of this size, with these names.
    Marked {
        /// The number of characters of a marker.
        size: usize,
        /// The name of our side.
        ours: &'a str,
        /// The name of their side.
        theirs: &'a str,
    },
    /// No output: the caller only asks if there is a conflict.
    Unwritten,
}

/// A part of a merged text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hunk {
    /// Text without a conflict: unchanged, changed by one side, or by both alike.
    Agreed(Vec<u8>),
    /// A conflict.
    Conflict {
        /// The base's lines.
        base: Vec<u8>,
        /// The site's lines.
        ours: Vec<u8>,
        /// Upstream's lines.
        theirs: Vec<u8>,
    },
}

/// Returns the merged bytes and true if no hunk conflicted (a favoured hunk does not count). `None`
/// if one of them is not text.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], hunks: Hunks<'_>) -> Option<(Vec<u8>, bool)> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return None;
    }
    let mut numbers = Numbers::default();
    let three =
        Three { base: numbers.text(base), ours: numbers.text(ours), theirs: numbers.text(theirs) };
    let mut regions = three.regions();
    three.refine(&mut regions);
    if matches!(hunks, Hunks::Marked { .. } | Hunks::Favor(Favor::Union)) {
        join_near(&mut regions);
    }
    let clean = matches!(hunks, Hunks::Favor(_))
        || regions.iter().all(|region| region.who != Who::Conflict);
    let unwritten = matches!(hunks, Hunks::Unwritten) && !clean;
    Some((if unwritten { Vec::new() } else { three.write(&regions, hunks) }, clean))
}

/// Returns the merge as hunks. Joined, with a choice for each conflict, they are the text of
/// [`merge`]. With `favor` each conflict is decided, as its own hunk. `None` if one of the three is
/// not text.
pub fn hunks(base: &[u8], ours: &[u8], theirs: &[u8], favor: Option<Favor>) -> Option<Vec<Hunk>> {
    if [base, ours, theirs].into_iter().any(is_binary) {
        return None;
    }
    let mut numbers = Numbers::default();
    let three =
        Three { base: numbers.text(base), ours: numbers.text(ours), theirs: numbers.text(theirs) };
    let mut regions = three.regions();
    if favor.is_some() {
        three.refine(&mut regions);
    }
    if favor == Some(Favor::Union) {
        join_near(&mut regions);
    }
    Some(three.hunks(&regions, favor))
}

/// The side that changed a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    Theirs,
    Both,
    Conflict,
}

/// A part of the three texts that a side changed.
#[derive(Clone, Debug)]
struct Region {
    who: Who,
    base: Range<usize>,
    ours: Range<usize>,
    theirs: Range<usize>,
}

struct Three<'t> {
    base: Text<'t>,
    ours: Text<'t>,
    theirs: Text<'t>,
}

impl Three<'_> {
    /// Returns the changes of both sides, joined where they touch.
    fn regions(&self) -> Vec<Region> {
        let ours = lines::diff(&self.base.ids, &self.ours.ids);
        let theirs = lines::diff(&self.base.ids, &self.theirs.ids);
        let mut regions = Vec::new();
        let (mut one, mut two) = (ours.iter().peekable(), theirs.iter().peekable());
        // The offsets of each side's line numbers from the base's so far.
        let mut shift = [0_isize; 2];
        loop {
            match (one.peek().copied(), two.peek().copied()) {
                (Some(a), b) if b.is_none_or(|b| a.old.end < b.old.start) => {
                    let theirs = moved(&a.old, shift[1]);
                    append(
                        &mut regions,
                        Region { who: Who::Ours, base: a.old.clone(), ours: a.new.clone(), theirs },
                    );
                    shift[0] = offset(a);
                    one.next();
                }
                (a, Some(b)) if a.is_none_or(|a| b.old.end < a.old.start) => {
                    let ours = moved(&b.old, shift[0]);
                    append(
                        &mut regions,
                        Region {
                            who: Who::Theirs,
                            base: b.old.clone(),
                            ours,
                            theirs: b.new.clone(),
                        },
                    );
                    shift[1] = offset(b);
                    two.next();
                }
                (Some(a), Some(b)) => {
                    if !self.alike(a, b) {
                        append(&mut regions, touching(a, b));
                    }
                    let (end, other_end) = (a.old.end, b.old.end);
                    if end >= other_end {
                        shift[1] = offset(b);
                        two.next();
                    }
                    if other_end >= end {
                        shift[0] = offset(a);
                        one.next();
                    }
                }
                _ => return regions,
            }
        }
    }

    /// Returns true if both sides made the same change.
    fn alike(&self, a: &Change, b: &Change) -> bool {
        a.old == b.old && self.ours.ids[a.new.clone()] == self.theirs.ids[b.new.clone()]
    }

    /// Narrows conflicts to the lines in which the two sides differ.
    fn refine(&self, regions: &mut Vec<Region>) {
        let mut refined = Vec::with_capacity(regions.len());
        for region in regions.drain(..) {
            if region.who != Who::Conflict || region.ours.is_empty() || region.theirs.is_empty() {
                refined.push(region);
                continue;
            }
            let changes = lines::diff(
                &self.ours.ids[region.ours.clone()],
                &self.theirs.ids[region.theirs.clone()],
            );
            if changes.is_empty() {
                refined.push(Region { who: Who::Both, ..region });
                continue;
            }
            refined.extend(changes.into_iter().map(|change| Region {
                who: Who::Conflict,
                base: region.base.clone(),
                ours: region.ours.start + change.old.start..region.ours.start + change.old.end,
                theirs: region.theirs.start + change.new.start
                    ..region.theirs.start + change.new.end,
            }));
        }
        *regions = refined;
    }

    fn write(&self, regions: &[Region], hunks: Hunks<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        for region in regions {
            let (ours, theirs) =
                (&self.ours.lines[region.ours.clone()], &self.theirs.lines[region.theirs.clone()]);
            let before = at..region.ours.start;
            match (region.who, hunks) {
                (Who::Both, _) => continue,
                (Who::Conflict, Hunks::Marked { size, ours: our_name, theirs: their_name }) => {
                    copy(&mut out, &self.ours.lines[before]);
                    let cr = self.needs_cr(region);
                    marker(&mut out, b'<', size, our_name, cr);
                    copy_whole(&mut out, ours, cr);
                    marker(&mut out, b'=', size, "", cr);
                    copy_whole(&mut out, theirs, cr);
                    marker(&mut out, b'>', size, their_name, cr);
                }
                (Who::Conflict, Hunks::Favor(favor)) => {
                    copy(&mut out, &self.ours.lines[before]);
                    self.choose(&mut out, region, favor);
                }
                (Who::Theirs, _) => {
                    copy(&mut out, &self.ours.lines[before]);
                    copy(&mut out, theirs);
                }
                (Who::Ours, _) | (Who::Conflict, Hunks::Unwritten) => {
                    copy(&mut out, &self.ours.lines[before]);
                    copy(&mut out, ours);
                }
            }
            at = region.ours.end;
        }
        copy(&mut out, &self.ours.lines[at..]);
        out
    }

    /// Writes a conflict with a favoured side.
    fn choose(&self, out: &mut Vec<u8>, region: &Region, favor: Favor) {
        let (ours, theirs) =
            (&self.ours.lines[region.ours.clone()], &self.theirs.lines[region.theirs.clone()]);
        match favor {
            Favor::Ours => copy(out, ours),
            Favor::Theirs => copy(out, theirs),
            Favor::Union => {
                copy_whole(out, ours, self.needs_cr(region));
                copy(out, theirs);
            }
        }
    }

    /// Returns a conflict as a hunk. `None` if both sides made the same change.
    fn conflict(&self, region: &Region, favor: Option<Favor>) -> Option<Hunk> {
        let (ours, theirs) = (region.ours.clone(), region.theirs.clone());
        if let Some(favor) = favor {
            let mut chosen = Vec::new();
            self.choose(&mut chosen, region, favor);
            return Some(Hunk::Agreed(chosen));
        }
        (self.ours.ids[ours.clone()] != self.theirs.ids[theirs.clone()]).then(|| Hunk::Conflict {
            base: self.base.lines[region.base.clone()].concat(),
            ours: self.ours.lines[ours].concat(),
            theirs: self.theirs.lines[theirs].concat(),
        })
    }

    fn hunks(&self, regions: &[Region], favor: Option<Favor>) -> Vec<Hunk> {
        let mut hunks = Vec::new();
        let mut agreed = Vec::new();
        let mut at = 0;
        for region in regions {
            copy(&mut agreed, &self.ours.lines[at..region.ours.start]);
            at = region.ours.end;
            let conflict =
                (region.who == Who::Conflict).then(|| self.conflict(region, favor)).flatten();
            match conflict {
                Some(conflict) => {
                    hunks.extend([Hunk::Agreed(std::mem::take(&mut agreed)), conflict]);
                }
                None if region.who == Who::Theirs => {
                    copy(&mut agreed, &self.theirs.lines[region.theirs.clone()]);
                }
                None => copy(&mut agreed, &self.ours.lines[region.ours.clone()]),
            }
        }
        copy(&mut agreed, &self.ours.lines[at..]);
        hunks.push(Hunk::Agreed(agreed));
        hunks.retain(|hunk| !matches!(hunk, Hunk::Agreed(lines) if lines.is_empty()));
        hunks
    }

    /// Returns true if lines added around a conflict end in CR LF: as the base's first line does,
    /// unless the lines around say otherwise.
    fn needs_cr(&self, region: &Region) -> bool {
        let ends = |text: &Text<'_>, at: usize| ends_in_crlf(&text.lines, at.saturating_sub(1));
        ends(&self.ours, region.ours.start) != Some(false)
            && ends(&self.theirs, region.theirs.start) != Some(false)
            && ends(&self.base, 0) == Some(true)
    }
}

/// Returns true if a line ends in CR LF. For a last line without an end, the one before decides.
/// `None` if unknown.
fn ends_in_crlf(lines: &[&[u8]], at: usize) -> Option<bool> {
    let line = lines.get(at)?;
    if line.ends_with(b"\n") {
        return Some(line.ends_with(b"\r\n"));
    }
    at.checked_sub(1).map(|before| lines[before].ends_with(b"\r\n"))
}

fn moved(range: &Range<usize>, shift: isize) -> Range<usize> {
    range.start.saturating_add_signed(shift)..range.end.saturating_add_signed(shift)
}

/// Returns the offset of the new text's numbers after a change.
fn offset(change: &Change) -> isize {
    change.new.end.cast_signed() - change.old.end.cast_signed()
}

/// Returns the region of two touching changes, with the same lines of the base on both sides.
fn touching(a: &Change, b: &Change) -> Region {
    let base = a.old.start.min(b.old.start)..a.old.end.max(b.old.end);
    let widen = |change: &Change| {
        let before = change.old.start - base.start;
        let after = base.end - change.old.end;
        change.new.start.saturating_sub(before)..change.new.end + after
    };
    Region { who: Who::Conflict, ours: widen(a), theirs: widen(b), base }
}

/// Adds a region, which joins the last one if they touch.
fn append(regions: &mut Vec<Region>, region: Region) {
    match regions.last_mut() {
        Some(last)
            if region.ours.start <= last.ours.end || region.theirs.start <= last.theirs.end =>
        {
            if last.who != region.who {
                last.who = Who::Conflict;
            }
            last.base.end = region.base.end;
            last.ours.end = region.ours.end;
            last.theirs.end = region.theirs.end;
        }
        _ => regions.push(region),
    }
}

/// Joins conflicts with three lines or fewer between them, which read better as one. git writes
/// both sides' lines of such a conflict whole.
fn join_near(regions: &mut Vec<Region>) {
    const NEAR: usize = 3;
    let mut joined: Vec<Region> = Vec::with_capacity(regions.len());
    for region in regions.drain(..) {
        match joined.last_mut() {
            Some(last)
                if last.who == Who::Conflict
                    && region.who == Who::Conflict
                    && region.ours.start - last.ours.end <= NEAR =>
            {
                last.ours.end = region.ours.end;
                last.theirs.end = region.theirs.end;
            }
            _ => joined.push(region),
        }
    }
    *regions = joined;
}

fn copy(out: &mut Vec<u8>, lines: &[&[u8]]) {
    for line in lines {
        out.extend_from_slice(line);
    }
}

/// Copies lines, of which the last one must have an end.
fn copy_whole(out: &mut Vec<u8>, lines: &[&[u8]], cr: bool) {
    copy(out, lines);
    if lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
        out.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
    }
}

fn marker(out: &mut Vec<u8>, sign: u8, size: usize, name: &str, cr: bool) {
    out.extend(std::iter::repeat_n(sign, size));
    if !name.is_empty() {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &[u8] = b"one\ntwo\nthree\nfour\nfive\n";
    const OURS: &[u8] = b"one\nTWO\nthree\nfour\nfive\n";
    const THEIRS: &[u8] = b"one\n2\nthree\nfour\nFIVE\n";

    #[test]
    fn favour_takes_a_side_hunk_by_hunk() {
        let favor = |favor| merge(BASE, OURS, THEIRS, Hunks::Favor(favor)).unwrap();
        assert_eq!(favor(Favor::Ours), (b"one\nTWO\nthree\nfour\nFIVE\n".to_vec(), true));
        assert_eq!(favor(Favor::Theirs), (b"one\n2\nthree\nfour\nFIVE\n".to_vec(), true));
        assert_eq!(favor(Favor::Union), (b"one\nTWO\n2\nthree\nfour\nFIVE\n".to_vec(), true));
    }

    #[test]
    fn added_line_ends_are_the_base_s() {
        let hunks = Hunks::Marked { size: 1, ours: "a", theirs: "b" };
        let marked = |base: &[u8]| merge(base, b"1\r\n", b"2\r\n", hunks).unwrap().0;
        assert_eq!(marked(b"0\r\n"), b"< a\r\n1\r\n=\r\n2\r\n> b\r\n");
        // An empty base does not decide, whatever the sides have.
        assert_eq!(marked(b""), b"< a\n1\r\n=\n2\r\n> b\n");
    }

    #[test]
    fn with_union_near_conflicts_are_one_as_git_has_it() {
        let (base, ours, theirs) = (b"a\n}\nb\n}\n", b"a\n}\nunion\n}P\n", b"b\n}\na\n}\n");
        let merged = b"a\n}\nunion\n}P\nb\n}\na\n}\n".to_vec();
        let union = merge(base, ours, theirs, Hunks::Favor(Favor::Union)).unwrap();
        assert_eq!(union, (merged.clone(), true));
        let hunks = hunks(base, ours, theirs, Some(Favor::Union)).unwrap();
        assert_eq!(hunks, [Hunk::Agreed(merged)]);
    }

    #[test]
    fn marked_conflicts_are_not_clean() {
        let hunks = Hunks::Marked { size: 3, ours: "a", theirs: "b" };
        let (text, clean) = merge(BASE, OURS, THEIRS, hunks).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "one\n<<< a\nTWO\n===\n2\n>>> b\nthree\nfour\nFIVE\n"
        );
        assert!(!clean);
    }

    #[test]
    fn hunks_carry_all_three_sides() {
        let [Hunk::Agreed(one), Hunk::Conflict { base, ours, theirs }, Hunk::Agreed(rest)] =
            &hunks(BASE, OURS, THEIRS, None).unwrap()[..]
        else {
            panic!("three hunks");
        };
        assert_eq!((one.as_slice(), rest.as_slice()), (&b"one\n"[..], &b"three\nfour\nFIVE\n"[..]));
        assert_eq!(
            (base.as_slice(), ours.as_slice(), theirs.as_slice()),
            (&b"two\n"[..], &b"TWO\n"[..], &b"2\n"[..])
        );
    }

    #[test]
    fn a_missing_line_end_stays_missing() {
        let found = hunks(b"a\nb", b"a\nx", b"a\ny", None).unwrap();
        let conflict =
            Hunk::Conflict { base: b"b".to_vec(), ours: b"x".to_vec(), theirs: b"y".to_vec() };
        assert_eq!(found, [Hunk::Agreed(b"a\n".to_vec()), conflict]);
    }

    #[test]
    fn a_favoured_hunk_is_one_of_its_own_and_lines_in_it_stay_lines() {
        let favored = |favor| hunks(b"a\nb", b"a\nx", b"a\ny", Some(favor)).unwrap();
        let agreed = |lines: &[u8]| Hunk::Agreed(lines.to_vec());
        assert_eq!(favored(Favor::Ours), [agreed(b"a\n"), agreed(b"x")]);
        assert_eq!(favored(Favor::Theirs), [agreed(b"a\n"), agreed(b"y")]);
        assert_eq!(favored(Favor::Union), [agreed(b"a\n"), agreed(b"x\ny")]);
    }

    /// Texts of few different lines, so that changes touch often.
    fn text(seed: &mut u32) -> Vec<u8> {
        let mut next = || {
            *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *seed >> 24
        };
        let count = next() % 9;
        let mut text: Vec<u8> = (0..count)
            .flat_map(|_| {
                [b"abc"[next() as usize % 3], [b'\n', b' '][usize::from(next() % 40 == 0)]]
            })
            .collect();
        if next() % 4 == 0 {
            text.pop();
        }
        text
    }

    #[test]
    fn joined_hunks_are_what_the_merge_makes() {
        let mut seed = 1;
        for case in 0..3000 {
            let [base, ours, theirs] = [(); 3].map(|()| text(&mut seed));
            for favor in [Favor::Ours, Favor::Theirs, Favor::Union] {
                let whole = merge(&base, &ours, &theirs, Hunks::Favor(favor)).unwrap().0;
                let join = |hunk| match hunk {
                    Hunk::Agreed(lines) => lines,
                    Hunk::Conflict { ours, theirs, .. } => {
                        if favor == Favor::Ours {
                            ours
                        } else {
                            theirs
                        }
                    }
                };
                let joined =
                    |favor| hunks(&base, &ours, &theirs, favor).unwrap().into_iter().flat_map(join);
                assert_eq!(
                    joined(Some(favor)).collect::<Vec<u8>>(),
                    whole,
                    "case {case}, {favor:?}"
                );
                if favor != Favor::Union {
                    assert_eq!(
                        joined(None).collect::<Vec<u8>>(),
                        whole,
                        "case {case}, {favor:?} chosen afterwards"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_text_is_not_merged() {
        assert_eq!(merge(b"a\0", b"b", b"c", Hunks::Favor(Favor::Ours)), None);
        assert_eq!(hunks(b"a", b"b\0", b"c", None), None);
    }
}
