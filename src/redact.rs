//! Keeps secrets out of everything shown: values from `mailcow.conf` and private keys.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use serde_json::Value;

use crate::event::Event;

/// The replacement for a secret.
pub const REDACTED: &str = "[redacted]";

/// The shortest secret, in characters. Replacing every `n` or `25` would make text unreadable.
const SHORTEST_SECRET: usize = 6;

/// Replaces known secrets, and the inside of PEM private keys, by [`REDACTED`].
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one is replaced whole.
    secrets: Arc<[String]>,
}

impl Redactor {
    /// Returns a redactor for these secrets.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> =
            secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets: secrets.into() }
    }

    /// Returns the text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        private_keys(text)
    }

    /// Returns the bytes without secrets. Keys are only found in valid UTF-8.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.text(text).into_bytes();
        }
        self.secrets.iter().fold(bytes.to_vec(), |bytes, secret| without(&bytes, secret.as_bytes()))
    }

    /// Returns the event without secrets. Events have text in many places, so this works on JSON.
    pub fn event(&self, event: Event) -> Event {
        if matches!(event, Event::Progress { .. }) {
            return event;
        }
        // Few events contain a secret: a search of the text avoids the conversion.
        if serde_json::to_string(&event).is_ok_and(|text| !self.is_in(&text)) {
            return event;
        }
        let Ok(mut value) = serde_json::to_value(&event) else { return event };
        if self.value(&mut value) { serde_json::from_value(value).unwrap_or(event) } else { event }
    }

    /// Returns true if a JSON text may contain a secret. JSON escapes character by character, so a
    /// part of a string is a part of its text.
    fn is_in(&self, json: &str) -> bool {
        let spelled = |secret: &String| {
            let quoted = Value::from(secret.as_str()).to_string();
            json.contains(&quoted[1..quoted.len() - 1])
        };
        names_a_key(json.as_bytes()) || self.secrets.iter().any(spelled)
    }

    /// Redacts every string in place. Returns true if anything changed.
    pub fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let clean = self.text(text);
                let changed = clean != *text;
                *text = clean;
                changed
            }
            Value::Array(items) => {
                items.iter_mut().fold(false, |changed, item| self.value(item) | changed)
            }
            Value::Object(fields) => {
                fields.values_mut().fold(false, |changed, item| self.value(item) | changed)
            }
            _ => false,
        }
    }
}

fn without(bytes: &[u8], secret: &[u8]) -> Vec<u8> {
    let (mut clean, mut rest) = (Vec::with_capacity(bytes.len()), bytes);
    while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(REDACTED.as_bytes());
        rest = &rest[at + secret.len()..];
    }
    clean.extend_from_slice(rest);
    clean
}

/// Returns true if a text contains the BEGIN or END line of a private key.
pub fn names_a_key(text: &[u8]) -> bool {
    ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"]
        .iter()
        .any(|end| memmem::find(text, end.as_bytes()).is_some())
}

/// Replaces the text between the BEGIN and END marks of private keys. The marks are on their own
/// lines or within one: in JSON and environment files a key's newlines are `\n`.
fn private_keys(text: String) -> String {
    if !names_a_key(text.as_bytes()) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(begin) = mark(rest, "-----BEGIN") {
        clean.push_str(&rest[..begin.end]);
        rest = &rest[begin.end..];
        // A redacted key may lack its end if the text was truncated.
        let after = rest.strip_prefix("\\n").or(rest.strip_prefix('\n')).unwrap_or(rest);
        if after.starts_with(REDACTED) {
            continue;
        }
        // If a key does not end, nothing after its beginning is shown.
        let end = mark(rest, "-----END").unwrap_or(rest.len()..rest.len());
        let (key, margin) = rest[..end.start].rsplit_once('\n').unzip();
        let lines = if key.is_some() { "\n" } else { "" };
        clean.extend([lines, REDACTED, lines, margin.map_or("", own_margin)]);
        clean.push_str(&rest[end.clone()]);
        rest = &rest[end.end..];
    }
    clean + rest
}

/// Returns the position of a text's first BEGIN or END of a private key.
fn mark(text: &str, word: &str) -> Option<Range<usize>> {
    const DASHES: &str = "-----";
    memmem::find_iter(text.as_bytes(), word).find_map(|at| {
        let label = at + word.len();
        let end = label + text[label..].find(DASHES)? + DASHES.len();
        let line = !text[at..end].contains('\n');
        (line && names_a_key(&text.as_bytes()[at..end])).then_some(at..end)
    })
}

/// Returns the prefix of a key's last line that is not part of the key: a diff keeps its signs.
fn own_margin(margin: &str) -> &str {
    let key = margin.trim_start_matches([' ', '\t', '+', '-', '>', '|', '#']);
    &margin[..margin.len() - key.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_private_keys_go() {
        let redactor =
            Redactor::new(["hunter22".to_owned(), "no".to_owned(), "hunter22-long".to_owned()]);
        assert_eq!(redactor.text("DBPASS=hunter22-long no"), "DBPASS=[redacted] no");
        assert_eq!(redactor.bytes(b"\xff hunter22\0hunter22"), b"\xff [redacted]\0[redacted]");
        let key = "+-----BEGIN PRIVATE KEY-----\n+MIIE\n+-----END PRIVATE KEY-----\n";
        assert_eq!(
            redactor.text(key),
            "+-----BEGIN PRIVATE KEY-----\n[redacted]\n+-----END PRIVATE KEY-----\n"
        );
        let block =
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----\n";
        assert_eq!(redactor.text(block), block.replace("lQOY", "[redacted]"));
    }

    #[test]
    fn a_private_key_within_a_line_goes() {
        let clean = |text: &str| Redactor::default().text(text);
        let (begin, end) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
        assert_eq!(
            clean(&format!("A=1\nKEY=\"{begin}\\nMIIE\\nabc=\\n{end}\\n\"\nB=2 MIIE\n")),
            format!("A=1\nKEY=\"{begin}[redacted]{end}\\n\"\nB=2 MIIE\n")
        );
        // Two on one line, one that does not end, and one whose last line ends with its mark.
        let two = format!("{begin}a{end} {begin}b{end}");
        assert_eq!(clean(&two), format!("{begin}[redacted]{end} {begin}[redacted]{end}"));
        assert_eq!(clean(&format!("x {begin} MIIE")), format!("x {begin}[redacted]"));
        assert_eq!(
            clean(&format!("+{begin}ab\n+cd\n+ef=={end}\n+x\n")),
            format!("+{begin}\n[redacted]\n+{end}\n+x\n")
        );
        // A second pass changes nothing, and the text after the key stays.
        let json = format!(r#"{{"a": "{begin}\n[redacted]", "b": "x"}}"#);
        for text in [clean(&two), json, "-----BEGIN CERTIFICATE-----\nMIIE\n".to_owned()] {
            assert_eq!(clean(&text), text);
        }
    }

    #[test]
    fn private_keys_are_known() {
        for end in ["RSA PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
            assert!(names_a_key(format!("x\n-----END {end}-----\n").as_bytes()), "{end}");
        }
        assert!(!names_a_key(b"-----END PUBLIC KEY-----\n"));
    }

    #[test]
    fn events_lose_secrets_however_they_are_spelled() {
        let secrets = ["hunter22", "with \"quotes\" and \\", "line\nbreak"];
        let redactor = Redactor::new(secrets.map(str::to_owned));
        let note = |text: &str| Event::Note {
            level: crate::event::Level::Info,
            text: text.to_owned(),
            hint: None,
        };
        let shown = |event: &Event| serde_json::to_string(event).unwrap();
        for secret in secrets {
            let event = redactor.event(note(&format!("DBPASS={secret}!")));
            assert_eq!(shown(&event), shown(&note("DBPASS=[redacted]!")));
        }
        let event =
            redactor.event(note("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"));
        assert!(!shown(&event).contains("MIIE"));
        assert_eq!(shown(&redactor.event(note("nothing"))), shown(&note("nothing")));
    }
}
