//! The history: commits between two ends, ancestry, and differing paths.

use std::collections::HashMap;

use git2::{Delta, DiffOptions, ErrorCode, Oid, Sort};
use serde::{Deserialize, Serialize};

use super::Repo;
use crate::error::{Context, Result};
use crate::path::SitePath;
use crate::printable::{MOST_OF_A_TEXT, cut};

/// A commit, with the properties that people and plugins need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub oid: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// The commit's time, in seconds since 1970, UTC.
    pub time: i64,
    /// The committer's offset from UTC, in minutes.
    pub offset: i32,
    /// The first line of its message, shortened if it is long. Bytes that are not UTF-8 are
    /// replaced.
    pub subject: String,
    /// The tags on it, sorted, if [`Repo::with_tags`] looked for them.
    pub tags: Vec<String>,
}

impl CommitInfo {
    /// Returns the day of the commit in the committer's time zone: `2026-11-23`.
    pub fn day(&self) -> String {
        self.local_time("%Y-%m-%d")
    }

    /// Returns the commit's time in the format of `git log --format=%ci`.
    pub fn date_and_time(&self) -> String {
        self.local_time("%Y-%m-%d %H:%M:%S %z")
    }

    fn local_time(&self, format: &str) -> String {
        let offset =
            jiff::tz::Offset::from_seconds(self.offset * 60).unwrap_or(jiff::tz::Offset::UTC);
        let time = jiff::Timestamp::from_second(self.time).unwrap_or_default();
        time.to_zoned_datetime(offset.to_time_zone()).strftime(format).to_string()
    }
}

/// The change of a path between two trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Only the second tree has it.
    Added,
    /// Only the first tree has it.
    Deleted,
    /// Content, mode or type differ.
    Modified,
}

impl Repo {
    /// Returns the commits that `to` has and `from` lacks, newest first.
    pub fn commits(&self, from: Oid, to: Oid) -> Result<Vec<CommitInfo>> {
        let doing = || format!("could not list the commits between {from} and {to}");
        let mut walk = self.git.revwalk().what_with(doing)?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).what_with(doing)?;
        walk.push(to).and_then(|()| walk.hide(from)).what_with(doing)?;
        walk.map(|oid| self.commit_info(oid?)).collect::<Result<_, git2::Error>>().what_with(doing)
    }

    /// Adds the tags to commits. Reads every tag of the clone.
    pub fn with_tags(&self, mut commits: Vec<CommitInfo>) -> Result<Vec<CommitInfo>> {
        let mut tags = self.tags()?;
        for commit in &mut commits {
            commit.tags = tags.remove(&commit.oid).unwrap_or_default();
        }
        Ok(commits)
    }

    /// Returns one commit.
    pub fn commit(&self, oid: Oid) -> Result<CommitInfo> {
        self.commit_info(oid).what_with(|| format!("could not read commit {oid}"))
    }

    fn commit_info(&self, oid: Oid) -> Result<CommitInfo, git2::Error> {
        let commit = self.git.find_commit(oid)?;
        let subject =
            commit.message_bytes().split(|byte| *byte == b'\n').next().unwrap_or_default();
        let time = commit.time();
        Ok(CommitInfo {
            oid,
            parents: commit.parent_ids().collect(),
            time: time.seconds(),
            offset: time.offset_minutes(),
            subject: cut(String::from_utf8_lossy(subject).trim().to_owned(), MOST_OF_A_TEXT),
            tags: Vec::new(),
        })
    }

    /// Returns the names of all tags by commit.
    fn tags(&self) -> Result<HashMap<Oid, Vec<String>>> {
        let doing = "could not list the clone's tags";
        let mut tags: HashMap<Oid, Vec<String>> = HashMap::new();
        for tag in self.git.references_glob("refs/tags/*").what(doing)? {
            let tag = tag.what(doing)?;
            let (Ok(commit), Ok(name)) = (tag.peel_to_commit(), tag.shorthand()) else { continue };
            tags.entry(commit.id()).or_default().push(name.to_owned());
        }
        for names in tags.values_mut() {
            names.sort();
        }
        Ok(tags)
    }

    /// Returns the newest tag with a matching name that `head` contains.
    pub fn newest_tag(&self, head: Oid, is_meant: impl Fn(&str) -> bool) -> Result<Option<String>> {
        let has_one = |names: &Vec<String>| names.iter().any(|name| is_meant(name));
        let tagged = self
            .tags()?
            .into_iter()
            .filter(|(_, names)| has_one(names))
            .map(|(commit, _)| self.commit(commit))
            .collect::<Result<_>>()?;
        let mut tagged = self.with_tags(tagged)?;
        tagged.sort_by_key(|commit| std::cmp::Reverse(commit.time));
        for commit in tagged {
            if self.contains(head, commit.oid)? {
                return Ok(commit.tags.into_iter().rfind(|name| is_meant(name)));
            }
        }
        Ok(None)
    }

    /// Returns true if `commit` is `head` or one of its ancestors.
    pub fn contains(&self, head: Oid, commit: Oid) -> Result<bool> {
        let found =
            if head == commit { Ok(true) } else { self.git.graph_descendant_of(head, commit) };
        found.what_with(|| format!("could not compare commits {head} and {commit}"))
    }

    /// Returns the merge bases: none if the histories are unrelated, several if they crossed.
    pub fn merge_bases(&self, one: Oid, two: Oid) -> Result<Vec<Oid>> {
        match self.git.merge_bases(one, two) {
            Ok(bases) => Ok(bases.iter().copied().collect()),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Vec::new()),
            Err(error) => Err(error)
                .what_with(|| format!("could not find what {one} and {two} have in common")),
        }
    }

    /// Returns the paths that differ between two trees, sorted, without rename detection.
    pub fn changed_paths(&self, from: Oid, to: Oid) -> Result<Vec<(SitePath, Change)>> {
        let doing = || format!("could not compare trees {from} and {to}");
        let old = self.git.find_tree(from).what_with(doing)?;
        let new = self.git.find_tree(to).what_with(doing)?;
        let mut options = DiffOptions::new();
        options.include_typechange(true).skip_binary_check(true);
        let diff = self
            .git
            .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
            .what_with(doing)?;
        let changes = diff.deltas().filter_map(|delta| {
            let (file, change) = match delta.status() {
                Delta::Added => (delta.new_file(), Change::Added),
                Delta::Deleted => (delta.old_file(), Change::Deleted),
                _ => (delta.new_file(), Change::Modified),
            };
            Some((SitePath::from(file.path_bytes()?), change))
        });
        Ok(changes.collect())
    }
}
