//! The syntaxes of key-value files, line by line.

use serde::Deserialize;

/// The syntax of a key-value file.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Syntax {
    /// `key = value`; a line that begins with a space continues the one before it. The container
    /// rewrites everything below `# Overrides #` at each start.
    Postfix,
    /// `key = value`, in blocks in braces.
    Dovecot,
    /// `key value`.
    Redis,
    /// `key = value`, in sections that begin with `[name]`.
    Ini,
    /// `KEY=value`, as in `mailcow.conf`.
    Shell,
}

/// The meaning of a line.
#[derive(Debug, PartialEq)]
pub enum Line<'t> {
    /// An empty line or a comment.
    Aside,
    /// A continuation of the value before it.
    More,
    /// A key, and the byte at which its value begins in the line.
    Setting(&'t str, usize),
    /// The beginning of a block.
    Open(String),
    /// The end of a block.
    Close,
    /// The beginning of a section, which ends where the next one begins.
    Section(&'t str),
}

/// The line below which the postfix container writes.
const OVERRIDES: &str = "# Overrides #";

impl Syntax {
    /// Splits a text into the part that people write and the generated part below it.
    pub fn split(self, text: &str) -> (&str, Option<&str>) {
        if self != Self::Postfix {
            return (text, None);
        }
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if line.trim() == OVERRIDES {
                return (&text[..at], Some(&text[at..]));
            }
            at += line.len();
        }
        (text, None)
    }

    /// Returns a key's canonical spelling: mysql accepts `-` for `_`.
    pub fn key(self, name: &str) -> String {
        if self == Self::Ini { name.replace('-', "_") } else { name.to_owned() }
    }

    /// Parses a line; `before` is the line before it. Fails if the line is not understood.
    pub fn line<'t>(self, line: &'t str, before: Option<&str>) -> Result<Line<'t>, String> {
        let said = line.trim();
        if self == Self::Dovecot && before.is_some_and(|before| before.trim_end().ends_with('\\')) {
            // With comments in between, the end of the value is uncertain.
            let is_plain = !said.is_empty()
                && !said.contains('#')
                && !before.is_some_and(|line| line.contains('#'));
            return if is_plain {
                Ok(Line::More)
            } else {
                Err(format!("cannot tell whether `{said}` continues a value"))
            };
        }
        if said.is_empty() || said.starts_with('#') || self == Self::Ini && said.starts_with(';') {
            return Ok(Line::Aside);
        }
        let found = match self {
            Self::Postfix if line.starts_with([' ', '\t']) => Some(Line::More),
            Self::Postfix => assigned(line),
            Self::Dovecot => block(said).or_else(|| include(line)).or_else(|| assigned(line)),
            Self::Redis => spaced(line),
            Self::Ini => {
                section(said).or_else(|| assigned(line)).or_else(|| spaced(line).filter(is_bare))
            }
            Self::Shell => assigned(line).filter(|_| is_shell(said)),
        };
        found.ok_or_else(|| format!("`{said}` is not understood"))
    }
}

/// `key = value`
fn assigned(line: &str) -> Option<Line<'_>> {
    let (name, value) = line.split_once('=')?;
    let at = line.len() - value.trim_start_matches([' ', '\t']).len();
    one_word(name).map(|name| Line::Setting(name, at))
}

/// `key value`
fn spaced(line: &str) -> Option<Line<'_>> {
    let name = line.split_whitespace().next()?;
    let behind = line.find(name)? + name.len();
    let at = line.len() - line[behind..].trim_start_matches([' ', '\t']).len();
    Some(Line::Setting(name, at))
}

fn is_bare(line: &Line<'_>) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    matches!(line, Line::Setting(name, _) if name.chars().all(is_plain))
}

/// `!include FILE`
fn include(line: &str) -> Option<Line<'_>> {
    line.trim_start().starts_with('!').then(|| spaced(line)).flatten()
}

fn block(said: &str) -> Option<Line<'_>> {
    if said == "}" {
        return Some(Line::Close);
    }
    let name = said.strip_suffix('{')?;
    let plain = !name.contains(['{', '}']);
    plain.then(|| Line::Open(name.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn section(said: &str) -> Option<Line<'_>> {
    said.strip_prefix('[')?.strip_suffix(']').map(Line::Section)
}

fn one_word(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && !text.contains(char::is_whitespace)).then_some(text)
}

/// Returns true for an assignment that ends on its line.
fn is_shell(said: &str) -> bool {
    let name = said.split('=').next().unwrap_or_default();
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    name.chars().all(word)
        && ['"', '\''].iter().all(|quote| said.matches(*quote).count() % 2 == 0)
        && !said.ends_with('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(syntax: Syntax, line: &str) -> Line<'_> {
        syntax.line(line, None).unwrap()
    }

    #[test]
    fn each_syntax_is_understood() {
        assert_eq!(read(Syntax::Postfix, "biff = no\n"), Line::Setting("biff", 7));
        assert_eq!(read(Syntax::Postfix, "  second.example.org\n"), Line::More);
        assert_eq!(read(Syntax::Postfix, "  # a comment\n"), Line::Aside);
        assert_eq!(read(Syntax::Dovecot, "  user=vmail\n"), Line::Setting("user", 7));
        assert_eq!(
            read(Syntax::Dovecot, "service  imap {\n"),
            Line::Open("service imap".to_owned())
        );
        assert_eq!(read(Syntax::Dovecot, "  }\n"), Line::Close);
        assert_eq!(
            read(Syntax::Dovecot, "!include_try /etc/a\n"),
            Line::Setting("!include_try", 13)
        );
        assert_eq!(read(Syntax::Redis, "save 900 1\n"), Line::Setting("save", 5));
        assert_eq!(read(Syntax::Ini, "[mysqld]\n"), Line::Section("mysqld"));
        assert_eq!(
            read(Syntax::Ini, "skip-name-resolve\n"),
            Line::Setting("skip-name-resolve", 17)
        );
        assert_eq!(read(Syntax::Ini, "; a comment\n"), Line::Aside);
        assert_eq!(read(Syntax::Shell, "TZ=\"Europe/Berlin\"\n"), Line::Setting("TZ", 3));
    }

    #[test]
    fn lines_that_are_not_understood_are_quoted() {
        let cases = [
            (Syntax::Postfix, "smtp inet n - n - 1 postscreen\n"),
            (Syntax::Dovecot, "namespace { inbox = yes }\n"),
            (Syntax::Ini, "<directory>\n"),
            (Syntax::Shell, "if [ -z \"$A\" ]; then\n"),
            (Syntax::Shell, "A=\"begins\n"),
        ];
        for (syntax, line) in cases {
            assert!(syntax.line(line, None).unwrap_err().contains(line.trim()), "{line}");
        }
    }

    #[test]
    fn a_backslash_continues_a_dovecot_line() {
        assert_eq!(Syntax::Dovecot.line("more\n", Some("a = b \\\n")), Ok(Line::More));
        for [before, line] in [
            ["# a \\\n", "b = 1\n"],
            ["a = b \\\n", "# c\n"],
            ["a = b # c \\\n", "d = 1\n"],
            ["a = b \\\n", "\n"],
        ] {
            assert!(Syntax::Dovecot.line(line, Some(before)).is_err(), "{before}{line}");
        }
    }

    #[test]
    fn the_generated_part_is_split_off() {
        assert_eq!(
            Syntax::Postfix.split("a = 1\n# Overrides #\nb = 2\n"),
            ("a = 1\n", Some("# Overrides #\nb = 2\n"))
        );
        assert_eq!(Syntax::Postfix.split("a = 1\n"), ("a = 1\n", None));
        assert_eq!(Syntax::Redis.split("a\n# Overrides #\n"), ("a\n# Overrides #\n", None));
    }
}
