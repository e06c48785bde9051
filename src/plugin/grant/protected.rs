//! Files that no plugin can read, and the directories that would expose them.

#![expect(
    clippy::disallowed_methods,
    reason = "it finds the directories that a grant may not contain"
)]

use std::path::{Path, PathBuf};

use crate::dir::{Held, Identity};

/// The paths that grants cannot expose: directories and files that no plugin can read.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Protected {
    /// The site's directory with links resolved.
    pub(in crate::plugin) site: PathBuf,
    /// The site's git directory, `mailcow.conf` and Docker's sockets. Links are resolved on demand,
    /// which few plugins need.
    inside: Vec<PathBuf>,
}

impl Protected {
    /// Returns the protected paths of the site in this directory, with additional ones.
    pub(in crate::plugin) fn of(site: &Path, more: &[PathBuf]) -> Self {
        let of_env = |name: &str| std::env::var(name).ok();
        let docker =
            of_env("DOCKER_HOST").and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
        let rootless =
            of_env("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("docker.sock"));
        let sockets =
            ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock"]
                .map(PathBuf::from);
        let own = [".git", "mailcow.conf"].map(|name| site.join(name));
        let inside = own
            .into_iter()
            .chain(sockets)
            .chain(docker)
            .chain(rootless)
            .chain(more.iter().cloned());
        Self { site: resolved(site), inside: inside.collect() }
    }

    /// Returns the protected paths that an open directory would expose.
    pub(super) fn given_away_by(&self, held: &Held) -> Option<PathBuf> {
        self.given_away(held.around().first().copied(), held.around())
    }

    /// Returns the protected paths that a directory would expose, which may not exist yet.
    pub(super) fn given_away_at(&self, path: &Path) -> Option<PathBuf> {
        self.given_away(Identity::of(path), &around(path))
    }

    /// Compares identities of files, in both directions: paths do not matter, because something
    /// mounted in two places has one identity.
    fn given_away(&self, directory: Option<Identity>, around_it: &[Identity]) -> Option<PathBuf> {
        let lies_in_it =
            |path: &Path| directory.is_some_and(|directory| around(path).contains(&directory));
        let holds_it =
            |path: &Path| Identity::of(path).is_some_and(|identity| around_it.contains(&identity));
        if lies_in_it(&self.site) {
            return Some(self.site.clone());
        }
        let mut inside = self.inside.iter().map(|path| resolved(path));
        inside.find(|path| lies_in_it(path) || holds_it(path))
    }
}

/// Returns the identities of a path and of the directories above it, as far as they exist.
fn around(path: &Path) -> Vec<Identity> {
    path.ancestors().filter_map(Identity::of).collect()
}

/// Resolves links as far as the path exists.
pub(in crate::plugin) fn resolved(path: &Path) -> PathBuf {
    let mut found = path
        .ancestors()
        .filter_map(|above| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?)));
    match found.next() {
        Some((above, rest)) if rest.as_os_str().is_empty() => above,
        Some((above, rest)) => above.join(rest),
        None => path.to_owned(),
    }
}
