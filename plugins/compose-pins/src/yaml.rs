//! YAML with line numbers, so that a text can be edited where necessary and nowhere else.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// A value and its last line, counted from 0.
#[derive(Debug)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// The last line of the value.
    pub last: usize,
}

/// The value of a node.
#[derive(Debug)]
pub enum Value {
    /// A scalar, as a text that is the same for equal values.
    Text(String),
    /// A value in flow style, which cannot be edited line by line.
    Flow(Box<Node>),
    /// A block of keys.
    Map(Vec<Entry>),
    /// A block of items.
    List(Vec<Item>),
}

/// A key of a map.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its line.
    pub line: usize,
    /// Its indentation.
    pub indent: usize,
    /// Its value.
    pub node: Node,
}

/// An item of a list.
#[derive(Debug)]
pub struct Item {
    /// Its first line.
    pub line: usize,
    /// The item.
    pub node: Node,
}

impl Node {
    /// Returns the value in block or flow style, for reading only.
    pub fn read(&self) -> &Self {
        if let Value::Flow(node) = &self.value { node.read() } else { self }
    }

    /// Returns true if it can be edited entry by entry.
    pub fn is_open(&self) -> bool {
        match &self.value {
            Value::Map(_) => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    /// Returns the entries of a map; empty for other values.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// Returns the items of a list; empty for other values.
    pub fn items(&self) -> &[Item] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// Returns the entry of a key.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Returns a text that is the same for equal values.
    pub fn words(&self) -> String {
        match &self.value {
            Value::Text(text) => text.clone(),
            Value::Flow(node) => node.words(),
            Value::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|entry| format!("{}: {}", entry.key, entry.node.words()))
                    .collect();
                format!("{{{}}}", entries.join(",\n"))
            }
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.node.words()).collect();
                format!("[{}]", items.join(",\n"))
            }
        }
    }

    /// Returns a scalar without its quotes. `None` for other values.
    pub fn scalar(&self) -> Option<&str> {
        let Value::Text(text) = &self.value else { return None };
        Some(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text))
    }
}

/// Parses a text with a single document.
pub fn read(text: &str) -> Result<Node, String> {
    let events = Parser::new_from_str(text).map(|event| event.map_err(|error| error.to_string()));
    let events = events
        .filter(|event| !matches!(event, Ok((Event::StreamStart | Event::DocumentStart(_), _))));
    let mut reader = Reader {
        events: Box::new(events),
        text: text.chars().collect(),
        lines: text.lines().collect(),
    };
    let (event, span) = reader.next()?;
    let root = reader.node(&event, span, None, 0)?;
    match (reader.next()?.0, reader.next()?.0) {
        (Event::DocumentEnd, Event::StreamEnd) => Ok(root),
        _ => Err("it has more than one document".to_owned()),
    }
}

/// The maximum nesting; no compose file is deeper.
const DEEPEST: usize = 64;

type Events<'t> = Box<dyn Iterator<Item = Result<(Event<'t>, Span), String>> + 't>;

struct Reader<'t> {
    events: Events<'t>,
    text: Vec<char>,
    lines: Vec<&'t str>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), String> {
        self.events.next().unwrap_or_else(|| Err("it ends unexpectedly".to_owned()))
    }

    /// Reads a value. `key` is the line and column of its key, if it has one.
    fn node(
        &mut self,
        event: &Event<'t>,
        span: Span,
        key: Option<(usize, usize)>,
        depth: usize,
    ) -> Result<Node, String> {
        if depth > DEEPEST {
            return Err("it is nested too deeply".to_owned());
        }
        let (start, end) = (span.start.index(), span.end.index());
        let (value, mut last) = match event {
            Event::Scalar(.., Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(format!("line {}: a value has a tag", span.start.line()));
            }
            Event::Scalar(text, style, ..) => return self.scalar(text, *style, span, key),
            // Compare by name: the same number may mean another anchor in another file.
            Event::Alias(_) => (Value::Text(self.text[start..end].iter().collect()), line(span)),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            other => return Err(format!("expected a value, found {other:?}")),
        };
        // The span starts at an anchor, if there is one, so look at its end.
        let is_flow = end > start && matches!(self.text.get(end - 1), Some('[' | '{'));
        if !is_flow {
            last = last_line(&value).unwrap_or(line(span));
        }
        let node = Node { value, last };
        Ok(if is_flow { Node { value: Value::Flow(Box::new(node)), last } } else { node })
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        span: Span,
        key: Option<(usize, usize)>,
    ) -> Result<Node, String> {
        let value =
            if style == ScalarStyle::Plain { text.to_owned() } else { format!("\"{text}\"") };
        let last = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let head = key.or_else(|| self.dash(span).filter(|_| !text.trim().is_empty()));
                let (head, indent) = head
                    .ok_or_else(|| format!("line {}: a block text is empty", span.start.line()))?;
                self.end_of_block(head, indent)
            }
            _ => span.end.line() - 1,
        };
        Ok(Node { value: Value::Text(value), last })
    }

    /// Returns the line and column of the dash before a text that begins below it.
    fn dash(&self, text: Span) -> Option<(usize, usize)> {
        let above = self.lines.get(..line(text))?;
        let (head, said) =
            above.iter().enumerate().rev().find(|(_, line)| !line.trim().is_empty())?;
        let dashes = said.len() - said.trim_start_matches([' ', '-']).len();
        said[..dashes].rfind('-').map(|column| (head, column))
    }

    /// Returns the last line of a text that begins below `head`. The text consists of all lines
    /// that are indented deeper than `indent`.
    fn end_of_block(&self, head: usize, indent: usize) -> usize {
        let is_deeper = |line: &str| line.len() - line.trim_start_matches(' ').len() > indent;
        let said = self
            .lines
            .iter()
            .enumerate()
            .skip(head + 1)
            .filter(|(_, line)| !line.trim().is_empty());
        said.take_while(|(_, line)| is_deeper(line)).last().map_or(head, |(at, _)| at)
    }

    /// Reads the items. Also returns the line of the event that ends them.
    fn list(&mut self, depth: usize) -> Result<(Value, usize), String> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok((Value::List(items), line(span)));
            }
            let is_block =
                matches!(event, Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..));
            let line = self.dash(span).filter(|_| is_block).map_or(line(span), |(line, _)| line);
            items.push(Item { line, node: self.node(&event, span, None, depth + 1)? });
        }
    }

    /// Reads the entries. Also returns the line of the event that ends them.
    fn map(&mut self, depth: usize) -> Result<(Value, usize), String> {
        let mut entries = Vec::<Entry>::new();
        loop {
            let (event, at) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok((Value::Map(entries), line(at))),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(format!("line {}: a key is not a scalar", at.start.line())),
            };
            if entries.iter().any(|entry| entry.key == key) {
                return Err(format!("line {}: `{key}` appears twice", at.start.line()));
            }
            let (event, span) = self.next()?;
            let mut node = self.node(&event, span, Some((line(at), at.start.col())), depth + 1)?;
            // The parser places an empty value somewhere behind its key.
            let is_empty = matches!(&node.value, Value::Text(text) if text.is_empty());
            node.last = if is_empty { line(at) } else { node.last };
            entries.push(Entry { key, line: line(at), indent: at.start.col(), node });
        }
    }
}

fn last_line(value: &Value) -> Option<usize> {
    match value {
        Value::Text(_) | Value::Flow(_) => None,
        Value::Map(entries) => entries.last().map(|entry| entry.node.last),
        Value::List(items) => items.last().map(|item| item.node.last),
    }
}

fn line(span: Span) -> usize {
    span.start.line() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# head
services:
  web:
    image: \"a:1\" # why
    ports: [\"80:80\",
      \"81:81\"]
    command: |
      one

      two

    environment:
    - A=1

    # about B
    - B=2
volumes:
  data:
";

    #[test]
    fn every_node_knows_its_lines() {
        let root = read(TEXT).unwrap();
        let web = root.get("services").unwrap().node.get("web").unwrap();
        let lines =
            |key: &str| web.node.get(key).map(|entry| (entry.line, entry.node.last)).unwrap();
        assert_eq!((web.line, web.indent, web.node.last), (2, 2, 15));
        assert_eq!(
            (lines("image"), lines("ports"), lines("command"), lines("environment")),
            ((3, 3), (4, 5), (6, 9), (11, 15))
        );
        let items: Vec<_> = web
            .node
            .get("environment")
            .unwrap()
            .node
            .items()
            .iter()
            .map(|item| item.line)
            .collect();
        assert_eq!(items, [12, 15]);
        let volume = root.get("volumes").unwrap().node.get("data").unwrap();
        assert_eq!((volume.line, volume.node.last), (17, 17));
    }

    #[test]
    fn a_block_text_ends_before_the_first_line_that_is_not_deeper() {
        let text = "a:\n  b: |\n    one\n  c: >-\n\n      two\n    three\n  d: |\n  \
                    e:\n  - |\n   - x\n  - - >\n     y\n    - z\nf: 1\n";
        let root = read(&text.replace("      two", "    two")).unwrap();
        let a = root.get("a").unwrap();
        let last = |key: &str| a.node.get(key).unwrap().node.last;
        assert_eq!(["b", "c", "d", "e"].map(last), [2, 6, 7, 13]);
        let items = a.node.get("e").unwrap().node.items();
        assert_eq!(
            items.iter().map(|item| (item.line, item.node.last)).collect::<Vec<_>>(),
            [(9, 10), (11, 13)]
        );
        assert_eq!(items[1].node.items()[0].node.last, 12);
        assert!(read("a:\n  - |\n  - x\n").is_err());
    }

    #[test]
    fn flow_style_can_be_read_but_not_edited() {
        for text in ["a: [x, {y: 1}]\n", "a: &anchor [x, {y: 1}]\n"] {
            let root = read(text).unwrap();
            let list = &root.get("a").unwrap().node;
            assert!(list.items().is_empty() && !list.is_open());
            assert_eq!(list.read().items()[0].node.scalar(), Some("x"));
            assert!(list.read().items()[1].node.read().get("y").is_some());
        }
        assert!(read("a: !reset [x]\n").unwrap_err().contains("tag"));
    }

    #[test]
    fn aliases_are_compared_by_name() {
        let b = |text: &str| read(text).unwrap().get("b").unwrap().node.words();
        assert_eq!(b("a: &x 1\nb: *x\n"), b("z: &z 1\na: &x 1\nb: *x\n"));
        assert_ne!(b("a: &x 1\nb: *x\n"), b("a: &y 1\nb: *y\n"));
    }

    #[test]
    fn equal_values_have_equal_words() {
        let words = |text: &str| read(text).unwrap().words();
        assert_eq!(words("a: [1, 2]\n"), words("a:\n  - 1\n\n  # two\n  - 2\n"));
        assert_ne!(words("a: no\n"), words("a: \"no\"\n"));
        assert_ne!(words("a:\n  - b, c\n"), words("a:\n  - b\n  - c\n"));
    }

    #[test]
    fn invalid_files_are_refused() {
        assert!(read("a: 1\nb: 2\na: 3\n").unwrap_err().contains("`a` appears twice"));
        assert!(read("a: [\n").is_err());
        assert!(read("a: 1\n---\nb: 1\n").unwrap_err().contains("more than one document"));
        assert!(read(&format!("a: {}1{}", "[".repeat(99), "]".repeat(99))).is_err());
    }
}
