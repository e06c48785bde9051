//! The preconditions of an update of the clone, and its upstream: states in which a merge would
//! fail half-way are refused first.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use git2::{Config, Oid, RepositoryState};
use serde::{Deserialize, Serialize};

use super::{Repo, oid_text};
use crate::error::{Context, Error, Result};
use crate::path::quoted;

/// The site's branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Its short name: `master`.
    pub name: String,
    /// Its commit.
    #[serde(with = "oid_text")]
    pub head: Oid,
    /// Its upstream.
    pub upstream: Upstream,
}

/// The remote branch that a site follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The remote's name: `origin`.
    pub remote: String,
    /// The branch's short name on the remote: `master`.
    pub branch: String,
    /// The remote's URL, with any password replaced.
    pub url: String,
}

impl Upstream {
    /// Returns `origin/master`: the common name, which git also writes into conflicts.
    pub fn label(&self) -> String {
        format!("{}/{}", self.remote, self.branch)
    }
}

impl Branch {
    /// Returns the branch's full name.
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.name)
    }
}

impl Repo {
    /// Returns the branch, and fails if git's state forbids an update. Reads only.
    pub fn readiness(&self) -> Result<Branch> {
        // A rebase detaches HEAD: the rebase is the better explanation.
        self.nothing_under_way()?;
        let branch = self.branch()?;
        self.no_locks(&branch)?;
        self.whole()?;
        Ok(branch)
    }

    /// Returns the branch and its upstream in any state. Reads only.
    pub fn branch(&self) -> Result<Branch> {
        let head = self.git.find_reference("HEAD").what("could not read HEAD of the clone")?;
        let Some(full) = head.symbolic_target().ok().flatten() else { return Err(self.detached()) };
        let name = full.strip_prefix("refs/heads/").unwrap_or(full).to_owned();
        let commit = head.resolve().and_then(|head| head.peel_to_commit());
        let commit = commit.what_with(|| format!("branch {name} of the clone has no commit"))?;
        let upstream = self.upstream(&name)?;
        Ok(Branch { name, head: commit.id(), upstream })
    }

    fn detached(&self) -> Error {
        let name = self.likely_branch();
        Error::new("the site is on no branch (detached HEAD), so there is nothing that an update could move")
            .hint(format!("git -C {} switch {name}", self.root().display()))
            .hint("A checkout of a tag or commit leaves a clone like this; local edits survive the switch or git refuses it.")
    }

    /// Returns the local branch that a detached HEAD most likely came from.
    fn likely_branch(&self) -> String {
        let local =
            self.git.branches(Some(git2::BranchType::Local)).into_iter().flatten().flatten();
        let names: Vec<String> =
            local.filter_map(|(branch, _)| Some(branch.name().ok()??.to_owned())).collect();
        let usual = ["master", "main"].iter().find(|usual| names.iter().any(|name| name == *usual));
        usual
            .map(|name| (*name).to_owned())
            .or_else(|| names.into_iter().next())
            .unwrap_or_else(|| "master".to_owned())
    }

    fn upstream(&self, branch: &str) -> Result<Upstream> {
        let config = self
            .git
            .config()
            .and_then(|mut config| config.snapshot())
            .what("could not read git's configuration")?;
        let remote = config
            .get_string(&format!("branch.{branch}.remote"))
            .unwrap_or_else(|_| "origin".to_owned());
        let merge = config
            .get_string(&format!("branch.{branch}.merge"))
            .unwrap_or_else(|_| branch.to_owned());
        let merge = merge.strip_prefix("refs/heads/").unwrap_or(&merge).to_owned();
        let found = self.git.find_remote(&remote).map_err(|error| {
            Error::new(format!(
                "branch {branch} follows no remote: there is no remote named `{remote}`"
            ))
            .because(error.message())
            .hint(format!("git -C {} remote add origin URL-OF-UPSTREAM", self.root().display()))
        })?;
        let url = without_password(&String::from_utf8_lossy(found.url_bytes()));
        Ok(Upstream { remote, branch: merge, url })
    }

    fn nothing_under_way(&self) -> Result<()> {
        let (what, end) = match self.git.state() {
            RepositoryState::Clean => return self.nothing_unmerged(),
            RepositoryState::Merge => ("a merge", "merge --abort"),
            RepositoryState::Revert | RepositoryState::RevertSequence => {
                ("a revert", "revert --abort")
            }
            RepositoryState::CherryPick | RepositoryState::CherryPickSequence => {
                ("a cherry-pick", "cherry-pick --abort")
            }
            RepositoryState::Bisect => ("a bisect", "bisect reset"),
            RepositoryState::Rebase
            | RepositoryState::RebaseInteractive
            | RepositoryState::RebaseMerge => ("a rebase", "rebase --abort"),
            RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => {
                ("`git am`", "am --abort")
            }
        };
        Err(Error::new(format!("{what} is under way in the site's clone"))
            .hint(format!("Finish it, or give it up: git -C {} {end}", self.root().display())))
    }

    fn nothing_unmerged(&self) -> Result<()> {
        let index = self.git.index().what("could not read the clone's index")?;
        if !index.has_conflicts() {
            return Ok(());
        }
        Err(Error::new("the clone's index holds unmerged files of an earlier merge").hint(format!(
            "Look at them with `git -C {} status`, settle each, and `git add` it.",
            self.root().display()
        )))
    }

    fn no_locks(&self, branch: &Branch) -> Result<()> {
        let names = [
            self.git_folder().join("index.lock"),
            self.git_folder().join("HEAD.lock"),
            self.common_folder().join(format!("{}.lock", branch.reference())),
        ];
        match names
            .into_iter()
            .find_map(|path| fs::symlink_metadata(&path).ok().map(|found| (path, found)))
        {
            None => Ok(()),
            Some((path, found)) => Err(locked(&path, found.modified().ok())),
        }
    }

    /// A merge needs every file in the working tree and every object in the clone.
    fn whole(&self) -> Result<()> {
        let config = self.git.config().what("could not read git's configuration")?;
        if config.get_bool("core.sparseCheckout").unwrap_or(false) {
            return Err(Error::new(
                "the clone is a sparse checkout: files of the site are not in its working tree",
            )
            .hint(format!("git -C {} sparse-checkout disable", self.root().display())));
        }
        if is_partial(&config) {
            return Err(Error::new(
                "the clone is a partial one: objects that a merge needs may be missing",
            )
            .hint("Make a full clone of upstream and move the site's files into it."));
        }
        Ok(())
    }
}

fn is_partial(config: &Config) -> bool {
    let Ok(mut entries) = config.entries(Some(r"^remote\..*\.promisor$")) else { return false };
    while let Some(entry) = entries.next() {
        if entry.is_ok_and(|entry| entry.value().is_ok_and(|value| value == "true")) {
            return true;
        }
    }
    config.get_string("extensions.partialClone").is_ok()
}

fn locked(path: &Path, since: Option<SystemTime>) -> Error {
    let age = since.and_then(|since| since.elapsed().ok()).map_or_else(String::new, |age| {
        let seconds = age.as_secs();
        match seconds {
            0..120 => format!(", {seconds} s old"),
            120..7200 => format!(", {} min old", seconds / 60),
            _ => format!(", {} h old", seconds / 3600),
        }
    });
    Error::new(format!("git's lock {} is there{age}", path.display()))
        .because("another git command is running, or one was killed and left it behind")
        .hint(format!("If no git command is running: rm {}", quoted(path)))
}

/// Returns a remote's URL without its password.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, path) =
        rest.split_once('/').map_or((rest, None), |(place, path)| (place, Some(path)));
    let Some((user, host)) = place.rsplit_once('@') else { return url.to_owned() };
    let user = user.split_once(':').map_or(user.to_owned(), |(name, _)| format!("{name}:***"));
    let path = path.map_or_else(String::new, |path| format!("/{path}"));
    format!("{scheme}://{user}@{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_in_addresses_are_hidden() {
        let hidden = without_password("https://me:s3cret@example.org:8443/a/b.git");
        assert_eq!(hidden, "https://me:***@example.org:8443/a/b.git");
        assert_eq!(without_password("https://example.org/a@b"), "https://example.org/a@b");
        assert_eq!(without_password("git@example.org:a/b.git"), "git@example.org:a/b.git");
    }
}
