//! Snapshots of what users read. Placeholders replace what varies between machines or runs.

use insta::Settings;

use super::ran::Ran;
use super::site::Site;

/// What varies in any output, as regular expressions with their placeholders. The order matters.
const VARIABLE: &[(&str, &str)] = &[
    (r" --site \[SITE\]", ""),
    // Only the first test that needs a stock plugin compiles it.
    (r"(?m)^ +compile \S+: 1\n", ""),
    (r"\b\d{8}-\d{6}(-\d+)?\b", "[RUN]"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?(\[[\w/]+\])?", "[TIME]"),
    (r"\bsha256:[0-9a-f]{12,64}", "[DIGEST]"),
    (r"\b[0-9a-f]{40}\b", "[COMMIT]"),
    (r"\b[0-9a-f]{10}\b", "[COMMIT]"),
    (r"\b(cowhand |v)\d+\.\d+\.\d+\b", "$1[VERSION]"),
    (r"\bengine \d[\w.+~-]*", "engine [VERSION]"),
    (r"\bcompose \d[\w.+~-]*", "compose [VERSION]"),
    (r"\bprocess \d+\b", "process [PID]"),
    (r"\bfuel \d+\b", "fuel [FUEL]"),
    (r"\(by [^()]+ on \[TIME\]\)", "(by [USER] on [TIME])"),
    // These depend on the Rust release that compiled the plugin.
    (r"(  size     )\S+ \S+", "$1[SIZE]"),
    (r"wasi:[\w/-]+@[\d.]+([,\s]+wasi:[\w/-]+@[\d.]+)*", "[WASI IMPORTS]"),
];

/// Compares output with the snapshots in `tests/suite/snapshots`.
pub struct Snapshots(Settings);

impl Snapshots {
    /// The snapshots in this directory.
    pub fn in_directory(directory: &str) -> Self {
        let mut settings = Settings::new();
        settings.set_snapshot_path(format!("../snapshots/{directory}"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        Self(settings)
    }

    /// The same, for output about this site.
    pub fn about(self, site: &Site) -> Self {
        let upstream = site.upstream.folder().display().to_string();
        self.replacing(&site.root().display().to_string(), "[SITE]")
            .replacing(&upstream, "[UPSTREAM]")
            .replacing(&site.images.base(), "[IMAGES]")
            .replacing(site.project(), "[PROJECT]")
            .replacing(&site.slot().network(), "[NETWORK]")
    }

    /// The same, with a placeholder for this text.
    pub fn replacing(mut self, text: &str, placeholder: &str) -> Self {
        self.0.add_filter(&regex::escape(text), placeholder);
        self
    }

    /// Demands that a command's transcript is the snapshot of this name.
    pub fn show(&self, name: &str, ran: &Ran) {
        self.hold(name, &ran.transcript());
    }

    /// Demands that a text is the snapshot of this name.
    pub fn hold(&self, name: &str, text: &str) {
        let mut settings = self.0.clone();
        for (pattern, placeholder) in VARIABLE {
            settings.add_filter(pattern, *placeholder);
        }
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}
