//! The difference of two texts by the histogram method: the longest common run with the rarest line
//! is kept, and the parts before and after it are compared in the same way. git's own merge uses
//! it, whatever `-X` says.

use std::collections::HashMap;
use std::ops::Range;

use super::myers;
use foldhash::fast::RandomState;

/// The limit above which a line is too frequent to anchor a match.
const TOO_OFTEN: u32 = 64;

/// Maps of lines and of their numbers. Most of a comparison's time is lookups.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// Numbers lines, so that equal lines have equal numbers.
#[derive(Default)]
pub struct Numbers<'t>(Map<&'t [u8], u32>);

/// A text as lines with their ends.
pub struct Text<'t> {
    /// The lines.
    pub lines: Vec<&'t [u8]>,
    /// Their numbers.
    pub ids: Vec<u32>,
}

impl<'t> Numbers<'t> {
    /// Splits a text into numbered lines.
    pub fn text(&mut self, text: &'t [u8]) -> Text<'t> {
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let ids = lines.iter().map(|line| self.number(line)).collect();
        Text { lines, ids }
    }

    fn number(&mut self, line: &'t [u8]) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(line).or_insert(next)
    }
}

/// Lines of the old text that were replaced by lines of the new one. One of the two may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The range in the old text.
    pub old: Range<usize>,
    /// The range in the new text.
    pub new: Range<usize>,
}

/// Returns the changes between two texts, in order.
pub fn diff(old: &[u32], new: &[u32]) -> Vec<Change> {
    let mut marks = [vec![false; old.len()], vec![false; new.len()]];
    histogram(old, new, &mut marks);
    let [gone, come] = &mut marks;
    compact(old, gone, come);
    compact(new, come, gone);
    changes(gone, come)
}

fn changes(gone: &[bool], come: &[bool]) -> Vec<Change> {
    let run =
        |marks: &[bool], from: usize| from + marks[from..].iter().take_while(|mark| **mark).count();
    let (mut at, mut there, mut changes) = (0, 0, Vec::new());
    while at < gone.len() || there < come.len() {
        let (end, there_end) = (run(gone, at), run(come, there));
        if end > at || there_end > there {
            changes.push(Change { old: at..end, new: there..there_end });
        }
        (at, there) = (end + 1, there_end + 1);
    }
    changes
}

/// The result of a search for a common run.
enum Common {
    /// These lines are the same.
    Run(Range<usize>, Range<usize>),
    /// Only lines that are too frequent.
    TooOften,
    /// Nothing.
    Nothing,
}

/// Marks the lines that are not common.
fn histogram(old: &[u32], new: &[u32], marks: &mut [Vec<bool>; 2]) {
    let mut rest = vec![(0..old.len(), 0..new.len())];
    while let Some((a, b)) = rest.pop() {
        if a.is_empty() || b.is_empty() {
            marks[0][a].fill(true);
            marks[1][b].fill(true);
            continue;
        }
        match longest_rare(old, new, &a, &b) {
            Common::Run(in_a, in_b) => {
                rest.push((in_a.end..a.end, in_b.end..b.end));
                rest.push((a.start..in_a.start, b.start..in_b.start));
            }
            Common::TooOften => {
                let [gone, come] = marks;
                myers::mark(&old[a.clone()], &new[b.clone()], &mut gone[a], &mut come[b]);
            }
            Common::Nothing => {
                marks[0][a].fill(true);
                marks[1][b].fill(true);
            }
        }
    }
}

/// The positions of the old text's lines: the first position and the count, and from each position
/// the next one.
struct Places {
    first: Map<u32, (usize, u32)>,
    next: Vec<Option<usize>>,
    start: usize,
}

impl Places {
    fn new(old: &[u32], a: &Range<usize>) -> Self {
        let mut first: Map<u32, (usize, u32)> =
            Map::with_capacity_and_hasher(a.len(), RandomState::default());
        let mut next = vec![None; a.len()];
        for at in a.clone().rev() {
            let place = first.entry(old[at]).and_modify(|(later, count)| {
                next[at - a.start] = Some(*later);
                *later = at;
                *count += 1;
            });
            place.or_insert((at, 1));
        }
        Self { first, next, start: a.start }
    }

    fn next(&self, at: usize) -> Option<usize> {
        self.next[at - self.start]
    }

    fn count(&self, line: u32) -> u32 {
        self.first.get(&line).map_or(0, |(_, count)| *count)
    }
}

fn longest_rare(old: &[u32], new: &[u32], a: &Range<usize>, b: &Range<usize>) -> Common {
    let places = Places::new(old, a);
    let mut best: Option<(Range<usize>, Range<usize>)> = None;
    let (mut rarest, mut any) = (TOO_OFTEN + 1, false);
    let mut there = b.start;
    while there < b.end {
        let mut go_on = there + 1;
        let Some((first, count)) = places.first.get(&new[there]).copied() else {
            there = go_on;
            continue;
        };
        any = true;
        let mut place = (count <= rarest).then_some(first);
        while let Some(at) = place {
            let (mut in_a, mut in_b, mut rare) = (at..at + 1, there..there + 1, count);
            while in_a.start > a.start
                && in_b.start > b.start
                && old[in_a.start - 1] == new[in_b.start - 1]
            {
                (in_a.start, in_b.start) = (in_a.start - 1, in_b.start - 1);
                rare = rare.min(places.count(old[in_a.start]));
            }
            while in_a.end < a.end && in_b.end < b.end && old[in_a.end] == new[in_b.end] {
                rare = rare.min(places.count(old[in_a.end]));
                (in_a.end, in_b.end) = (in_a.end + 1, in_b.end + 1);
            }
            go_on = go_on.max(in_b.end);
            let longest = best.as_ref().map_or(1, |(run, _)| run.len());
            let end = in_a.end;
            if in_a.len() > longest || rare < rarest {
                rarest = rare;
                best = Some((in_a, in_b));
            }
            place = places.next(at);
            while let Some(next) = place.filter(|next| *next < end) {
                place = places.next(next);
            }
        }
        there = go_on;
    }
    match best {
        _ if any && rarest > TOO_OFTEN => Common::TooOften,
        Some((in_a, in_b)) => Common::Run(in_a, in_b),
        None => Common::Nothing,
    }
}

/// A run of marked lines. An empty one is before the line at its start.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

impl Group {
    fn first(marks: &[bool]) -> Self {
        Self { start: 0, end: marks.iter().take_while(|mark| **mark).count() }
    }

    /// Moves to the next group. Returns false at the last one.
    fn forward(&mut self, marks: &[bool]) -> bool {
        if self.end == marks.len() {
            return false;
        }
        self.start = self.end + 1;
        self.end = self.start + marks[self.start..].iter().take_while(|mark| **mark).count();
        true
    }

    fn back(&mut self, marks: &[bool]) {
        self.end = self.start.saturating_sub(1);
        self.start = self.end - marks[..self.end].iter().rev().take_while(|mark| **mark).count();
    }

    fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Moves the group up by one line if the line above equals its last one. It merges with a group
    /// that it meets.
    fn slide_up(&mut self, ids: &[u32], marks: &mut [bool]) -> bool {
        if self.start == 0 || ids[self.start - 1] != ids[self.end - 1] {
            return false;
        }
        (self.start, self.end) = (self.start - 1, self.end - 1);
        marks[self.start] = true;
        marks[self.end] = false;
        while self.start > 0 && marks[self.start - 1] {
            self.start -= 1;
        }
        true
    }

    /// Moves the group down by one line if its first line equals the one below.
    fn slide_down(&mut self, ids: &[u32], marks: &mut [bool]) -> bool {
        if self.end == ids.len() || ids[self.start] != ids[self.end] {
            return false;
        }
        marks[self.start] = false;
        marks[self.end] = true;
        (self.start, self.end) = (self.start + 1, self.end + 1);
        while self.end < marks.len() && marks[self.end] {
            self.end += 1;
        }
        true
    }
}

/// Slides each group of changed lines that fits in several positions to the lowest one, or to one
/// that meets a change of the other text.
fn compact(ids: &[u32], marks: &mut [bool], others: &[bool]) {
    let (mut group, mut other) = (Group::first(marks), Group::first(others));
    loop {
        if !group.is_empty() {
            let (highest, meets) = slide(ids, marks, others, &mut group, &mut other);
            if group.end != highest && meets {
                while other.is_empty() && group.slide_up(ids, marks) {
                    other.back(others);
                }
            }
        }
        if !group.forward(marks) || !other.forward(others) {
            return;
        }
    }
}

/// Slides a group up and down to its limits, together with its counterpart. Returns its end at the
/// highest position, and whether it meets a change of the other text.
fn slide(
    ids: &[u32],
    marks: &mut [bool],
    others: &[bool],
    group: &mut Group,
    other: &mut Group,
) -> (usize, bool) {
    loop {
        let size = group.end - group.start;
        while group.slide_up(ids, marks) {
            other.back(others);
        }
        let highest = group.end;
        let mut meets = !other.is_empty();
        while group.slide_down(ids, marks) {
            other.forward(others);
            meets |= !other.is_empty();
        }
        if group.end - group.start == size {
            return (highest, meets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
        let mut numbers = Numbers::default();
        let cut =
            |text: &str| text.chars().flat_map(|c| [c, '\n']).collect::<String>().into_bytes();
        let (old, new) = (cut(old), cut(new));
        let (old, new) = (numbers.text(&old), numbers.text(&new));
        diff(&old.ids, &new.ids).into_iter().map(|change| (change.old, change.new)).collect()
    }

    #[test]
    fn finds_changes() {
        assert_eq!(found("abc", "abc"), []);
        assert_eq!(found("", "ab"), [(0..0, 0..2)]);
        assert_eq!(found("abcde", "aXcdY"), [(1..2, 1..2), (4..5, 4..5)]);
    }

    #[test]
    fn a_group_goes_as_low_as_it_can() {
        assert_eq!(found("a}b}", "a}a}b}"), [(2..2, 2..4)]);
    }

    #[test]
    fn lines_that_occur_too_often_do_not_stop_it() {
        let many = "x".repeat(200);
        assert_eq!(found(&many, &format!("{many}x")), [(200..200, 200..201)]);
        assert_eq!(
            found(&format!("a{many}"), &format!("{many}b")),
            [(0..1, 0..0), (201..201, 200..201)]
        );
    }
}
