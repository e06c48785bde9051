//! A throw-away upstream: a bare git repository whose first release has mailcow's shape, and to
//! which releases are added.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, RepositoryInitOptions, Signature, Time, Tree};

use super::images::Images;
use crate::error::{Context, Error, Result};

/// The tag of the first release.
pub const FIRST: &str = "2026-01";

/// Lists files of the first release as (path, executable, content).
macro_rules! files {
    ($($executable:literal $path:literal from $source:literal,)*) => {
        &[$(($path, $executable, include_str!(concat!("release/", $source)))),*]
    };
}

const FILES: &[(&str, bool, &str)] = files! {
    false ".gitignore" from "gitignore",
    false "README.md" from "README.md",
    false "docker-compose.yml" from "docker-compose.yml",
    true "generate_config.sh" from "generate_config.sh",
    true "update.sh" from "update.sh",
    false "data/assets/ssl-example/cert.pem" from "data/assets/ssl-example/cert.pem",
    false "data/assets/ssl-example/key.pem" from "data/assets/ssl-example/key.pem",
    false "data/conf/dovecot/conf.d/fts.conf" from "data/conf/dovecot/conf.d/fts.conf",
    false "data/conf/dovecot/dovecot.conf" from "data/conf/dovecot/dovecot.conf",
    false "data/conf/mysql/my.cnf" from "data/conf/mysql/my.cnf",
    false "data/conf/nginx/site.conf" from "data/conf/nginx/site.conf",
    false "data/conf/phpfpm/php-fpm.d/pools.conf" from "data/conf/phpfpm/php-fpm.d/pools.conf",
    false "data/conf/postfix/main.cf" from "data/conf/postfix/main.cf",
    false "data/conf/postfix/master.cf" from "data/conf/postfix/master.cf",
    false "data/conf/postfix/postscreen_access.cidr" from "data/conf/postfix/postscreen_access.cidr",
    true "data/conf/redis/redis-conf.sh" from "data/conf/redis/redis-conf.sh",
    false "data/conf/rspamd/local.d/actions.conf" from "data/conf/rspamd/local.d/actions.conf",
    false "data/conf/unbound/unbound.conf" from "data/conf/unbound/unbound.conf",
    false "data/web/inc/functions.inc.php" from "data/web/inc/functions.inc.php",
    false "data/web/index.php" from "data/web/index.php",
};

/// A bare repository with the branch `master`.
pub struct Upstream {
    folder: PathBuf,
    repository: Repository,
}

impl Upstream {
    /// Makes one in `folder`, which must not exist, with the first release: `services` of those in
    /// its compose file, their images named as `images` has them.
    pub fn create(folder: &Path, images: &Images, services: &[&str]) -> Result<Self> {
        let upstream = Self::empty(folder)?;
        let mut release = upstream.release(FIRST);
        for (path, executable, content) in FILES {
            let content = match *path {
                "docker-compose.yml" => compose_file(content, &images.base(), services),
                _ => (*content).to_owned(),
            };
            release = release.write(path, &content).executable(path, *executable);
        }
        release.link(".env", "mailcow.conf").publish()?;
        Ok(upstream)
    }

    /// Creates an upstream in `folder` without a commit.
    pub fn empty(folder: &Path) -> Result<Self> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).initial_head("master");
        let repository = Repository::init_opts(folder, &options)
            .what("could not make the upstream repository")?;
        Ok(Self { folder: folder.to_owned(), repository })
    }

    /// Returns its URL: a site's `origin`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The repository, for what this type does not offer.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The commit of `master`.
    pub fn tip(&self) -> Result<Oid> {
        self.repository.refname_to_id("refs/heads/master").what("upstream has no commit yet")
    }

    /// A file of the last commit.
    pub fn read(&self, path: &str) -> Result<String> {
        let doing = || format!("upstream has no {path}");
        let tree = self.tree()?.ok_or_else(|| Error::new(doing()))?;
        let blob =
            tree.get_path(Path::new(path)).and_then(|entry| self.repository.find_blob(entry.id()));
        Ok(String::from_utf8_lossy(blob.what_with(doing)?.content()).into_owned())
    }

    /// Begins a release, which is one commit on top of the last, and a tag.
    pub fn release(&self, tag: &str) -> Release<'_> {
        Release {
            upstream: self,
            tag: Some(tag.to_owned()),
            message: format!("Release {tag}"),
            changes: Vec::new(),
        }
    }

    /// Begins a commit without a tag.
    pub fn commit(&self, message: &str) -> Release<'_> {
        Release { upstream: self, tag: None, message: message.to_owned(), changes: Vec::new() }
    }

    fn tree(&self) -> Result<Option<Tree<'_>>> {
        let Ok(tip) = self.repository.refname_to_id("refs/heads/master") else { return Ok(None) };
        let tree = self.repository.find_commit(tip).and_then(|commit| commit.tree());
        tree.map(Some).what("could not read upstream's last commit")
    }
}

type Edit<'a> = Box<dyn FnOnce(String) -> String + 'a>;

enum Change<'a> {
    Write(Vec<u8>),
    Edit(Edit<'a>),
    Mode(bool),
    Link(String),
    Remove,
    Rename(String),
}

/// A commit that is being put together. Changes apply in the order in which they are given.
#[must_use = "a release is there once it is published"]
pub struct Release<'a> {
    upstream: &'a Upstream,
    tag: Option<String>,
    message: String,
    changes: Vec<(String, Change<'a>)>,
}

impl<'a> Release<'a> {
    /// Writes a file, whatever was there; the mode of an existing one stays.
    pub fn write(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.with(path, Change::Write(content.as_ref().to_vec()))
    }

    /// Changes a file that exists.
    pub fn edit(self, path: &str, edit: impl FnOnce(String) -> String + 'a) -> Self {
        self.with(path, Change::Edit(Box::new(edit)))
    }

    /// Exchanges `from` for `to` in a file, which must contain it.
    pub fn replace(self, path: &str, from: &'a str, to: &'a str) -> Self {
        self.edit(path, move |text| text.replace(from, to))
    }

    /// Adds lines at the end of a file.
    pub fn append(self, path: &str, lines: &'a str) -> Self {
        self.edit(path, move |text| text + lines)
    }

    /// Sets or clears a file's executable bit.
    pub fn executable(self, path: &str, executable: bool) -> Self {
        self.with(path, Change::Mode(executable))
    }

    /// Writes a symbolic link.
    pub fn link(self, path: &str, target: &str) -> Self {
        self.with(path, Change::Link(target.to_owned()))
    }

    /// Removes a file.
    pub fn remove(self, path: &str) -> Self {
        self.with(path, Change::Remove)
    }

    /// Renames a file.
    pub fn rename(self, from: &str, to: &str) -> Self {
        self.with(from, Change::Rename(to.to_owned()))
    }

    /// Takes a service out of the compose file.
    pub fn without_service(self, service: &'a str) -> Self {
        self.edit("docker-compose.yml", move |text| without_service(&text, service))
    }

    /// Lets the service whose image is `name` run another tag of it.
    pub fn image(self, name: &'a str, tag: &'a str) -> Self {
        self.edit("docker-compose.yml", move |text| with_tag(&text, name, tag))
    }

    /// Commits to `master`, sets the tag, and returns the commit's id.
    pub fn publish(self) -> Result<Oid> {
        let upstream = self.upstream;
        let repository = &upstream.repository;
        let doing = || format!("could not publish `{}` upstream", self.message);
        let mut tree = upstream.tree()?;
        for (path, change) in self.changes {
            let id = apply(repository, tree.as_ref(), &path, change)
                .what_with(|| format!("upstream's {path}"))?;
            tree = Some(repository.find_tree(id).what("could not read upstream's new tree")?);
        }
        let tree = tree.ok_or_else(|| Error::new("upstream has no files"))?;
        let parent = repository
            .refname_to_id("refs/heads/master")
            .and_then(|tip| repository.find_commit(tip))
            .ok();
        let author =
            author(parent.as_ref().map(|commit| commit.time().seconds())).what_with(doing)?;
        let parents: Vec<_> = parent.iter().collect();
        let made = repository.commit(
            Some("refs/heads/master"),
            &author,
            &author,
            &self.message,
            &tree,
            &parents,
        );
        let commit = made.what_with(doing)?;
        if let Some(tag) = &self.tag {
            repository
                .reference(&format!("refs/tags/{tag}"), commit, true, "release")
                .what_with(doing)?;
        }
        Ok(commit)
    }

    fn with(mut self, path: &str, change: Change<'a>) -> Self {
        self.changes.push((path.to_owned(), change));
        self
    }
}

/// The tree with one change made. `tree` is none before the first commit.
fn apply(
    repository: &Repository,
    tree: Option<&Tree<'_>>,
    path: &str,
    change: Change<'_>,
) -> std::result::Result<Oid, git2::Error> {
    let base = match tree {
        Some(tree) => tree.clone(),
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let found = base.get_path(Path::new(path)).ok();
    let there = || found.as_ref().ok_or_else(|| git2::Error::from_str("there is no such file"));
    let mode = match found.as_ref().map(git2::TreeEntry::filemode) {
        Some(0o100_755) => FileMode::BlobExecutable,
        Some(0o120_000) => FileMode::Link,
        _ => FileMode::Blob,
    };
    let mut update = TreeUpdateBuilder::new();
    match change {
        Change::Write(content) => update.upsert(path, repository.blob(&content)?, mode),
        Change::Edit(edit) => {
            let blob = repository.find_blob(there()?.id())?;
            let before = String::from_utf8_lossy(blob.content()).into_owned();
            let after = edit(before.clone());
            if before == after {
                return Err(git2::Error::from_str("the edit changes nothing"));
            }
            update.upsert(path, repository.blob(after.as_bytes())?, mode)
        }
        Change::Mode(true) => update.upsert(path, there()?.id(), FileMode::BlobExecutable),
        Change::Mode(false) => update.upsert(path, there()?.id(), FileMode::Blob),
        Change::Link(target) => {
            update.upsert(path, repository.blob(target.as_bytes())?, FileMode::Link)
        }
        Change::Remove => update.remove(path),
        Change::Rename(to) => {
            let id = there()?.id();
            update.remove(path).upsert(to, id, mode)
        }
    };
    update.create_updated(repository, &base)
}

/// Fixed times, a day between two commits, so that ids are the same in every run.
fn author(parent: Option<i64>) -> std::result::Result<Signature<'static>, git2::Error> {
    const START: i64 = 1_767_225_600;
    const DAY: i64 = 86_400;
    Signature::new(
        "Upstream",
        "upstream@example.org",
        &Time::new(parent.map_or(START, |time| time + DAY), 0),
    )
}

fn compose_file(template: &str, base: &str, services: &[&str]) -> String {
    let text = template.replace("@IMAGES@", base);
    service_names(&text)
        .iter()
        .filter(|name| !services.contains(&name.as_str()))
        .fold(text.clone(), |text, name| without_service(&text, name))
}

/// The services of a compose file in the shape of ours: four spaces before a service's name, six or
/// more within it.
pub fn service_names(compose: &str) -> Vec<String> {
    let head = |line: &str| {
        Some(line.strip_prefix("    ")?.strip_suffix(':')?.to_owned())
            .filter(|name| !name.starts_with(' '))
    };
    let services = compose.lines().skip_while(|line| *line != "services:").skip(1);
    services.take_while(|line| line.is_empty() || line.starts_with(' ')).filter_map(head).collect()
}

fn without_service(compose: &str, service: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for line in compose.lines() {
        if line.starts_with("    ") && !line.starts_with("     ") {
            inside = line.trim() == format!("{service}:");
        } else if !line.starts_with(' ') && !line.is_empty() {
            inside = false;
        }
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn with_tag(compose: &str, name: &str, tag: &str) -> String {
    let retag = |line: &str| match line.split_once(&format!("/{name}:")) {
        Some((before, _)) if before.trim_start().starts_with("image:") => {
            format!("{before}/{name}:{tag}\n")
        }
        _ => format!("{line}\n"),
    };
    compose.lines().map(retag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_change_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::new("127.0.0.1:5000", "unit");
        let upstream = Upstream::create(
            &folder.path().join("up.git"),
            &images,
            &["nginx-mailcow", "solr-mailcow"],
        )
        .unwrap();
        let first = upstream.read("docker-compose.yml").unwrap();
        assert_eq!(service_names(&first), ["nginx-mailcow", "solr-mailcow"]);
        assert!(first.contains("image: 127.0.0.1:5000/unit/nginx:1.03\n"));
        let release =
            upstream.release("2026-03").without_service("solr-mailcow").image("nginx", "1.04");
        release
            .rename("data/web/index.php", "data/web/start.php")
            .remove("README.md")
            .publish()
            .unwrap();
        let second = upstream.read("docker-compose.yml").unwrap();
        assert_eq!(service_names(&second), ["nginx-mailcow"]);
        assert!(
            second.contains("image: 127.0.0.1:5000/unit/nginx:1.04\n")
                && second.contains("networks:")
        );
        assert!(upstream.read("data/web/start.php").is_ok() && upstream.read("README.md").is_err());
    }
}
