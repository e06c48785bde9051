//! The shortest difference by Myers' method with git's shortcuts, the fallback where the histogram
//! method finds only frequent lines. The shortcuts decide the result, so they are exactly git's.

use std::ops::Range;

use super::lines::Map;

/// The length of a common run that is trusted.
const SNAKE: isize = 20;
/// The cost from which a good run ends the search.
const HEURISTIC: isize = 256;
/// The cost that a search may always have.
const LEAST_COST: usize = 256;
/// The number of matches from which a line has many, however long the text.
const MOST_MATCHES: usize = 1024;
/// The distance to look around a line with many matches.
const WINDOW: usize = 100;

/// Marks the lines that are not common.
pub fn mark(old: &[u32], new: &[u32], gone: &mut [bool], come: &mut [bool]) {
    let start = old.iter().zip(new).take_while(|(one, two)| one == two).count();
    let ends = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = ends.take_while(|(one, two)| one == two).count();
    let (counts, there) = (counts(old), self::counts(new));
    let old = Kept::new(old, start..old.len() - end, &there, gone);
    let new = Kept::new(new, start..new.len() - end, &counts, come);
    let diagonals = old.lines.len() + new.lines.len() + 3;
    let most = isize::try_from(root(diagonals).max(LEAST_COST)).unwrap_or(isize::MAX);
    let front =
        || Front { reach: vec![0; diagonals], zero: signed(new.lines.len()) + 1, low: 0, high: 0 };
    let (mut ahead, mut back) = (front(), front());
    let whole = Square { old: 0..signed(old.lines.len()), new: 0..signed(new.lines.len()) };
    let mut rest = vec![(whole, false)];
    while let Some((square, exact)) = rest.pop() {
        let square = square.shrunk(&old.lines, &new.lines);
        if square.old.is_empty() {
            square.new.for_each(|at| come[new.places[unsigned(at)]] = true);
        } else if square.new.is_empty() {
            square.old.for_each(|at| gone[old.places[unsigned(at)]] = true);
        } else {
            let mut search = Search {
                old: &old.lines,
                new: &new.lines,
                square: &square,
                ahead: &mut ahead,
                back: &mut back,
                most,
            };
            let Split { old: at, new: there, exact } = search.split(exact);
            let Square { old, new } = square;
            rest.push((Square { old: old.start..at, new: new.start..there }, exact[0]));
            rest.push((Square { old: at..old.end, new: there..new.end }, exact[1]));
        }
    }
}

fn counts(lines: &[u32]) -> Map<u32, usize> {
    let mut counts: Map<u32, usize> = Map::default();
    for line in lines {
        *counts.entry(*line).or_default() += 1;
    }
    counts
}

/// Returns about the square root.
fn root(number: usize) -> usize {
    let (mut root, mut rest) = (1, number);
    while rest > 0 {
        root <<= 1;
        rest >>= 2;
    }
    root
}

fn signed(number: usize) -> isize {
    number.cast_signed()
}

fn unsigned(number: isize) -> usize {
    number.cast_unsigned()
}

/// The number of matches of a line in the other text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matches {
    None,
    Some,
    Many,
}

/// The lines worth comparing, with their positions in the text.
struct Kept {
    lines: Vec<u32>,
    places: Vec<usize>,
}

impl Kept {
    /// Marks lines without a match at once, and lines with many matches among such lines.
    fn new(text: &[u32], range: Range<usize>, there: &Map<u32, usize>, marks: &mut [bool]) -> Self {
        let many = root(text.len()).min(MOST_MATCHES);
        let matches = |line: &u32| match there.get(line) {
            None => Matches::None,
            Some(count) if *count >= many => Matches::Many,
            Some(_) => Matches::Some,
        };
        let found: Vec<Matches> = text[range.clone()].iter().map(matches).collect();
        let mut kept = Self { lines: Vec::new(), places: Vec::new() };
        for (at, matches) in found.iter().enumerate() {
            let place = range.start + at;
            let is_worth_it = match matches {
                Matches::None => false,
                Matches::Some => true,
                Matches::Many => !is_among_strangers(&found, at),
            };
            if is_worth_it {
                kept.lines.push(text[place]);
                kept.places.push(place);
            } else {
                marks[place] = true;
            }
        }
        kept
    }
}

/// Returns true if a line with many matches is in a run of lines that mostly have none.
fn is_among_strangers(found: &[Matches], at: usize) -> bool {
    let before = run(found[at.saturating_sub(WINDOW)..at].iter().rev());
    let after = run(found[at + 1..found.len().min(at + 1 + WINDOW)].iter());
    let (none, many) = (before.0 + after.0, before.1 + after.1);
    before.0 > 0 && after.0 > 0 && many * 4 < many + none
}

/// Counts the lines without matches and with many, up to the next line with some matches. The line
/// itself counts too.
fn run<'a>(found: impl Iterator<Item = &'a Matches>) -> (usize, usize) {
    let strangers = found.take_while(|matches| **matches != Matches::Some);
    strangers.fold((0, 1), |(none, many), matches| match matches {
        Matches::None => (none + 1, many),
        _ => (none, many + 1),
    })
}

/// Parts of both texts that are compared.
struct Square {
    old: Range<isize>,
    new: Range<isize>,
}

impl Square {
    /// Returns the square without the common lines at its start and its end.
    fn shrunk(mut self, old: &[u32], new: &[u32]) -> Self {
        let same = |at: isize, there: isize| old[unsigned(at)] == new[unsigned(there)];
        let some = |square: &Self| !square.old.is_empty() && !square.new.is_empty();
        while some(&self) && same(self.old.start, self.new.start) {
            (self.old.start, self.new.start) = (self.old.start + 1, self.new.start + 1);
        }
        while some(&self) && same(self.old.end - 1, self.new.end - 1) {
            (self.old.end, self.new.end) = (self.old.end - 1, self.new.end - 1);
        }
        self
    }
}

/// The progress of a search on every other diagonal between `low` and `high`: the line in the old
/// text.
struct Front {
    reach: Vec<isize>,
    zero: isize,
    low: isize,
    high: isize,
}

impl Front {
    fn start(&mut self, diagonal: isize, at: isize) {
        (self.low, self.high) = (diagonal, diagonal);
        self.set(diagonal, at);
    }

    fn at(&self, diagonal: isize) -> isize {
        self.reach[unsigned(diagonal + self.zero)]
    }

    fn set(&mut self, diagonal: isize, at: isize) {
        self.reach[unsigned(diagonal + self.zero)] = at;
    }

    /// Adds one diagonal on each side, if possible.
    fn widen(&mut self, all: &Range<isize>, nowhere: isize) {
        if self.low > all.start {
            self.low -= 1;
            self.set(self.low - 1, nowhere);
        } else {
            self.low += 1;
        }
        if self.high < all.end {
            self.high += 1;
            self.set(self.high + 1, nowhere);
        } else {
            self.high -= 1;
        }
    }

    /// Iterates from the highest diagonal to the lowest.
    fn diagonals(&self) -> impl Iterator<Item = isize> + use<> {
        (self.low..=self.high).rev().step_by(2)
    }

    fn holds(&self, diagonal: isize) -> bool {
        (self.low..=self.high).contains(&diagonal)
    }
}

/// The point that divides a square, and for each part whether the search must do without shortcuts.
struct Split {
    old: isize,
    new: isize,
    exact: [bool; 2],
}

/// The search for the middle of a square's shortest difference, from both ends.
struct Search<'a> {
    old: &'a [u32],
    new: &'a [u32],
    square: &'a Square,
    ahead: &'a mut Front,
    back: &'a mut Front,
    most: isize,
}

impl Search<'_> {
    fn split(&mut self, exact: bool) -> Split {
        let Square { old, new } = self.square;
        let all = old.start - new.end..old.end - new.start;
        let (first, last) = (old.start - new.start, old.end - new.end);
        let odd = (first - last) % 2 != 0;
        self.ahead.start(first, old.start);
        self.back.start(last, old.end);
        for cost in 1.. {
            self.ahead.widen(&all, -1);
            let (met, snake) = self.go_ahead(odd);
            if let Some(met) = met {
                return met;
            }
            self.back.widen(&all, isize::MAX);
            let (met, snake_back) = self.go_back(odd);
            if let Some(met) = met {
                return met;
            }
            if exact {
                continue;
            }
            if (snake || snake_back)
                && cost > HEURISTIC
                && let Some(found) =
                    self.good_ahead(cost, first).or_else(|| self.good_back(cost, last))
            {
                return found;
            }
            if cost >= self.most {
                break;
            }
        }
        self.furthest()
    }

    fn same(&self, old: isize, new: isize) -> bool {
        self.old[unsigned(old)] == self.new[unsigned(new)]
    }

    /// Makes one step from the start. Returns the meeting point, if any, and whether a long common
    /// run was found.
    fn go_ahead(&mut self, odd: bool) -> (Option<Split>, bool) {
        let mut snake = false;
        for diagonal in self.ahead.diagonals() {
            let (below, above) = (self.ahead.at(diagonal - 1), self.ahead.at(diagonal + 1));
            let begin = if below >= above { below + 1 } else { above };
            let (mut old, mut new) = (begin, begin - diagonal);
            while old < self.square.old.end && new < self.square.new.end && self.same(old, new) {
                (old, new) = (old + 1, new + 1);
            }
            snake |= old - begin > SNAKE;
            self.ahead.set(diagonal, old);
            if odd && self.back.holds(diagonal) && self.back.at(diagonal) <= old {
                return (Some(Split { old, new, exact: [true; 2] }), snake);
            }
        }
        (None, snake)
    }

    /// Makes one step from the end.
    fn go_back(&mut self, odd: bool) -> (Option<Split>, bool) {
        let mut snake = false;
        for diagonal in self.back.diagonals() {
            let (below, above) = (self.back.at(diagonal - 1), self.back.at(diagonal + 1));
            let begin = if below < above { below } else { above - 1 };
            let (mut old, mut new) = (begin, begin - diagonal);
            while old > self.square.old.start
                && new > self.square.new.start
                && self.same(old - 1, new - 1)
            {
                (old, new) = (old - 1, new - 1);
            }
            snake |= begin - old > SNAKE;
            self.back.set(diagonal, old);
            if !odd && self.ahead.holds(diagonal) && old <= self.ahead.at(diagonal) {
                return (Some(Split { old, new, exact: [true; 2] }), snake);
            }
        }
        (None, snake)
    }

    /// Finds the end of a long run that is far ahead for its cost.
    fn good_ahead(&self, cost: isize, first: isize) -> Option<Split> {
        let Square { old: all_old, new: all_new } = self.square;
        let (mut best, mut found) = (0, None);
        for diagonal in self.ahead.diagonals() {
            let old = self.ahead.at(diagonal);
            let new = old - diagonal;
            let way = (old - all_old.start) + (new - all_new.start) - (diagonal - first).abs();
            if way > 4 * cost
                && way > best
                && (all_old.start + SNAKE..all_old.end).contains(&old)
                && (all_new.start + SNAKE..all_new.end).contains(&new)
                && (1..=SNAKE).all(|back| self.same(old - back, new - back))
            {
                (best, found) = (way, Some(Split { old, new, exact: [true, false] }));
            }
        }
        found
    }

    /// Finds the start of a long run that is far back for its cost.
    fn good_back(&self, cost: isize, last: isize) -> Option<Split> {
        let Square { old: all_old, new: all_new } = self.square;
        let (mut best, mut found) = (0, None);
        for diagonal in self.back.diagonals() {
            let old = self.back.at(diagonal);
            let new = old - diagonal;
            let way = (all_old.end - old) + (all_new.end - new) - (diagonal - last).abs();
            if way > 4 * cost
                && way > best
                && (all_old.start + 1..=all_old.end - SNAKE).contains(&old)
                && (all_new.start + 1..=all_new.end - SNAKE).contains(&new)
                && (0..SNAKE).all(|on| self.same(old + on, new + on))
            {
                (best, found) = (way, Some(Split { old, new, exact: [false, true] }));
            }
        }
        found
    }

    /// Gives up: returns the furthest point of either search.
    fn furthest(&self) -> Split {
        let Square { old: all_old, new: all_new } = self.square;
        let (mut ahead, mut ahead_old) = (-1, -1);
        for diagonal in self.ahead.diagonals() {
            let old = self.ahead.at(diagonal).min(all_old.end).min(all_new.end + diagonal);
            if ahead < old + old - diagonal {
                (ahead, ahead_old) = (old + old - diagonal, old);
            }
        }
        let (mut back, mut back_old) = (isize::MAX, isize::MAX);
        for diagonal in self.back.diagonals() {
            let old = self.back.at(diagonal).max(all_old.start).max(all_new.start + diagonal);
            if old + old - diagonal < back {
                (back, back_old) = (old + old - diagonal, old);
            }
        }
        if all_old.end + all_new.end - back < ahead - (all_old.start + all_new.start) {
            Split { old: ahead_old, new: ahead - ahead_old, exact: [true, false] }
        } else {
            Split { old: back_old, new: back - back_old, exact: [false, true] }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(old: &[u32], new: &[u32]) -> [Vec<bool>; 2] {
        let mut marks = [vec![false; old.len()], vec![false; new.len()]];
        let [gone, come] = &mut marks;
        mark(old, new, gone, come);
        marks
    }

    #[test]
    fn what_is_not_common_is_marked() {
        assert_eq!(marked(&[], &[1]), [vec![], vec![true]]);
        assert_eq!(marked(&[1, 2, 3], &[1, 3]), [vec![false, true, false], vec![false; 2]]);
        assert_eq!(marked(&[1, 2], &[3]), [vec![true; 2], vec![true]]);
    }

    #[test]
    fn what_is_left_is_the_same_in_long_texts_that_differ_everywhere() {
        // A mix that repeats late, long and different enough for every shortcut.
        let text = |seed: u32, kinds: u32| -> Vec<u32> {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 16
            };
            (0..6000).map(|_| next() % kinds).collect()
        };
        for (old, new) in [
            (text(1, 9), text(2, 9)),
            (text(3, 2), text(4, 3)),
            ([text(5, 9), text(6, 9)].concat(), [text(7, 9), text(6, 9), text(8, 9)].concat()),
        ] {
            let [gone, come] = marked(&old, &new);
            let left = |text: &[u32], marks: &[bool]| -> Vec<u32> {
                text.iter().zip(marks).filter(|(_, mark)| !**mark).map(|(line, _)| *line).collect()
            };
            assert_eq!(left(&old, &gone), left(&new, &come));
        }
    }
}
