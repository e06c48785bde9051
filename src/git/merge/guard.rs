//! Refuses trees that no clone should check out: names that lead out of the working tree or into
//! `.git`, duplicate names, and hostile sizes.

use std::collections::HashSet;

use git2::Oid;

use super::trees::{Folder, Trees};
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::path::SitePath;

/// The most files and directories in a tree.
const MOST: usize = 1_000_000;
/// The longest path, which is the kernel's limit.
const LONGEST: usize = 4095;
/// The deepest nesting of directories. A site has around ten levels.
const DEEPEST: usize = 256;

/// Checks the directories of a tree one by one.
#[derive(Default)]
pub struct Guard {
    seen: usize,
}

impl Guard {
    /// Checks a directory's entries. `path` is its own, empty for the root.
    pub fn folder(&mut self, folder: &Folder, path: &[u8]) -> Result<()> {
        self.seen += folder.len();
        let depth = path.split(|byte| *byte == b'/').count();
        let mut names: HashSet<&[u8]> = HashSet::with_capacity(folder.len());
        for (name, _) in folder {
            let why = match () {
                () if path.len() + 1 + name.len() > LONGEST => Some("the path is too long"),
                () if depth >= DEEPEST => Some("folders are too deep inside one another"),
                () if self.seen > MOST => Some("the tree is gigantic"),
                () if !names.insert(name) => Some("the name is there twice"),
                () => forbidden(name),
            };
            if let Some(why) = why {
                return Err(hostile(&join(path, name), why));
            }
        }
        Ok(())
    }
}

impl Repo {
    /// Refuses an upstream commit whose tree no clone should check out. Directories that `known`
    /// has are skipped. To be called before any other walk of that tree.
    pub fn refuse_hostile(&self, known: Oid, theirs: Oid) -> Result<()> {
        let trees = Trees::of(&self.git)?;
        look(&trees, &mut Guard::default(), Some(self.tree_of(known)?), self.tree_of(theirs)?, &[])
    }
}

fn look(
    trees: &Trees<'_>,
    guard: &mut Guard,
    known: Option<Oid>,
    tree: Oid,
    path: &[u8],
) -> Result<()> {
    if known == Some(tree) {
        return Ok(());
    }
    let folder = trees.read(tree)?;
    guard.folder(&folder, path)?;
    let known = known.map(|known| trees.read(known)).transpose()?;
    for (name, version) in folder.iter().filter(|(_, version)| version.is_folder()) {
        let same = |known: &Folder| {
            known.iter().find(|(other, version)| other == name && version.is_folder()).cloned()
        };
        let known = known.as_deref().and_then(same).map(|(_, version)| version.oid);
        look(trees, guard, known, version.oid, &join(path, name))?;
    }
    Ok(())
}

/// Returns a path in a directory; the root's path is empty.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn hostile(path: &[u8], why: &str) -> Error {
    let mut shown = SitePath::from(path).to_string();
    shown.truncate(shown.floor_char_boundary(200));
    Error::new(format!("upstream's tree holds a path that is not safe to check out: {shown}"))
        .because(why)
        .hint(
            "The upstream is not mailcow's, or it was tampered with. Check the remote's URL first.",
        )
}

/// Returns the reason if a name is not allowed in a tree.
fn forbidden(name: &[u8]) -> Option<&'static str> {
    match name {
        b"" => Some("a name is empty"),
        b"." | b".." => Some("it leads out of its folder"),
        name if name.contains(&b'/') || name.contains(&0) => {
            Some("a name contains what separates names")
        }
        name if is_git(name) => Some("it leads into git's own folder"),
        _ => None,
    }
}

/// Returns true if a name is `.git`, or becomes it on a file system that folds case, drops
/// characters, or has short names.
fn is_git(name: &[u8]) -> bool {
    // Nearly every name ends here.
    if name.is_ascii()
        && !name.starts_with(b".")
        && !name[..name.len().min(3)].eq_ignore_ascii_case(b"git")
    {
        return false;
    }
    let visible: String =
        String::from_utf8_lossy(name).chars().filter(|c| !is_ignorable(*c)).collect();
    if visible.eq_ignore_ascii_case(".git") {
        return true;
    }
    // Windows file systems read `.git `, `.git...`, `.git::$INDEX` and `.git\x` as `.git`.
    let lower = name.to_ascii_lowercase();
    let start = if lower.starts_with(b"git~1") {
        5
    } else if lower.starts_with(b".git") {
        4
    } else {
        return false;
    };
    let rest = &lower[start..];
    let end = rest.iter().position(|byte| *byte == b':' || *byte == b'\\').unwrap_or(rest.len());
    rest[..end].iter().all(|byte| *byte == b' ' || *byte == b'.')
}

/// The characters that HFS+ ignores in names.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_git_is_found() {
        for name in [
            ".git",
            ".GIT",
            ".Git",
            ".git ",
            ".git.",
            ".git. .",
            "git~1",
            "GIT~1",
            ".g\u{200c}it",
            ".git::$INDEX_ALLOCATION",
            ".git\\x",
        ] {
            assert!(forbidden(name.as_bytes()).is_some(), "{name:?}");
        }
        for name in [
            ".gitignore",
            ".gitattributes",
            "git",
            ".git-blame",
            "git~10",
            "..a",
            "a b",
            "\\",
            "-rf",
            "new\nline",
        ] {
            assert!(forbidden(name.as_bytes()).is_none(), "{name:?}");
        }
    }
}
