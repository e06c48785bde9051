//! The remote: fetching upstream's branch and tags, and reading its refs. https, ssh (agent or key)
//! and local remotes.
//!
//! No hook, credential helper or ssh command from the clone's configuration runs.

use git2::{
    AutotagOption, Direction, ErrorClass, ErrorCode, FetchOptions, Oid, Remote, RemoteCallbacks,
    RemoteConnection,
};

use super::{Branch, Repo, transport};
use crate::error::{Context, Error, Result};
use crate::event::{Events, Unit};

/// git's depth for "the whole history".
const UNSHALLOW: i32 = i32::MAX;

impl Repo {
    /// Fetches what `git fetch REMOTE` would, and always upstream's branch. Returns that branch's
    /// commit.
    ///
    /// Moves remote-tracking refs and adds tags, as git does. A shallow clone gets the rest of its
    /// history if the merge base is missing.
    pub fn fetch(&self, branch: &Branch, events: &Events) -> Result<Oid> {
        let theirs = self.fetch_once(branch, events, None)?;
        if self.git.is_shallow() && self.git.merge_base(branch.head, theirs).is_err() {
            events.info(
                "The clone is shallow and lacks the commit that both sides have: fetching the rest of its history.",
            );
            return self.fetch_once(branch, events, Some(UNSHALLOW));
        }
        Ok(theirs)
    }

    fn fetch_once(&self, branch: &Branch, events: &Events, depth: Option<i32>) -> Result<Oid> {
        let upstream = &branch.upstream;
        let mut remote = self.remote(branch)?;
        let wanted = format!(
            "+refs/heads/{}:refs/remotes/{}/{}",
            upstream.branch, upstream.remote, upstream.branch
        );
        let mut specs: Vec<String> = remote
            .fetch_refspecs()
            .into_iter()
            .flat_map(|specs| {
                specs.iter().filter_map(|spec| Some(spec.ok()??.to_owned())).collect::<Vec<_>>()
            })
            .collect();
        let source = format!("refs/heads/{}", upstream.branch);
        if !remote.refspecs().any(|spec| spec.src_matches(&source)) {
            specs.push(wanted);
        }
        let mut options = FetchOptions::new();
        options.remote_callbacks(progress(events));
        options.download_tags(AutotagOption::Auto);
        if let Some(depth) = depth {
            options.depth(depth);
        }
        let message = format!("fetch {}: by cowhand", upstream.remote);
        remote
            .fetch(&specs, Some(&mut options), Some(&message))
            .map_err(|error| unreachable(branch, &error))?;
        self.fetched(branch, &remote, &source)
    }

    /// Returns upstream's branch after a fetch, as the remote listed it: a tracking ref may be
    /// stale.
    fn fetched(&self, branch: &Branch, remote: &Remote<'_>, source: &str) -> Result<Oid> {
        let oid = listed(remote, branch, source)?;
        self.git
            .find_commit(oid)
            .what_with(|| format!("{} did not arrive with the fetch", branch.upstream.label()))?;
        Ok(oid)
    }

    /// Returns upstream's branch, as `git ls-remote` shows it. Missing commits are fetched so that
    /// they can be read: objects are written, and no ref moves.
    pub fn remote_head(&self, branch: &Branch) -> Result<Oid> {
        let source = format!("refs/heads/{}", branch.upstream.branch);
        let mut remote = self.remote(branch)?;
        let mut connection = connect(&mut remote, branch)?;
        let oid = listed(connection.remote(), branch, &source)?;
        if self.git.find_commit(oid).is_err() {
            connection
                .remote()
                .download(&[source], None)
                .map_err(|error| unreachable(branch, &error))?;
        }
        Ok(oid)
    }

    /// Returns upstream's newest release: the tag whose name sorts last, and its commit. Writes
    /// nothing.
    pub fn remote_tag(&self, branch: &Branch) -> Result<(String, Oid)> {
        let mut remote = self.remote(branch)?;
        let connection = connect(&mut remote, branch)?;
        let list = connection.list().map_err(|error| unreachable(branch, &error))?;
        // For an annotated tag, the next entry is its commit.
        let tags = list.iter().filter_map(|head| {
            let name = head.name().strip_prefix("refs/tags/")?;
            Some((name.strip_suffix("^{}").unwrap_or(name).to_owned(), head.oid()))
        });
        let newest = tags.collect::<std::collections::BTreeMap<_, _>>().pop_last();
        newest.ok_or_else(|| Error::new(format!("upstream at {} has no tags", branch.upstream.url)))
    }

    /// Returns upstream's branch after the last fetch. `None` if it was never fetched. For work
    /// without the network.
    pub fn tracked(&self, branch: &Branch) -> Option<Oid> {
        let name = format!("refs/remotes/{}/{}", branch.upstream.remote, branch.upstream.branch);
        self.git
            .find_reference(&name)
            .and_then(|found| found.peel_to_commit())
            .ok()
            .map(|commit| commit.id())
    }

    fn remote(&self, branch: &Branch) -> Result<Remote<'_>> {
        let name = &branch.upstream.remote;
        let remote = self
            .git
            .find_remote(name)
            .what_with(|| format!("could not read the remote `{name}`"))?;
        transport::prepare(self.git.config().ok().as_ref(), name, remote.url().unwrap_or_default());
        Ok(remote)
    }
}

fn connect<'a, 'repo>(
    remote: &'a mut Remote<'repo>,
    branch: &Branch,
) -> Result<RemoteConnection<'repo, 'a, 'static>> {
    remote.connect_auth(Direction::Fetch, None, None).map_err(|error| unreachable(branch, &error))
}

/// Returns the target of the ref `source` in the list of the connected remote.
fn listed(remote: &Remote<'_>, branch: &Branch, source: &str) -> Result<Oid> {
    let list = remote.list().map_err(|error| unreachable(branch, &error))?;
    let found = list.iter().find(|head| head.name() == source).map(git2::RemoteHead::oid);
    found.ok_or_else(|| gone(branch))
}

fn progress(events: &Events) -> RemoteCallbacks<'_> {
    let task = "Fetching upstream";
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(move |progress| {
        let (done, total) = (progress.indexed_objects() as u64, progress.total_objects() as u64);
        match done {
            0 => {}
            done if done == total => events.finished(task, done, Unit::Items),
            done => events.progress(task, done, Some(total), Unit::Items),
        }
        true
    });
    callbacks
}

fn unreachable(branch: &Branch, error: &git2::Error) -> Error {
    let upstream = &branch.upstream;
    let told = Error::new(format!("could not fetch from upstream at {}", upstream.url))
        .because(error.message());
    match (error.class(), error.code()) {
        (ErrorClass::Ssh, ErrorCode::Auth) => {
            told.hint("ssh is called with BatchMode=yes: it needs an agent, or a key without a passphrase.")
        }
        (_, ErrorCode::Auth) => {
            told.hint("A login may stand in the address (https://USER:TOKEN@HOST/…); credential helpers are not run.")
        }
        (ErrorClass::Ssh, ErrorCode::NotFound) => told.hint("Install it: apt install openssh-client"),
        (_, ErrorCode::Certificate) => {
            told.hint("Its certificate or host key is not trusted here; check that it is the right server.")
        }
        (ErrorClass::Net | ErrorClass::Http | ErrorClass::Ssl | ErrorClass::Ssh | ErrorClass::Os, _) => {
            told.hint(format!(
                "Check the network, DNS and proxy (http.proxy of git, or https_proxy); try: git ls-remote {}",
                upstream.url
            ))
        }
        _ => told,
    }
}

fn gone(branch: &Branch) -> Error {
    let upstream = &branch.upstream;
    Error::new(format!(
        "upstream at {} has no branch `{}` (any more)",
        upstream.url, upstream.branch
    ))
    .hint(format!(
        "Follow another one: git branch --set-upstream-to={}/BRANCH {}",
        upstream.remote, branch.name
    ))
}
