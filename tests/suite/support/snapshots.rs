//! Snapshots of what users read. Placeholders replace what varies between machines or runs.

use insta::Settings;

use super::ran::Ran;
use super::site::Site;
use super::world;

/// The varying parts of outputs, as regular expressions with their placeholders. The order matters.
const VARIABLE: &[(&str, &str)] = &[
    (r" --site \[SITE\]", ""),
    // Only the first test that needs a stock plugin compiles it.
    (r"(?m)^ +compile \S+: 1\n", ""),
    (r"\b\d{8}-\d{6}(-\d+)?\b", "[RUN]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?(\[[\w/]+\])?", "[TIME]"),
    (r"\(by [^()]+ on \[TIME\]\)", "(by [USER] on [TIME])"),
    (r"\bsha256:[0-9a-f]{12,64}", "[DIGEST]"),
    (r"\b([0-9a-f]{40}|[0-9a-f]{10})\b", "[COMMIT]"),
    (r"\b(cowhand |v)\d+\.\d+\.\d+\b", "$1[VERSION]"),
    (r"\b(engine|compose) \d[\w.+~-]*", "$1 [VERSION]"),
    (r"\bprocess \d+\b", "process [PID]"),
    (r"\b\d+(\.\d+)? ([KMG]i?)?B\b", "[SIZE]"),
    (r"\b\d+ ms\b", "[DURATION]"),
    // The durations in a list of runs.
    (r"(\[COMMIT\]|\?)  \d+ s\b", "$1  [DURATION]"),
    (r"\b\d+ calls\b", "[COUNT] calls"),
    (r"\bfuel \d+\b", "fuel [FUEL]"),
    // The Rust release that compiled a plugin decides what of WASI it imports.
    (r"wasi:[\w/-]+@[\d.]+([,\s]+wasi:[\w/-]+@[\d.]+)*", "[WASI IMPORTS]"),
];

/// Compares output with the snapshots in `tests/suite/snapshots`.
#[derive(Default)]
pub struct Snapshots(Settings);

impl Snapshots {
    /// For output about this site.
    pub fn about(site: &Site) -> Self {
        let upstream = site.upstream.folder().display().to_string();
        let snapshots = Self::default()
            .replacing(&site.root().display().to_string(), "[SITE]")
            .replacing(&upstream, "[UPSTREAM]")
            .replacing(&site.images.base(), "[IMAGES]")
            .replacing(site.project(), "[PROJECT]")
            .replacing_word(&site.slot().network(), "[NETWORK]");
        if !site.has_engine() {
            return snapshots;
        }
        let ports = (1..=8).map(|which| site.slot().port(which).to_string());
        ports.fold(snapshots.replacing(&world::registry(), "[REGISTRY]"), |snapshots, port| {
            snapshots.replacing_word(&port, "[PORT]")
        })
    }

    /// The same, with a placeholder for this text.
    pub fn replacing(mut self, text: &str, placeholder: &str) -> Self {
        self.0.add_filter(&regex::escape(text), placeholder);
        self
    }

    /// The same where the text is no part of a longer word: run ids contain every number.
    fn replacing_word(mut self, text: &str, placeholder: &str) -> Self {
        self.0.add_filter(&format!(r"\b{}\b", regex::escape(text)), placeholder);
        self
    }

    /// Demands that a command's transcript is this snapshot, which is named as a path.
    pub fn show(&self, name: &str, ran: &Ran) {
        self.hold(name, &ran.transcript());
    }

    /// Demands that a text is this snapshot.
    pub fn hold(&self, name: &str, text: &str) {
        let (directory, name) = name.rsplit_once('/').unwrap_or((".", name));
        let mut settings = self.0.clone();
        settings.set_snapshot_path(format!("../snapshots/{directory}"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        for (pattern, placeholder) in VARIABLE {
            settings.add_filter(pattern, *placeholder);
        }
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}
