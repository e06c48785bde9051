//! A file as a sequence of keys, their values and the text around them.

use std::collections::{BTreeMap, HashMap};

use crate::syntax::{Line, Syntax};

/// A parsed file.
#[derive(Debug, Default, PartialEq)]
pub struct File {
    /// The items, in order.
    pub items: Vec<Item>,
    /// Comments after the last item.
    pub end: String,
    /// The generated part, including the line that marks its beginning.
    pub generated: Option<String>,
}

/// A key and its value, or the beginning or end of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// The blocks around it.
    pub scope: String,
    /// The key.
    pub name: String,
    /// Comments and empty lines before it.
    pub lead: String,
    /// The key's line up to the value.
    pub head: String,
    /// The value, including the lines that continue it.
    pub value: String,
}

impl Item {
    /// Returns the value without insignificant spaces; those within quotes are significant.
    pub fn words(&self) -> String {
        let mut words = String::new();
        let mut quote = None;
        let mut letters = self.value.trim().chars();
        while let Some(letter) = letters.next() {
            match quote {
                None if letter.is_whitespace() => {
                    if !words.ends_with(' ') {
                        words.push(' ');
                    }
                    continue;
                }
                None => quote = Some(letter).filter(|letter| matches!(letter, '"' | '\'')),
                Some(begin) if letter == begin => quote = None,
                Some(_) => {}
            }
            words.push(letter);
            if letter == '\\' && quote.is_some() {
                words.extend(letters.next());
            }
        }
        words
    }

    /// Renames the key.
    pub fn rename(&mut self, name: &str) {
        self.head = self.head.replacen(&self.name, name, 1);
        name.clone_into(&mut self.name);
    }
}

impl File {
    /// Parses a text. The error says which part is not understood.
    pub fn read(syntax: Syntax, text: &str) -> Result<Self, String> {
        let (body, generated) = syntax.split(text);
        let mut reader = Reader::default();
        let mut before = None;
        for line in body.split_inclusive('\n') {
            let ended = if line.ends_with('\n') { line.to_owned() } else { format!("{line}\n") };
            reader.take(syntax.line(line, before)?, &ended)?;
            before = Some(line);
        }
        if reader.scope.last().is_some_and(|scope| !scope.is_section) {
            return Err("a block is not closed".to_owned());
        }
        Ok(Self { items: reader.items, end: reader.lead, generated: generated.map(str::to_owned) })
    }

    /// Counts the blocks that occur more than once, by scope and name.
    pub fn repeated_blocks(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for item in &self.items {
            if let Some((name, _)) = item.name.split_once(NUMBER) {
                *counts.entry((item.scope.as_str(), name)).or_default() += 1;
            }
        }
        counts.retain(|_, count| *count > 1);
        counts
    }

    /// Returns the common prefix of the scopes in all blocks of this name.
    pub fn numbered(scope: &str, name: &str) -> String {
        format!("{scope}{name}{NUMBER}")
    }

    /// Returns the text.
    pub fn text(&self) -> String {
        let items = self.items.iter().flat_map(|item| [&item.lead, &item.head, &item.value]);
        items.chain([&self.end]).chain(&self.generated).map(String::as_str).collect()
    }
}

/// The separator between a block's name and its number.
const NUMBER: &str = " #";

#[derive(Default)]
struct Reader {
    items: Vec<Item>,
    lead: String,
    scope: Vec<Scope>,
    blocks: HashMap<(String, String), usize>,
}

struct Scope {
    name: String,
    is_section: bool,
}

impl Reader {
    fn take(&mut self, what: Line<'_>, line: &str) -> Result<(), String> {
        match what {
            Line::Aside => self.lead.push_str(line),
            Line::More => {
                let item = self.items.last_mut().ok_or("the first line is a continuation")?;
                // Comments among the lines of a value are part of it.
                item.value.push_str(&std::mem::take(&mut self.lead));
                item.value.push_str(line);
            }
            Line::Setting(name, at) => self.push(name.to_owned(), line, at),
            Line::Open(name) => self.open(&name, line, false),
            Line::Section(name) => {
                self.scope.clear();
                self.open(name, line, true);
            }
            Line::Close => {
                self.push("}".to_owned(), line, line.len());
                self.scope.pop().ok_or("a block is closed that was never opened")?;
            }
        }
        Ok(())
    }

    fn open(&mut self, name: &str, line: &str, is_section: bool) {
        let count = self.blocks.entry((self.here(), name.to_owned())).or_default();
        *count += 1;
        let name = format!("{name}{NUMBER}{count}");
        self.push(name.clone(), line, line.len());
        self.scope.push(Scope { name, is_section });
    }

    fn push(&mut self, name: String, line: &str, at: usize) {
        let (head, value) = line.split_at(at.min(line.len()));
        let (lead, scope) = (std::mem::take(&mut self.lead), self.here());
        self.items.push(Item { scope, name, lead, head: head.to_owned(), value: value.to_owned() });
    }

    fn here(&self) -> String {
        self.scope.iter().flat_map(|scope| [scope.name.as_str(), "/"]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOVECOT: &str = "# head\nlog = syslog\n\nservice auth {\n  \
                           inet_listener a {\n    port = 1\n  }\n}\n# end\n";

    #[test]
    fn a_text_survives_parsing_unchanged() {
        for (syntax, text) in [
            (Syntax::Dovecot, DOVECOT),
            (Syntax::Postfix, "a = 1,\n  2,\n# why\n  3\nb =\n# Overrides #\nc = 1\n"),
            (Syntax::Ini, "[a]\nx\n[b]\ny = 1\n"),
            (Syntax::Redis, "save 1 2\nsave 3 4\n"),
        ] {
            assert_eq!(File::read(syntax, text).unwrap().text(), text);
        }
        assert_eq!(File::read(Syntax::Redis, "save 1 2").unwrap().text(), "save 1 2\n");
    }

    #[test]
    fn keys_have_scopes() {
        let file = File::read(Syntax::Dovecot, DOVECOT).unwrap();
        let port = file.items.iter().find(|item| item.name == "port").unwrap();
        assert_eq!(
            (port.scope.as_str(), port.words().as_str()),
            ("service auth #1/inet_listener a #1/", "1")
        );
        assert_eq!(file.end, "# end\n");
    }

    #[test]
    fn unbalanced_blocks_are_refused() {
        assert!(File::read(Syntax::Dovecot, "a {\n").is_err());
        assert!(File::read(Syntax::Dovecot, "}\n").is_err());
    }
}
