//! The merge of lists. Upstream's text is the frame, order and comments included; what the site added goes where it stood.

use std::collections::HashSet;

use resolver::Sides;

/// What tells two entries apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The whole line.
    List,
    /// Its first word: the site's entry replaces upstream's of the same name.
    Table,
}

/// The merged list.
pub fn merge(kind: Kind, sides: &Sides) -> String {
    let [base, ours, theirs] = [&sides.base, &sides.ours, &sides.theirs].map(|text| read(text));
    let [in_base, in_ours, in_theirs] = [&base, &ours, &theirs].map(|lines| words_of(lines));
    let is_added = |line: &Line| line.is_said() && !in_base.contains(&line.words);
    let names: HashSet<_> =
        ours.iter().filter(|line| kind == Kind::Table && line.is_entry() && is_added(line)).map(Line::name).collect();
    // Of upstream's: not what the site deleted, not what it wrote otherwise, nothing twice.
    let mut seen = HashSet::new();
    let mut result: Vec<&Line> = Vec::new();
    for line in &theirs {
        let known = in_ours.contains(&line.words);
        let gone = line.is_said() && !known && in_base.contains(&line.words);
        let replaced = line.is_entry() && !known && names.contains(line.name());
        if !gone && !replaced && (!line.is_entry() || seen.insert(&line.words)) {
            result.push(line);
        }
    }
    let mut place = Place::default();
    for (at, line) in ours.iter().enumerate() {
        let missing = is_added(line) && !in_theirs.contains(&line.words);
        if missing && (!line.is_entry() || seen.insert(&line.words)) {
            let is_last = !ours[at + 1..].iter().any(|later| later.is_entry() && seen.contains(&later.words));
            place.insert(&mut result, line, is_last);
        } else if line.is_entry() {
            place.pass(&result, line);
        }
    }
    result.iter().flat_map(|line| [line.text, "\n"]).collect()
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

/// Where the next line of the site's goes: behind what stands before it in the site's list, as far as the result has that.
#[derive(Default)]
struct Place(Option<usize>);

impl Place {
    /// Goes behind a line that both lists have.
    fn pass(&mut self, result: &[&Line<'_>], line: &Line<'_>) {
        if let Some(at) = result.iter().position(|there| there.words == line.words) {
            self.0 = Some(at + 1);
        }
    }

    /// Lists are read from the top, and the first entry that fits counts: what stood before all others still does, below
    /// upstream's heading, and what stood behind all others is still the end.
    fn insert<'l, 't>(&mut self, result: &mut Vec<&'l Line<'t>>, line: &'l Line<'t>, is_last: bool) {
        let first = result.iter().position(|line| line.is_entry()).unwrap_or(result.len());
        let at = if is_last { result.len() } else { self.0.unwrap_or(first) };
        result.insert(at, line);
        self.0 = Some(at + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(kind: Kind, base: &str, ours: &str, theirs: &str) -> String {
        let lines = |text: &str| text.split(", ").map(|line| format!("{line}\n")).collect::<String>();
        let sides = Sides { base: lines(base), ours: lines(ours), theirs: lines(theirs) };
        merge(kind, &sides).trim_end().replace('\n', ", ")
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
        let (base, ours, theirs) = ("a permit, b permit", "a reject, b permit", "a dunno, b permit, c permit");
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
}
