//! Lists: an item that the site changed replaces the items with the same subject.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Document, indented};
use crate::yaml::{Entry, Node, Value};

/// Applies the site's changes of a list to the same list in `result`.
pub fn keep(
    result: &mut Document,
    path: &[&str],
    base: Option<&Node>,
    (document, ours): (&Document, &Entry),
) -> Result<(), String> {
    let Some(there) = result.find(path) else { return Ok(()) };
    let about = subject(path);
    let (was, site) = (said(base, about), said(Some(&ours.node), about));
    let there_said = said(Some(&there.node), about);
    let changed = |subject: &String| {
        let site = site.get(subject);
        was.get(subject) != site && there_said.get(subject) != site
    };
    let theirs = Items::of(result, &there.node, about)?;
    let mine = Items::of(document, &ours.node, about)?;
    let mut lines = Vec::new();
    let mut placed = BTreeSet::new();
    let mut place = |lines: &mut Vec<String>, subject: &String| {
        if placed.insert(subject.clone()) {
            let same = mine.all.iter().filter(|(about, _)| about == subject);
            lines.extend(same.flat_map(|(_, item)| indented(item, mine.indent, theirs.indent)));
        }
    };
    for (subject, item) in &theirs.all {
        if changed(subject) {
            place(&mut lines, subject);
        } else {
            lines.extend_from_slice(item);
        }
    }
    for (subject, _) in mine.all.iter().filter(|(subject, _)| changed(subject)) {
        place(&mut lines, subject);
    }
    if lines.is_empty() {
        return result.remove(path);
    }
    let range = theirs.first..there.node.last + 1;
    result.splice(range, lines)
}

/// Removes items from a list, and the list itself if it becomes empty.
pub fn remove(
    result: &mut Document,
    path: &[&str],
    gone: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let Some(there) = result.find(path) else { return Ok(()) };
    let items = Items::of(result, &there.node, Node::words)?;
    let range = items.first..there.node.last + 1;
    let stays: Vec<String> = items
        .all
        .into_iter()
        .filter(|(word, _)| !gone(word))
        .flat_map(|(_, lines)| lines)
        .collect();
    if stays.is_empty() { result.remove(path) } else { result.splice(range, stays) }
}

/// Removes items from a flow-style list of words, and the list itself if it becomes empty. Leaves a
/// map unchanged.
pub fn remove_in_brackets(
    result: &mut Document,
    path: &[&str],
    gone: impl Fn(&str) -> bool,
) -> Result<(), String> {
    let (Some(there), Some(key)) = (result.find(path), path.last()) else { return Ok(()) };
    let Value::List(items) = &there.node.read().value else { return Ok(()) };
    let words = items.iter().map(|item| item.node.scalar().map(|word| (word, item.node.words())));
    let words: Vec<_> =
        words.collect::<Option<_>>().ok_or("a list in brackets has items that are not words")?;
    let stays: Vec<_> =
        words.into_iter().filter(|(word, _)| !gone(word)).map(|(_, word)| word).collect();
    if stays.is_empty() {
        return result.remove(path);
    }
    let line = format!("{}{key}: [{}]", " ".repeat(there.indent), stays.join(", "));
    let range = there.line..there.node.last + 1;
    result.splice(range, vec![line])
}

/// Returns the items of a list by subject.
fn said(list: Option<&Node>, about: fn(&Node) -> String) -> BTreeMap<String, Vec<String>> {
    let mut said = BTreeMap::<_, Vec<_>>::new();
    for item in list.map(Node::items).unwrap_or_default() {
        said.entry(about(&item.node)).or_default().push(item.node.words());
    }
    said
}

/// A list's items as written: their subjects and their lines, including comments that follow.
struct Items {
    all: Vec<(String, Vec<String>)>,
    first: usize,
    indent: usize,
}

impl Items {
    fn of(document: &Document, list: &Node, about: fn(&Node) -> String) -> Result<Self, String> {
        let Value::List(items) = &list.value else {
            return Err("a list is written in brackets".to_owned());
        };
        let ends = items.iter().skip(1).map(|item| item.line).chain([list.last + 1]);
        let items: Vec<_> = items
            .iter()
            .zip(ends)
            .map(|(item, end)| {
                (about(&item.node), document.lines(item.line..end).to_vec(), item.line)
            })
            .collect();
        if items.iter().any(|(_, lines, _)| {
            !lines.first().is_some_and(|line| line.trim_start_matches(' ').starts_with('-'))
        }) {
            return Err("a list item does not start on the line of its dash".to_owned());
        }
        let first = items.first().map_or(list.last, |(_, _, line)| *line);
        let indent = document
            .lines(first..first + 1)
            .first()
            .map_or(0, |line| line.len() - line.trim_start_matches(' ').len());
        Ok(Self {
            all: items.into_iter().map(|(about, lines, _)| (about, lines)).collect(),
            first,
            indent,
        })
    }
}

/// Returns the function that identifies the items of this list.
fn subject(path: &[&str]) -> fn(&Node) -> String {
    match path.last() {
        Some(&"ports") => port,
        Some(&"environment") => {
            |item| item.words().trim_matches('"').split('=').next().unwrap_or_default().to_owned()
        }
        _ => Node::words,
    }
}

/// Returns the port in the container: `80/tcp` for `"${HTTP_BIND:-}:${HTTP_PORT:-80}:80"`.
fn port(item: &Node) -> String {
    let item = item.read();
    if let (Some(target), protocol) = (item.get("target"), item.get("protocol")) {
        let protocol = protocol.and_then(|entry| entry.node.scalar()).unwrap_or("tcp");
        return format!("{}/{protocol}", target.node.scalar().unwrap_or_default());
    }
    let text = item.scalar().unwrap_or_default();
    let (mut depth, mut begin) = (0_u32, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => begin = at + 1,
            _ => {}
        }
    }
    let port = &text[begin..];
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(key: &str, [base, ours, theirs]: [&str; 3]) -> String {
        let read = |items: &str| {
            let items: String = items.split(", ").map(|item| format!("  - {item}\n")).collect();
            Document::read(&format!("{key}:\n{items}z: 1\n")).unwrap()
        };
        let (base, ours, mut result) = (read(base), read(ours), read(theirs));
        let path = [key];
        keep(
            &mut result,
            &path,
            base.find(&path).map(|entry| &entry.node),
            (&ours, ours.find(&path).unwrap()),
        )
        .unwrap();
        let text = result.text();
        text.lines().filter_map(|line| line.strip_prefix("  - ")).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn ports_are_identified_by_their_number_in_the_container() {
        let three = [
            "\"25:25\", \"465:465\"",
            "\"2525:25\", \"465:465\"",
            "\"127.0.0.1:25:25\", \"465:465\", \"587:587\"",
        ];
        assert_eq!(kept("ports", three), "\"2525:25\", \"465:465\", \"587:587\"");
        let port = |text: &str| port(&crate::yaml::read(text).unwrap());
        assert_eq!(port("\"${HTTP_BIND:-}:${HTTP_PORT:-80}:80\""), "80/tcp");
        assert_eq!(port("53:53/udp"), "53/udp");
        assert_eq!(port("target: 53\nprotocol: udp\n"), "53/udp");
        assert_eq!(port("{target: 53, published: 5353}\n"), "53/tcp");
    }

    #[test]
    fn a_port_that_the_site_removed_stays_removed_and_a_second_one_stays() {
        assert_eq!(kept("ports", ["1:1, 2:2", "2:2", "1:1, 2:2, 3:3"]), "2:2, 3:3");
        assert_eq!(kept("ports", ["1:1", "1:1, 10.0.0.1:1:1", "9:1"]), "1:1, 10.0.0.1:1:1");
    }

    #[test]
    fn other_items_are_identified_by_their_value() {
        assert_eq!(kept("profiles", ["a", "a, mine", "a, b"]), "a, b, mine");
        assert_eq!(kept("environment", ["A=1, B=1", "A=2, B=1", "A=3, B=4"]), "A=2, B=4");
    }

    #[test]
    fn items_are_removed() {
        let mut document =
            Document::read("s:\n  d:\n    - a\n    # about b\n    - b\n  e: 1\n").unwrap();
        remove(&mut document, &["s", "d"], |item| item == "b").unwrap();
        assert_eq!(document.text(), "s:\n  d:\n    - a\n    # about b\n  e: 1\n");
        remove(&mut document, &["s", "d"], |item| item == "a").unwrap();
        assert_eq!(document.text(), "s:\n    # about b\n  e: 1\n");
        let mut document = Document::read("s:\n  d: [\"a\", b,\n    c]\n  e: 1\n").unwrap();
        remove_in_brackets(&mut document, &["s", "d"], |item| item == "b").unwrap();
        assert_eq!(document.text(), "s:\n  d: [\"a\", c]\n  e: 1\n");
        remove_in_brackets(&mut document, &["s", "d"], |_| true).unwrap();
        assert_eq!(document.text(), "s:\n  e: 1\n");
    }
}
