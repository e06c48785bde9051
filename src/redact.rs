//! Keeps secrets out of everything shown: values from `mailcow.conf` and private keys.

use std::sync::Arc;

use memchr::memmem;
use serde_json::Value;

use crate::event::Event;

/// What stands in place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Shorter values are left alone: replacing every `n` or `25` would make all text unreadable and hide nothing.
const SHORTEST_SECRET: usize = 6;

/// Replaces known secrets, and the inside of PEM private keys, by [`REDACTED`].
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one goes whole.
    secrets: Arc<[String]>,
}

impl Redactor {
    /// A redactor for these secrets.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets: secrets.into() }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        private_keys(text)
    }

    /// The bytes without secrets: text as text; of what is none, the secrets alone go.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return self.text(text).into_bytes();
        }
        self.secrets.iter().fold(bytes.to_vec(), |bytes, secret| without(&bytes, secret.as_bytes()))
    }

    /// The event without secrets. Events carry text in many places, so it goes through its JSON form.
    pub fn event(&self, event: Event) -> Event {
        if matches!(event, Event::Progress { .. }) {
            return event;
        }
        // Nearly none has a secret in it, and whether it does, its text tells.
        if serde_json::to_string(&event).is_ok_and(|text| !self.is_in(&text)) {
            return event;
        }
        let Ok(mut value) = serde_json::to_value(&event) else { return event };
        if self.value(&mut value) { serde_json::from_value(value).unwrap_or(event) } else { event }
    }

    /// Whether a secret may be in a JSON text. There it is spelled character by character, so that a part of a string is a part of its text.
    fn is_in(&self, json: &str) -> bool {
        let spelled = |secret: &String| {
            let quoted = Value::from(secret.as_str()).to_string();
            json.contains(&quoted[1..quoted.len() - 1])
        };
        names_a_key(json.as_bytes()) || self.secrets.iter().any(spelled)
    }

    /// Redacts every string in place; whether anything changed.
    pub fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                let clean = self.text(text);
                let changed = clean != *text;
                *text = clean;
                changed
            }
            Value::Array(items) => items.iter_mut().fold(false, |changed, item| self.value(item) | changed),
            Value::Object(fields) => fields.values_mut().fold(false, |changed, item| self.value(item) | changed),
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

/// Whether a text names a private key, as the lines around one do.
pub fn names_a_key(text: &[u8]) -> bool {
    ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"].iter().any(|end| memmem::find(text, end.as_bytes()).is_some())
}

/// Replaces what stands between the BEGIN and END lines of private keys.
fn private_keys(text: String) -> String {
    if !names_a_key(text.as_bytes()) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let begins = line.contains("-----BEGIN") && names_a_key(line.as_bytes());
        let ends = line.contains("-----END") && names_a_key(line.as_bytes());
        match (inside, begins, ends) {
            (_, true, false) => {
                inside = true;
                clean.push_str(line);
                // A diff's own marker stays, so that the redacted diff still reads as one.
                clean.push_str(REDACTED);
                clean.push('\n');
            }
            (_, _, true) => {
                inside = false;
                clean.push_str(line);
            }
            (true, ..) => {}
            (false, ..) => clean.push_str(line),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_private_keys_go() {
        let redactor = Redactor::new(["hunter22".to_owned(), "no".to_owned(), "hunter22-long".to_owned()]);
        assert_eq!(redactor.text("DBPASS=hunter22-long no"), "DBPASS=[redacted] no");
        assert_eq!(redactor.bytes(b"\xff hunter22\0hunter22"), b"\xff [redacted]\0[redacted]");
        let key = "+-----BEGIN PRIVATE KEY-----\n+MIIE\n+-----END PRIVATE KEY-----\n";
        assert_eq!(redactor.text(key), "+-----BEGIN PRIVATE KEY-----\n[redacted]\n+-----END PRIVATE KEY-----\n");
        let block = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----\n";
        assert_eq!(redactor.text(block), block.replace("lQOY", "[redacted]"));
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
        let note = |text: &str| Event::Note { level: crate::event::Level::Info, text: text.to_owned(), hint: None };
        let shown = |event: &Event| serde_json::to_string(event).unwrap();
        for secret in secrets {
            let event = redactor.event(note(&format!("DBPASS={secret}!")));
            assert_eq!(shown(&event), shown(&note("DBPASS=[redacted]!")));
        }
        let event = redactor.event(note("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"));
        assert!(!shown(&event).contains("MIIE"));
        assert_eq!(shown(&redactor.event(note("nothing"))), shown(&note("nothing")));
    }
}
