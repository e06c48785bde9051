//! Trees as lists of names: each is read and parsed once. New ones are built in memory, and written
//! when a result is certain.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use git2::{ObjectType, Odb, Oid, Repository};

use super::walk::{FOLDER, Version};
use crate::error::{Context, Error, Result};

/// The entries of a directory, in the order of the tree.
pub type Folder = Vec<(Vec<u8>, Version)>;

/// The trees of one clone.
pub struct Trees<'g> {
    odb: Odb<'g>,
    known: RefCell<HashMap<Oid, Rc<Folder>>>,
    /// Built in memory and not written yet.
    made: RefCell<HashMap<Oid, Vec<u8>>>,
}

impl<'g> Trees<'g> {
    /// Returns the trees of this clone.
    pub fn of(git: &'g Repository) -> Result<Self> {
        let odb = git.odb().what("could not open the clone's objects")?;
        Ok(Self { odb, known: RefCell::default(), made: RefCell::default() })
    }

    /// Returns the entries of a directory.
    pub fn read(&self, oid: Oid) -> Result<Rc<Folder>> {
        if let Some(known) = self.known.borrow().get(&oid) {
            return Ok(Rc::clone(known));
        }
        let doing = || format!("could not read tree {oid}");
        let object = self.odb.read(oid).what_with(doing)?;
        let folder = (object.kind() == ObjectType::Tree).then(|| parse(object.data())).flatten();
        let folder = Rc::new(folder.ok_or_else(|| Error::new(doing()).because("it is damaged"))?);
        self.known.borrow_mut().insert(oid, Rc::clone(&folder));
        Ok(folder)
    }

    /// Returns the file or directory of a tree at a path.
    pub fn find(&self, tree: Oid, path: &[u8]) -> Result<Option<Version>> {
        let mut found = Version { mode: FOLDER, oid: tree };
        for name in path.split(|byte| *byte == b'/') {
            if !found.is_folder() {
                return Ok(None);
            }
            match self.read(found.oid)?.iter().find(|(known, _)| known == name) {
                Some((_, version)) => found = *version,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Returns the file, link or submodule of a tree at a path.
    pub fn file(&self, tree: Oid, path: &[u8]) -> Result<Option<Version>> {
        Ok(self.find(tree, path)?.filter(|found| !found.is_folder()))
    }

    /// Builds a tree of these entries, in any order, in memory until [`Trees::store`].
    pub fn make(&self, mut folder: Folder) -> Result<Oid> {
        folder.sort_by(|one, two| sorted_as(one).cmp(sorted_as(two)));
        let mut bytes = Vec::with_capacity(folder.len() * 40);
        for (name, version) in &folder {
            bytes.extend_from_slice(format!("{:o} ", version.mode).as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(version.oid.as_bytes());
        }
        let oid = Oid::hash_object(ObjectType::Tree, &bytes).what("could not make a tree")?;
        if self.known.borrow_mut().insert(oid, Rc::new(folder)).is_none() {
            self.made.borrow_mut().insert(oid, bytes);
        }
        Ok(oid)
    }

    /// Writes a tree and everything below it that is only in memory.
    pub fn store(&self, tree: Oid) -> Result<()> {
        let Some(bytes) = self.made.borrow_mut().remove(&tree) else { return Ok(()) };
        for (_, version) in self.read(tree)?.iter().filter(|(_, version)| version.is_folder()) {
            self.store(version.oid)?;
        }
        self.odb.write(ObjectType::Tree, &bytes).what("could not write a tree into the clone")?;
        Ok(())
    }
}

/// git's order: a directory's name counts as if it ended with a slash.
fn sorted_as((name, version): &(Vec<u8>, Version)) -> impl Iterator<Item = &u8> {
    name.iter().chain(version.is_folder().then_some(&b'/'))
}

/// Parses a tree object. `None` if it is damaged.
pub(crate) fn parse(mut bytes: &[u8]) -> Option<Folder> {
    const ID: usize = 20;
    let mut folder = Folder::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let mode = octal(&bytes[..space])?;
        bytes = &bytes[space + 1..];
        let end = bytes.iter().position(|byte| *byte == 0)?;
        let (name, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (id, rest) = rest.split_at_checked(ID)?;
        folder.push((
            name.to_vec(),
            Version { mode: canonical(mode), oid: Oid::from_bytes(id).ok()? },
        ));
        bytes = rest;
    }
    Some(folder)
}

/// Parses a mode's digits: no sign, and no more than a mode has.
fn octal(digits: &[u8]) -> Option<u32> {
    let plain = digits.iter().all(u8::is_ascii_digit);
    let mode = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()?;
    plain.then_some(mode.into())
}

/// Returns the mode as git reads it: old clones have more kinds of permissions.
fn canonical(mode: u32) -> u32 {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o100 != 0 => 0o100_755,
        0o100_000 => 0o100_644,
        0o120_000 => 0o120_000,
        0o040_000 => FOLDER,
        _ => 0o160_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(mode: u32) -> Version {
        Version { mode, oid: Oid::from_bytes(&[7; 20]).unwrap() }
    }

    #[test]
    fn what_is_made_is_what_is_read_in_git_s_order() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let trees = Trees::of(&git).unwrap();
        let names = [("a", FOLDER), ("a.b", 0o100_644), ("a0", 0o100_755), ("b\u{fc}", 0o120_000)];
        let unsorted: Folder =
            names.iter().map(|(name, mode)| (name.as_bytes().to_vec(), version(*mode))).collect();
        let tree = trees.make(unsorted).unwrap();
        assert!(git.find_tree(tree).is_err(), "only in memory");
        trees.store(tree).unwrap();
        let read: Vec<_> = Trees::of(&git)
            .unwrap()
            .read(tree)
            .unwrap()
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        assert_eq!(read, [&b"a.b"[..], b"a", b"a0", "b\u{fc}".as_bytes()]);
        assert_eq!(git.find_tree(tree).unwrap().len(), names.len());
    }

    #[test]
    fn damaged_trees_are_none() {
        assert!(parse(b"100644 name\0short").is_none());
        assert!(parse(b"100644").is_none());
        assert!(parse(b"99 name\0aaaaaaaaaaaaaaaaaaaa").is_none());
        assert!(parse(b"+100644 name\0aaaaaaaaaaaaaaaaaaaa").is_none());
        assert!(parse(b"1100644 name\0aaaaaaaaaaaaaaaaaaaa").is_none());
        assert_eq!(parse(b""), Some(Folder::new()));
        let old = parse(&[b"100664 name\0".as_slice(), &[7; 20]].concat()).unwrap();
        assert_eq!(old, [(b"name".to_vec(), version(0o100_644))]);
    }
}
