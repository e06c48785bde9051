//! Refuses trees that no clone should check out: names that lead out of the working tree or into `.git`, doubled names, and
//! sizes that only an attack has.

use std::collections::HashSet;

use git2::Oid;

use super::trees::{Folder, Trees};
use crate::error::{Error, Result};
use crate::git::Repo;
use crate::path::SitePath;

/// How many files and folders are looked at before a tree counts as an attack.
const MOST: usize = 1_000_000;
/// How long a path may be: the kernel's own limit.
const LONGEST: usize = 4095;
/// How many folders may be inside one another; a site has around ten.
const DEEPEST: usize = 256;

/// Looks at the folders of a tree, one after the other.
#[derive(Default)]
pub struct Guard {
    seen: usize,
}

impl Guard {
    /// Checks what a folder holds; `path` is its own, empty for the root.
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
    /// Refuses an upstream commit whose tree no clone should ever check out; what `known` has too was looked at long ago. To be asked
    /// before anything else walks that tree.
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

/// A path inside a folder; the root's is empty.
pub fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn hostile(path: &[u8], why: &str) -> Error {
    let mut shown = SitePath::from(path).to_string();
    shown.truncate(shown.floor_char_boundary(200));
    Error::new(format!("upstream's tree holds a path that is not safe to check out: {shown}"))
        .because(why)
        .hint("This is not an upstream of mailcow's, or somebody tampered with it. Check the remote's address before anything else.")
}

/// Why a name may not be in a tree, if so.
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

/// Whether a name is `.git`, or becomes it on a file system that folds case, drops what it cannot show, or knows short names.
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
    // Of `.git ` and `.git...` and `.git::$INDEX` and `.git\x`, Windows' file systems make `.git` too.
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

/// Characters that HFS+ drops from names.
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
