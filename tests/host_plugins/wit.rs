//! Parses the WIT text line by line into definitions and comments. Every definition must begin on a
//! line of its own, and every function must fit on one line.

use std::path::{Path, PathBuf};

/// An interface or a world.
pub struct Container {
    /// `interface` or `world`.
    pub sort: String,
    /// Its name.
    pub name: String,
    /// Its comment.
    pub docs: String,
    /// Its definitions.
    pub items: Vec<Item>,
}

/// A definition.
pub struct Item {
    /// `record conflict`, `check: func(…) -> …`, `import log`.
    pub head: String,
    /// Its comment.
    pub docs: String,
    /// Fields, cases or methods, each with its comment.
    pub parts: Vec<(String, String)>,
}

impl Item {
    /// Returns the definition as one line without comments.
    pub fn line(&self) -> String {
        let parts: Vec<&str> = self.parts.iter().map(|(part, _)| part.as_str()).collect();
        if parts.is_empty() {
            self.head.clone()
        } else {
            format!("{} {{ {} }}", self.head, parts.join(", "))
        }
    }
}

/// Returns the directories of all versions, oldest first.
pub fn versions() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit");
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    versions
}

/// Returns the text of one version, with its files in the order of their names.
pub fn text(version: &Path) -> String {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect()
}

/// Parses a text.
pub fn parse(text: &str) -> Vec<Container> {
    let (mut all, mut docs): (Vec<Container>, _) = (Vec::new(), Vec::new());
    // True inside an interface or a world, and inside a type there.
    let (mut inside, mut in_type) = (false, false);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("///") {
            docs.push(comment.trim().to_owned());
            continue;
        }
        let said = std::mem::take(&mut docs).join("\n");
        let opened = line.strip_suffix('{').map(str::trim_end);
        match (inside, in_type, opened) {
            _ if line.starts_with("package ") => {}
            (_, true, _) if line == "}" => in_type = false,
            (true, false, _) if line == "}" => inside = false,
            (false, _, Some(head)) => {
                let (sort, name) = head.split_once(' ').unwrap();
                all.push(Container {
                    sort: sort.to_owned(),
                    name: name.to_owned(),
                    docs: said,
                    items: Vec::new(),
                });
                inside = true;
            }
            (true, true, _) => {
                let part = line.trim_end_matches([',', ';']).to_owned();
                all.last_mut().unwrap().items.last_mut().unwrap().parts.push((part, said));
            }
            (true, false, opened) => {
                let head = opened.unwrap_or_else(|| {
                    line.strip_suffix(';').unwrap_or_else(|| panic!("one line: {line}"))
                });
                all.last_mut().unwrap().items.push(Item {
                    head: head.to_owned(),
                    docs: said,
                    parts: Vec::new(),
                });
                in_type = opened.is_some();
            }
            (false, ..) => panic!("not understood: {line}"),
        }
    }
    all
}

/// Returns the comment of the package.
pub fn package_docs(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("package ")).unwrap();
    let docs = lines[..at].iter().rev().map_while(|line| line.strip_prefix("///"));
    let mut docs: Vec<&str> = docs.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    docs.reverse();
    docs.join("\n")
}
