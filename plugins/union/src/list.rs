//! The merge of lists. Upstream's text is the frame, order and comments included; what the site added goes where it stood.

use std::collections::{HashMap, HashSet};

use resolver::Sides;

/// What tells two entries apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The whole line.
    List,
    /// Its first word: the site's entry replaces upstream's of the same name.
    Table,
}

/// The merged list, or why its lines cannot be merged one by one.
pub fn merge(kind: Kind, sides: &Sides) -> Result<String, &'static str> {
    let texts = [&sides.base, &sides.ours, &sides.theirs];
    if texts.iter().any(|text| text.contains('\r')) {
        return Err("its lines end with CR");
    }
    let [base, ours, theirs] = texts.map(|text| read(text));
    if kind == Kind::Table
        && [&base, &ours, &theirs].iter().any(|lines| lines.iter().any(Line::needs_others))
    {
        return Err("its lines depend on their neighbours");
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
    // Of upstream's: not what the site deleted, not what it wrote otherwise, nothing twice.
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

/// A line and what it says.
struct Line<'t> {
    text: &'t str,
    /// Without the spaces that do not matter.
    words: String,
}

impl Line<'_> {
    fn is_said(&self) -> bool {
        !self.words.is_empty()
    }

    fn is_entry(&self) -> bool {
        self.is_said() && !self.words.starts_with('#')
    }

    /// Whether it goes on with the line before it, or is part of a condition.
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

/// The names in a table; a list has none.
fn names_of<'l>(kind: Kind, lines: &'l [Line<'_>]) -> HashSet<&'l str> {
    lines.iter().filter(|line| kind == Kind::Table && line.is_entry()).map(Line::name).collect()
}

/// What stays of upstream's text, and what goes between its lines.
struct Frame<'l, 't> {
    kept: &'l [&'l Line<'t>],
    /// Where each line stands first.
    places: HashMap<&'l str, usize>,
    /// What goes before each line, and behind the last.
    added: Vec<Vec<&'l Line<'t>>>,
    /// Where the next line of the site's goes: behind what stands before it in the site's list, as far as that is here.
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

    /// Goes behind a line that both lists have.
    fn pass(&mut self, line: &Line<'_>) {
        if let Some(at) = self.places.get(line.words.as_str()) {
            self.next = Some(at + 1);
        }
    }

    /// Lists are read from the top, and the first entry that fits counts: what stood before all others still does, below
    /// upstream's heading, and what stood behind all others is still the end.
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
    fn a_regenerated_list_keeps_the_site_s_lines_where_they_stood() {
        let result = merged(
            Kind::Table,
            "# made on Monday, a permit, c permit, d permit",
            "# made on Monday, mine reject, a permit, c permit, also permit, d permit, rest reject",
            "# made on Tuesday, a permit, b permit, d permit, e permit",
        );
        let told = "# made on Tuesday, mine reject, a permit, also permit, b permit, d permit, e permit, rest reject";
        assert_eq!(result, told);
    }

    #[test]
    fn what_either_side_deleted_stays_deleted() {
        assert_eq!(merged(Kind::List, "a, b, c, d", "a, c, d", "a, b, d, e"), "a, d, e");
        assert_eq!(merged(Kind::List, "# why, a, b", "a, b, c", "# why, a, d"), "a, d, c");
    }

    #[test]
    fn nothing_is_there_twice() {
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
    fn a_table_keeps_what_both_sides_say_alike() {
        assert_eq!(
            merged(Kind::Table, "a permit", "a permit, b reject", "a permit, b  reject, c permit"),
            "a permit, b  reject, c permit"
        );
    }

    #[test]
    fn the_site_s_comments_come_along() {
        let result = merged(Kind::List, "# head, a", "# head, # ours, mine, a", "# new head, a, b");
        assert_eq!(result, "# new head, # ours, mine, a, b");
    }

    #[test]
    fn a_file_that_both_added_has_both() {
        assert_eq!(merged(Kind::List, "", "a, b", "b, c"), "a, b, c");
    }

    #[test]
    fn an_entry_that_the_site_deleted_stays_deleted_whatever_upstream_says_of_it() {
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
                Some("its lines depend on their neighbours"),
                "{ours}"
            );
        }
        assert_eq!(why(Kind::Table, "a b\r\n"), Some("its lines end with CR"));
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
