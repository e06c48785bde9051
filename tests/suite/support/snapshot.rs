//! What the user sees, compared with what was seen before. `COWHAND_SNAPSHOTS=write` takes the new text over.

use std::path::PathBuf;

use regex::Regex;

use super::ran::Ran;
use super::site::Site;

impl Ran {
    /// Demands that standard output is the snapshot of this name, and standard error that of `NAME.err`, if there is any;
    /// what differs from run to run is replaced by its name.
    pub fn looks_like(self, name: &str, site: &Site) -> Self {
        compare(&format!("{name}.txt"), &stable(&self.stdout, site));
        if !self.stderr.is_empty() {
            compare(&format!("{name}.err.txt"), &stable(&self.stderr, site));
        }
        self
    }
}

fn compare(name: &str, seen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/suite/snapshots").join(name);
    if std::env::var_os("COWHAND_SNAPSHOTS").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(path.parent().expect("a folder"))
            .expect("the folder of snapshots is made");
        return std::fs::write(&path, seen).expect("a snapshot is written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        seen == expected,
        "{name} looks different.\n--- expected\n{expected}--- seen\n{seen}---"
    );
}

/// The text with what is different in every run replaced.
fn stable(text: &str, site: &Site) -> String {
    let text = text
        .replace(&site.root().display().to_string(), "SITE")
        .replace(&site.upstream.folder().display().to_string(), "UPSTREAM");
    let text = text
        .replace(&site.images.base(), "IMAGES")
        .replace(site.project(), "PROJECT")
        .replace(&site.slot().network(), "NETWORK");
    let replacements = [
        (
            r"\b\d{4}-?\d\d-?\d\d[T_ -]\d\d:?\d\d(:?\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?(\[[A-Za-z/_]+\])?(-[0-9a-f]{4,8})?\b",
            "TIME",
        ),
        (r"\bsha256:[0-9a-f]{12,64}\b", "DIGEST"),
        (r"\b[0-9a-f]{40}\b", "COMMIT"),
        (r"\b[0-9a-f]{7,12}\b", "SHORT"),
        (r"\b\d+(\.\d+)? (ms|s|min)\b", "DURATION"),
    ];
    replacements.into_iter().fold(text, |text, (pattern, name)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, name).into_owned()
    })
}
