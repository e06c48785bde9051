//! Merges lists. The result follows upstream's text, including order and comments; the site's
//! additions go where the site had them.

use std::collections::{HashMap, HashSet};

use resolver::Sides;

/// The part of a line that identifies an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The whole line.
    List,
    /// Its first word: the site's entry replaces upstream's of the same name.
    Table,
}

/// Merges a list. The error says why its lines cannot be merged one by one.
pub fn merge(kind: Kind, sides: &Sides) -> Result<String, &'static str> {
    let texts = [&sides.base, &sides.ours, &sides.theirs];
    if texts.iter().any(|text| text.contains('\r')) {
        return Err("its lines end with CR LF");
    }
    let [base, ours, theirs] = texts.map(|text| read(text));
    if kind == Kind::Table
        && [&base, &ours, &theirs].iter().any(|lines| lines.iter().any(Line::needs_others))
    {
        return Err("some of its lines depend on their neighbours");
    }
    let [in_base, in_ours, in_theirs] = [&base, &ours, &theirs].map(|lines| words_of(lines));
    let is_added = |line: &Line| line.is_said() && !in_base.contains(&line.words);
    let is_table = kind == Kind::Table;
    let [base_names, our_names] = [&base, &ours].map(|lines| names_of(kind, lines));
    let added_names: HashSet<&str> = ours
        .iter()
        .filter(|line| is_table && line.is_entry() && is_added(line))
        .map(Line::name)
        .collect();
    // Keep upstream's lines, except those that the site deleted or rewrote, and duplicates.
    let mut seen = HashSet::new();
    let mut kept: Vec<&Line> = Vec::new();
    for line in &theirs {
        let known = in_ours.contains(&line.words);
        let gone = line.is_said() && !known && in_base.contains(&line.words);
        let name = line.name();
        let is_deleted = base_names.contains(name) && !our_names.contains(name);
        let replaced = line.is_entry() && !known && (added_names.contains(name) || is_deleted);
        if !gone && !replaced && (!line.is_entry() || seen.insert(&line.words)) {
            kept.push(line);
        }
    }
    let mut frame = Frame::new(&kept);
    let last = ours.iter().rposition(|line| line.is_entry() && seen.contains(&line.words));
    for (at, line) in ours.iter().enumerate() {
        let missing = is_added(line) && !in_theirs.contains(&line.words);
        if missing && (!line.is_entry() || seen.insert(&line.words)) {
            frame.insert(line, last.is_none_or(|last| at > last));
        } else if line.is_entry() {
            frame.pass(line);
        }
    }
    Ok(frame.text())
}

/// A line and its words.
struct Line<'t> {
    text: &'t str,
    /// The line without insignificant spaces.
    words: String,
}

impl Line<'_> {
    fn is_said(&self) -> bool {
        !self.words.is_empty()
    }

    fn is_entry(&self) -> bool {
        self.is_said() && !self.words.starts_with('#')
    }

    /// Returns true if it continues the line before it, or is part of a condition.
    fn needs_others(&self) -> bool {
        self.is_entry()
            && (self.text.starts_with([' ', '\t'])
                || ["if", "endif"].contains(&&*self.name().to_lowercase()))
    }

    /// The first word.
    fn name(&self) -> &str {
        self.words.split(' ').next().unwrap_or_default()
    }
}

fn read(text: &str) -> Vec<Line<'_>> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(|text| Line { text, words: words(text) }).collect()
}

fn words_of<'l>(lines: &'l [Line<'_>]) -> HashSet<&'l String> {
    lines.iter().map(|line| &line.words).collect()
}

/// Returns the names in a table; a list has none.
fn names_of<'l>(kind: Kind, lines: &'l [Line<'_>]) -> HashSet<&'l str> {
    lines.iter().filter(|line| kind == Kind::Table && line.is_entry()).map(Line::name).collect()
}

/// The lines kept from upstream's text, and the lines to insert between them.
struct Frame<'l, 't> {
    kept: &'l [&'l Line<'t>],
    /// The position of each line's first occurrence.
    places: HashMap<&'l str, usize>,
    /// The lines to insert before each kept line, and after the last.
    added: Vec<Vec<&'l Line<'t>>>,
    /// The position for the site's next line: after the nearest preceding line of the site's list
    /// that upstream's text has too.
    next: Option<usize>,
}

impl<'l, 't> Frame<'l, 't> {
    fn new(kept: &'l [&'l Line<'t>]) -> Self {
        let mut places = HashMap::new();
        for (at, line) in kept.iter().enumerate() {
            places.entry(line.words.as_str()).or_insert(at);
        }
        Self { kept, places, added: vec![Vec::new(); kept.len() + 1], next: None }
    }

    /// Moves the insertion point behind a line that both lists have.
    fn pass(&mut self, line: &Line<'_>) {
        if let Some(at) = self.places.get(line.words.as_str()) {
            self.next = Some(at + 1);
        }
    }

    /// Inserts one of the site's lines. Lists are read from the top and the first match counts, so
    /// lines that came before all others stay first, below upstream's heading, and lines that came
    /// after all others stay last.
    fn insert(&mut self, line: &'l Line<'t>, is_last: bool) {
        let end = self.kept.len();
        let first = || self.kept.iter().position(|line| line.is_entry()).unwrap_or(end);
        let at = if is_last { end } else { self.next.unwrap_or_else(first) };
        if let Some(there) = self.added.get_mut(at) {
            there.push(line);
        }
        self.next = Some(at);
    }

    fn text(&self) -> String {
        let lines = self
            .added
            .iter()
            .enumerate()
            .flat_map(|(at, added)| added.iter().chain(self.kept.get(at)));
        lines.flat_map(|line| [line.text, "\n"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: Kind, base: &str, ours: &str, theirs: &str) -> String {
        let lines =
            |text: &str| text.split(", ").map(|line| format!("{line}\n")).collect::<String>();
        let sides = Sides { base: lines(base), ours: lines(ours), theirs: lines(theirs) };
        merge(kind, &sides).unwrap().trim_end().replace('\n', ", ")
    }

    #[test]
    fn a_regenerated_list_keeps_the_site_s_lines_in_their_place() {
        let result = merged(
            Kind::Table,
            "# made on Monday, a permit, c permit, d permit",
            "# made on Monday, mine reject, a permit, c permit, also permit, d permit, rest reject",
            "# made on Tuesday, a permit, b permit, d permit, e permit",
        );
        let expected = "# made on Tuesday, mine reject, a permit, also permit, b permit, d permit, \
                        e permit, rest reject";
        assert_eq!(result, expected);
    }

    #[test]
    fn entries_that_either_side_deleted_stay_deleted() {
        assert_eq!(merged(Kind::List, "a, b, c, d", "a, c, d", "a, b, d, e"), "a, d, e");
        assert_eq!(merged(Kind::List, "# why, a, b", "a, b, c", "# why, a, d"), "a, d, c");
    }

    #[test]
    fn duplicates_are_dropped() {
        assert_eq!(merged(Kind::List, "a", "a, x  y, z", "a, x y, w, w"), "a, x y, w, z");
    }

    #[test]
    fn a_table_has_one_entry_of_a_name_and_the_site_s_counts() {
        let (base, ours, theirs) =
            ("a permit, b permit", "a reject, b permit", "a dunno, b permit, c permit");
        assert_eq!(merged(Kind::Table, base, ours, theirs), "a reject, b permit, c permit");
        assert_eq!(merged(Kind::List, base, ours, theirs), "a reject, a dunno, b permit, c permit");
    }

    #[test]
    fn a_table_keeps_entries_that_both_sides_have() {
        assert_eq!(
            merged(Kind::Table, "a permit", "a permit, b reject", "a permit, b  reject, c permit"),
            "a permit, b  reject, c permit"
        );
    }

    #[test]
    fn the_site_s_comments_are_kept() {
        let result = merged(Kind::List, "# head, a", "# head, # ours, mine, a", "# new head, a, b");
        assert_eq!(result, "# new head, # ours, mine, a, b");
    }

    #[test]
    fn a_file_that_both_sides_added_has_the_entries_of_both() {
        assert_eq!(merged(Kind::List, "", "a, b", "b, c"), "a, b, c");
    }

    #[test]
    fn an_entry_that_the_site_deleted_stays_deleted_even_if_upstream_changed_it() {
        assert_eq!(
            merged(Kind::Table, "a permit, b permit", "b permit", "a reject, b permit, c permit"),
            "b permit, c permit"
        );
    }

    #[test]
    fn lines_that_depend_on_others_are_left_alone() {
        let why = |kind, ours: &str| {
            merge(kind, &Sides { ours: ours.to_owned(), ..Sides::default() }).err()
        };
        for ours in ["if /x/\na b\nendif\n", "/a/ b\nENDIF\n", "a reject\n  too many\n"] {
            assert_eq!(
                why(Kind::Table, ours),
                Some("some of its lines depend on their neighbours"),
                "{ours}"
            );
        }
        assert_eq!(why(Kind::Table, "a b\r\n"), Some("its lines end with CR LF"));
        assert_eq!((why(Kind::List, " a\n"), why(Kind::Table, "  # a comment\n\n")), (None, None));
    }

    #[test]
    fn long_lists_are_merged_at_once() {
        let numbers =
            |of: &str| (0..100_000).map(|number| format!("{of}{number}\n")).collect::<String>();
        let sides = Sides {
            base: numbers("a"),
            ours: numbers("a") + &numbers("b"),
            theirs: numbers("c") + &numbers("a"),
        };
        assert_eq!(merge(Kind::List, &sides).unwrap().lines().count(), 300_000);
    }
}
