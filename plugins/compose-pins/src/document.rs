//! A YAML text that is edited line by line, so that all other lines and comments stay as they were.

use std::ops::Range;

use crate::yaml::{self, Entry, Node};

/// A text and its parsed content.
#[derive(Debug)]
pub struct Document {
    lines: Vec<String>,
    /// The parsed content.
    pub root: Node,
}

impl Document {
    /// Parses a text.
    pub fn read(text: &str) -> Result<Self, String> {
        Ok(Self { lines: text.lines().map(str::to_owned).collect(), root: yaml::read(text)? })
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Returns a range of lines, without line endings.
    pub fn lines(&self, range: Range<usize>) -> &[String] {
        self.lines.get(range).unwrap_or_default()
    }

    /// Returns all lines.
    pub fn all_lines(&self) -> &[String] {
        &self.lines
    }

    /// Returns the entry at a path of keys.
    pub fn find(&self, path: &[&str]) -> Option<&Entry> {
        let (last, above) = path.split_last()?;
        let mut node = &self.root;
        for key in above {
            node = &node.get(key)?.node;
        }
        node.get(last)
    }

    /// Replaces a range of lines.
    pub fn splice(&mut self, range: Range<usize>, lines: Vec<String>) -> Result<(), String> {
        if range.start > range.end || range.end > self.lines.len() {
            return Err("could not find where a value ends".to_owned());
        }
        self.lines.splice(range, lines);
        self.root = yaml::read(&self.text())?;
        Ok(())
    }

    /// Removes an entry, and the map around it if that becomes empty. A service or network stays
    /// even without keys.
    pub fn remove(&mut self, path: &[&str]) -> Result<(), String> {
        let Some(entry) = self.find(path) else { return Ok(()) };
        let above = &path[..path.len() - 1];
        if above.len() > 2 && self.find(above).is_some_and(|above| above.node.entries().len() == 1)
        {
            return self.remove(above);
        }
        let mut range = entry.line..entry.node.last + 1;
        let is_blank = |at: usize| self.lines.get(at).is_some_and(|line| line.trim().is_empty());
        while range.start > 0 && is_blank(range.start - 1) && is_blank(range.end) {
            range.end += 1;
        }
        self.splice(range, Vec::new())
    }

    /// Copies an entry from another document. A new entry becomes the last of its map.
    pub fn put(&mut self, path: &[&str], from: &Self, entry: &Entry) -> Result<(), String> {
        let place = match (self.find(path), path.split_last()) {
            (Some(there), _) => Some((there.line..there.node.last + 1, there.indent)),
            (None, Some((_, above))) => self.find(above).and_then(|above| {
                let sibling = above.node.entries().first().map(|first| first.indent);
                let end = above.node.last + 1;
                above.node.is_open().then_some((end..end, sibling.unwrap_or(above.indent + 2)))
            }),
            (None, None) => None,
        };
        let Some((range, indent)) = place else {
            return Err(format!("cannot insert {}: no block can hold it", path.join(".")));
        };
        let lines = indented(from.lines(entry.line..entry.node.last + 1), entry.indent, indent);
        self.splice(range, lines)?;
        let is_there =
            self.find(path).is_some_and(|there| there.node.words() == entry.node.words());
        if is_there { Ok(()) } else { Err(format!("{} would get another meaning", path.join("."))) }
    }
}

/// Changes the indentation of lines.
pub fn indented(lines: &[String], from: usize, to: usize) -> Vec<String> {
    // Only spaces indent in YAML; other white space may be part of a text.
    let shift = |line: &String| match line.trim_start_matches(' ') {
        "" if line.is_empty() => String::new(),
        said => {
            format!("{}{said}", " ".repeat((line.len() - said.len() + to).saturating_sub(from)))
        }
    };
    lines.iter().map(shift).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a:\n  x: 1 # one\n\n  y:\n    z: 2\n\n  # last\n  v: 3\n";

    fn changed(change: impl FnOnce(&mut Document) -> Result<(), String>) -> String {
        let mut document = Document::read(TEXT).unwrap();
        change(&mut document).unwrap();
        document.text()
    }

    #[test]
    fn removing_an_entry_leaves_no_gap() {
        assert_eq!(
            changed(|text| text.remove(&["a", "y"])),
            "a:\n  x: 1 # one\n\n  # last\n  v: 3\n"
        );
        assert_eq!(changed(|text| text.remove(&["a", "y", "z"])), TEXT.replace("    z: 2\n", ""));
        let mut deep = Document::read("a:\n  b:\n    c:\n      d: 1\n    e: 1\n").unwrap();
        deep.remove(&["a", "b", "c", "d"]).unwrap();
        assert_eq!(deep.text(), "a:\n  b:\n    e: 1\n");
        assert_eq!(changed(|text| text.remove(&["a", "nothing"])), TEXT);
    }

    #[test]
    fn only_spaces_indent() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let text = "  a: |\n    \u{a0}b\n    \tc\n\n      \n    d";
        assert_eq!(indented(&lines(text), 2, 0), lines("a: |\n  \u{a0}b\n  \tc\n\n    \n  d"));
    }

    #[test]
    fn an_inserted_entry_gets_the_right_indentation() {
        let other = Document::read("a:\n    x: 5\n    w:\n        - 1\n").unwrap();
        let put = |path: &[&str]| changed(|text| text.put(path, &other, other.find(path).unwrap()));
        assert_eq!(put(&["a", "x"]), TEXT.replace("x: 1 # one", "x: 5"));
        assert_eq!(put(&["a", "w"]), format!("{TEXT}  w:\n      - 1\n"));
        assert!(
            Document::read(TEXT)
                .unwrap()
                .put(&["b", "x"], &other, &other.root.entries()[0])
                .is_err()
        );
    }
}
