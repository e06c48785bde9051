//! The site's clone: the one handle to git's data.

#![expect(clippy::disallowed_methods, reason = "it finds the directories that are opened")]

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use git2::{ErrorCode, Oid, Repository, Signature};

use super::blob;
use crate::dir::Dir;
use crate::error::{Context, Error, Result};
use crate::path::SitePath;

/// The name and address for commits if the site has none, as upstream's script sets them.
const NOBODY: (&str, &str) = ("moo", "moo@cow.moo");

/// A site's clone. Reading it writes nothing; methods that write say so.
pub struct Repo {
    pub(crate) git: Repository,
    root: PathBuf,
    pub(super) dir: Dir,
}

/// The size limit of a file, in bytes, which is git's own.
pub(super) const MOST_OF_A_FILE: u64 = 1 << 30;

impl Repo {
    /// Opens the clone whose working tree is `asked`: not one above it, and not another one.
    ///
    /// Clones of other users are opened too: root updates sites that others own, and nothing that a
    /// clone configures (hooks, filters, external drivers) runs here.
    pub fn open(asked: &Path) -> Result<Self> {
        settings();
        let what = || format!("{} is not a git clone that can be updated", asked.display());
        let git = Repository::open(asked).map_err(|error| explain(&error, what(), asked))?;
        let work = git.workdir().ok_or_else(|| {
            Error::new(what())
                .because("it is a bare repository, without a working tree")
                .hint("Name the site's own folder.")
        })?;
        let root = work.canonicalize().what_with(what)?;
        if root != asked.canonicalize().what_with(what)? {
            return Err(Error::new(what())
                .because(format!("its core.worktree is {}", root.display()))
                .hint(format!(
                    "git --git-dir {} config --unset core.worktree",
                    git.path().display()
                )));
        }
        let dir = Dir::open(&root).what_with(what)?;
        Ok(Self { git, root, dir })
    }

    /// Returns the working tree's directory, without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns this clone's git directory (of the worktree, if it is a linked one).
    pub fn git_folder(&self) -> &Path {
        self.git.path()
    }

    /// Returns the git directory that all worktrees share.
    pub fn common_folder(&self) -> &Path {
        self.git.commondir()
    }

    /// Returns a commit's tree.
    pub fn tree_of(&self, commit: Oid) -> Result<Oid> {
        let found = self.git.find_commit(commit).and_then(|commit| commit.tree());
        Ok(found.what_with(|| format!("could not read commit {commit}"))?.id())
    }

    /// Returns the content of `path` in `tree`. `None` if it is not a file.
    pub fn file_in(&self, tree: Oid, path: &SitePath) -> Result<Option<Vec<u8>>> {
        let doing = || format!("could not read {path} of tree {tree}");
        let entry = match self.git.find_tree(tree).and_then(|tree| tree.get_path(path.as_path())) {
            Ok(entry) => entry,
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
            Err(error) => return Err(error).what_with(doing),
        };
        if entry.kind() != Some(git2::ObjectType::Blob) {
            return Ok(None);
        }
        Ok(Some(self.git.find_blob(entry.id()).what_with(doing)?.content().to_vec()))
    }

    /// Returns true if `tree` has a file or a directory at `path`.
    pub fn has_path(&self, tree: Oid, path: &SitePath) -> Result<bool> {
        match self.git.find_tree(tree).and_then(|tree| tree.get_path(path.as_path()).map(drop)) {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(false),
            Err(error) => {
                Err(error).what_with(|| format!("could not look for {path} in tree {tree}"))
            }
        }
    }

    /// Returns the names in a directory of `tree`. `None` if it is not a directory.
    pub fn names_in(&self, tree: Oid, folder: &SitePath) -> Result<Vec<OsString>> {
        let found = self.git.find_tree(tree).and_then(|tree| {
            let folder = self.git.find_tree(tree.get_path(folder.as_path())?.id())?;
            Ok(folder
                .iter()
                .map(|entry| OsStr::from_bytes(entry.name_bytes()).to_owned())
                .collect())
        });
        match found {
            Err(none) if none.code() == ErrorCode::NotFound => Ok(Vec::new()),
            found => found.what_with(|| format!("could not read {folder} of tree {tree}")),
        }
    }

    /// Returns a blob's content.
    pub fn blob(&self, oid: Oid) -> Result<Vec<u8>> {
        Ok(blob::find(&self.git, oid)?.content().to_vec())
    }

    /// Stores `content` as an object without a reference.
    pub fn store(&self, content: &[u8]) -> Result<Oid> {
        blob::write(&self.git, content).what("could not write an object into the clone")
    }

    /// Returns the object for a file's content or a link's target, after git's line-ending and
    /// ident conversions. `path` is relative to the working tree; no link in it is followed.
    pub(super) fn hash(&self, path: &Path, found: &Metadata) -> Result<Oid> {
        let doing = || format!("could not read {}", path.display());
        if found.is_symlink() {
            let target = self.dir.read_link(path).what_with(doing)?;
            return self.store(target.as_os_str().as_bytes());
        }
        let (file, found) = self.dir.file(path).what_with(doing)?;
        if found.len() > MOST_OF_A_FILE {
            let most = bytesize::ByteSize::b(MOST_OF_A_FILE);
            return Err(Error::new(doing()).because(format!("it is larger than {most}")));
        }
        let mut object = self.git.blob_writer(Some(path)).what_with(doing)?;
        std::io::copy(&mut file.take(MOST_OF_A_FILE), &mut object).what_with(doing)?;
        object.commit().what_with(doing)
    }

    /// Returns the author of the run's commits, now: the site's identity, or upstream's default.
    pub(super) fn signature(&self, at: &jiff::ZonedDateTime) -> Result<Signature<'static>> {
        let config = self
            .git
            .config()
            .and_then(|mut config| config.snapshot())
            .what("could not read git's configuration")?;
        let set = |key| config.get_string(key).ok().filter(|value| !value.trim().is_empty());
        let name = set("user.name").unwrap_or_else(|| NOBODY.0.to_owned());
        let email = set("user.email").unwrap_or_else(|| NOBODY.1.to_owned());
        let time = git2::Time::new(at.timestamp().as_second(), at.offset().seconds() / 60);
        Signature::new(&name, &email, &time).what("git refuses the site's user.name or user.email")
    }
}

/// Sets libgit2's process-wide options.
fn settings() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Limits for a git:// upstream that accepts a connection and stays silent.
        const CONNECT: i32 = 30_000;
        const SILENCE: i32 = 60_000;
        // A fetch verifies hashes; git does not verify them again at each read either.
        git2::opts::strict_hash_verification(false);
        #[expect(
            unsafe_code,
            reason = "process-wide settings of libgit2, made once before anything else uses it"
        )]
        // If an option cannot be set, libgit2's safe default stays.
        unsafe {
            let _ = git2::opts::set_verify_owner_validation(false);
            let _ = git2::opts::set_server_connect_timeout_in_milliseconds(CONNECT);
            let _ = git2::opts::set_server_timeout_in_milliseconds(SILENCE);
        }
    });
}

fn explain(error: &git2::Error, what: String, root: &Path) -> Error {
    let told = Error::new(what).because(error.message());
    let message = error.message();
    if message.contains("partialclone") {
        return told
            .because("it is a partial clone: objects that a merge needs may be missing")
            .hint("Make a full clone of upstream and move the site's files into it.");
    }
    match error.code() {
        ErrorCode::NotFound => told.hint(format!(
            "A site is a git clone of upstream. Name its folder with --site, or check that {} exists.",
            root.join(".git").display()
        )),
        _ => told,
    }
}
