//! Copies of the site's files in a run, and their way back. Links are kept as links; modes, owners
//! and times stay. Containers write in these directories, so both sides are directory handles.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::dir::{Attributes, Dir};
use crate::error::{Context, Result};

/// The largest file that is kept, in bytes. Certificates and settings are a few kilobytes.
const MOST_OF_A_FILE: u64 = 64 << 20;
/// The most bytes of one copy. A directory that a container fills must not fill the run's disk.
const MOST_BYTES: u64 = 512 << 20;
/// The most files and directories of one copy.
const MOST_ENTRIES: usize = 20_000;
/// The deepest directory of one copy.
const DEEPEST: usize = 32;

/// The outcome of a copy, or of a way back.
#[derive(Debug, Default)]
pub struct Copied {
    /// The files and links that were copied.
    pub paths: Vec<PathBuf>,
    /// The entries that were left alone.
    pub left: Vec<Left>,
}

/// A file or directory that was left alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Its path.
    pub path: PathBuf,
    /// Why, as a clause.
    pub why: String,
}

/// Copies `relative` (a file, a link, or a directory with all that is in it) from one directory to
/// another. A path where nothing is is nothing to copy.
pub fn copy(from: &Dir, relative: &Path, to: &Dir) -> Result<Copied> {
    Copying::new(from, to, |_| true).run(relative, "could not keep a copy of")
}

/// Brings back every kept file below `relative` that the site lacks.
pub fn restore_missing(kept: &Dir, relative: &Path, site: &Dir) -> Result<Copied> {
    let missing = |path: &Path| matches!(site.metadata(path), Ok(None));
    Copying::new(kept, site, missing).run(relative, "could not restore")
}

/// Brings back every kept file below `relative` that the site lacks or has otherwise.
pub fn restore_changed(kept: &Dir, relative: &Path, site: &Dir) -> Result<Copied> {
    Copying::new(kept, site, |path| !same(site, kept, path)).run(relative, "could not restore")
}

struct Copying<'a, W> {
    from: &'a Dir,
    to: &'a Dir,
    /// Returns true if the file at this path is to be copied.
    wanted: W,
    bytes: u64,
    entries: usize,
    copied: Copied,
}

impl<'a, W: Fn(&Path) -> bool> Copying<'a, W> {
    fn new(from: &'a Dir, to: &'a Dir, wanted: W) -> Self {
        Self { from, to, wanted, bytes: 0, entries: 0, copied: Copied::default() }
    }

    fn run(mut self, relative: &Path, doing: &str) -> Result<Copied> {
        self.entry(relative, 0).what_with(|| format!("{doing} {}", relative.display()))?;
        Ok(self.copied)
    }

    fn entry(&mut self, relative: &Path, depth: usize) -> io::Result<()> {
        match self.try_entry(relative, depth) {
            Err(error) if is_of_the_tree(&error) => {
                let why = match error.kind() {
                    ErrorKind::NotADirectory => "a part of its path is a link".to_owned(),
                    _ => error.to_string(),
                };
                self.copied.left.push(Left { path: relative.to_owned(), why });
                Ok(())
            }
            // It has just been removed.
            Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    fn try_entry(&mut self, relative: &Path, depth: usize) -> io::Result<()> {
        let Some(found) = self.from.metadata(relative)? else { return Ok(()) };
        self.entries += 1;
        if self.entries > MOST_ENTRIES || depth > DEEPEST {
            return Err(beyond("it exceeds what a run keeps"));
        }
        if found.is_dir() {
            return self.directory(relative, &found, depth);
        }
        if !(self.wanted)(relative) {
            return Ok(());
        }
        if found.is_symlink() {
            let target = self.from.read_link(relative)?;
            self.to.write_link(relative, &target, Attributes::of(&found))?;
        } else if found.is_file() {
            self.file(relative)?;
        } else {
            // Sockets and devices hold nothing to keep.
            return Ok(());
        }
        self.copied.paths.push(relative.to_owned());
        Ok(())
    }

    fn directory(&mut self, relative: &Path, found: &Metadata, depth: usize) -> io::Result<()> {
        match self.to.metadata(relative)? {
            None => self.to.make_dir(relative)?.set_attributes(Attributes::of(found))?,
            Some(there) if there.is_dir() => {}
            Some(_) => return Err(beyond("it is not a directory any more")),
        }
        for name in self.from.dir(relative)?.names(MOST_ENTRIES)? {
            self.entry(&relative.join(name), depth + 1)?;
        }
        Ok(())
    }

    /// The mode and owner are those of the file that is read, whatever was there a moment before.
    fn file(&mut self, relative: &Path) -> io::Result<()> {
        let (mut file, found) = self.from.file(relative)?;
        let room = MOST_OF_A_FILE.min(MOST_BYTES - self.bytes);
        if found.len() > room {
            return Err(beyond("it is larger than what a run keeps"));
        }
        self.to.write_from(relative, &mut file, room, Attributes::of(&found))?;
        self.bytes += found.len().min(room);
        Ok(())
    }
}

/// Returns true if an error is about an entry of the tree, not about the machine.
fn is_of_the_tree(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), FileTooLarge | InvalidInput | IsADirectory | NotADirectory)
}

fn beyond(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

/// Returns true if a path is the same file, or the same link, in two directories: content, mode and
/// owner.
pub fn same(a: &Dir, b: &Dir, path: &Path) -> bool {
    same_at(a, b, path).unwrap_or(false)
}

fn same_at(a: &Dir, b: &Dir, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (Some(left), Some(right)) = (a.metadata(path)?, b.metadata(path)?) else {
        return Ok(false);
    };
    let alike =
        left.mode() == right.mode() && left.uid() == right.uid() && left.gid() == right.gid();
    if !alike || left.is_symlink() {
        return Ok(alike && a.read_link(path)? == b.read_link(path)?);
    }
    let read = |dir: &Dir| dir.read(path, MOST_OF_A_FILE);
    Ok(left.len() == right.len() && read(a)? == read(b)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Sides {
        world: tempfile::TempDir,
        site: Dir,
        kept: Dir,
    }

    fn sides() -> Sides {
        let world = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            fs::create_dir(world.path().join(name)).unwrap();
            Dir::open(&world.path().join(name)).unwrap()
        };
        let (site, kept) = (open("site"), open("kept"));
        fs::create_dir(world.path().join("outside")).unwrap();
        Sides { world, site, kept }
    }

    #[test]
    fn files_links_and_modes_come_back_and_nothing_else_is_touched() {
        let Sides { world, site, kept } = sides();
        let ssl = world.path().join("site/ssl");
        fs::create_dir_all(ssl.join("deep")).unwrap();
        fs::write(ssl.join("key.pem"), "key").unwrap();
        fs::set_permissions(ssl.join("key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
        symlink("/etc/elsewhere/cert.pem", ssl.join("cert.pem")).unwrap();
        fs::write(ssl.join("deep/dh.pem"), "dh").unwrap();
        assert_eq!(copy(&site, Path::new("ssl"), &kept).unwrap().paths.len(), 3);

        fs::remove_file(ssl.join("key.pem")).unwrap();
        fs::remove_file(ssl.join("cert.pem")).unwrap();
        fs::write(ssl.join("deep/dh.pem"), "changed").unwrap();
        let missing = restore_missing(&kept, Path::new("ssl"), &site).unwrap().paths;
        assert_eq!(missing, [Path::new("ssl/cert.pem"), Path::new("ssl/key.pem")]);
        let target = fs::read_link(ssl.join("cert.pem")).unwrap();
        assert_eq!(target, Path::new("/etc/elsewhere/cert.pem"));
        assert_eq!(fs::metadata(ssl.join("key.pem")).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(ssl.join("deep/dh.pem")).unwrap(), "changed");

        let changed = restore_changed(&kept, Path::new("ssl"), &site).unwrap().paths;
        assert_eq!(changed, [Path::new("ssl/deep/dh.pem")]);
        assert!(restore_changed(&kept, Path::new("ssl"), &site).unwrap().paths.is_empty());
    }

    #[test]
    fn a_kept_directory_that_became_a_link_is_left_alone() {
        let Sides { world, site, kept } = sides();
        let sub = world.path().join("site/ssl/sub");
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("evil"), "* * * * * root").unwrap();
        copy(&site, Path::new("ssl"), &kept).unwrap();
        fs::remove_dir_all(&sub).unwrap();
        symlink("../../outside", &sub).unwrap();
        let why = "it is not a directory any more".to_owned();
        let left = [Left { path: "ssl/sub".into(), why }];
        for restore in [restore_missing, restore_changed] {
            assert_eq!(restore(&kept, Path::new("ssl"), &site).unwrap().left, left);
        }
        // One that was asked for by its own path: what stands above it is a link.
        let one = restore_missing(&kept, Path::new("ssl/sub/evil"), &site).unwrap();
        assert!(one.paths.is_empty());
        let one = restore_changed(&kept, Path::new("ssl/sub/evil"), &site).unwrap();
        assert_eq!(one.left.len(), 1);
        assert_eq!(fs::read_dir(world.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_container_fills_its_directory_with_does_not_fill_the_run() {
        let Sides { world, site, kept } = sides();
        let ssl = world.path().join("site/ssl");
        fs::create_dir(&ssl).unwrap();
        fs::File::create(ssl.join("huge")).unwrap().set_len(1 << 40).unwrap();
        fs::write(ssl.join("key.pem"), "key").unwrap();
        let deep = (0..40).fold(ssl.clone(), |path, _| path.join("d"));
        fs::create_dir_all(deep).unwrap();
        let copied = copy(&site, Path::new("ssl"), &kept).unwrap();
        assert_eq!(copied.paths, [Path::new("ssl/key.pem")]);
        assert_eq!(copied.left.len(), 2, "{:?}", copied.left);
    }
}
