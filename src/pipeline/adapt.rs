//! Translates between git, stack and plugins, which do not know each other.

use super::facts::OldImage;
use crate::config::Favor;
use crate::error::{Error, Result};
use crate::git::Oid;
use crate::git::blob::Blobs;
use crate::git::conflict::{Collision, Kind};
use crate::git::history::{Change, CommitInfo};
use crate::git::merge::text;
use crate::git::merge::{self, Conflict, Mode};
use crate::path::SitePath;
use crate::plugin::types as ask;
use crate::stack::change::{ImageChange, PruneItem, PruneKind};
use crate::stack::images::Image;

/// A commit, as the pre-merge hook gets it.
pub fn commit(commit: &CommitInfo) -> ask::Commit {
    ask::Commit {
        id: commit.oid.to_string(),
        parents: commit.parents.iter().map(ToString::to_string).collect(),
        time: commit.time,
        subject: commit.subject.clone(),
        tags: commit.tags.clone(),
    }
}

/// Changed paths, as the pre-merge hook gets them.
pub fn changes(changes: Vec<(SitePath, Change)>) -> Vec<ask::ChangedPath> {
    let kind = |change| match change {
        Change::Added => ask::Change::Added,
        Change::Deleted => ask::Change::Deleted,
        Change::Modified => ask::Change::Modified,
    };
    changes
        .into_iter()
        .map(|(path, change)| ask::ChangedPath { path, change: kind(change) })
        .collect()
}

/// A conflict, as the conflict-resolver hook gets it: names and modes, no content.
pub fn conflict(conflict: &Conflict, favor: Favor) -> ask::Conflict {
    let version = |side: &Option<merge::Side>| {
        side.as_ref()
            .map(|side| ask::Version { path: side.path.clone(), mode: file_mode(side.mode) })
    };
    ask::Conflict {
        path: conflict.path.clone(),
        kind: kind(conflict.kind),
        collision: conflict.collision.map(|collision| match collision {
            Collision::Untracked => ask::Collision::Untracked,
            Collision::Ignored => ask::Collision::Ignored,
        }),
        prefers: match favor {
            Favor::Ours => ask::Favor::Ours,
            Favor::Theirs => ask::Favor::Theirs,
        },
        base: version(&conflict.base),
        ours: version(&conflict.ours),
        theirs: version(&conflict.theirs),
    }
}

fn file_mode(mode: Mode) -> ask::FileMode {
    match mode {
        Mode::File => ask::FileMode::File,
        Mode::Executable => ask::FileMode::Executable,
        Mode::Link => ask::FileMode::Link,
        Mode::Submodule => ask::FileMode::Submodule,
    }
}

fn kind(kind: Kind) -> ask::ConflictKind {
    match kind {
        Kind::Content => ask::ConflictKind::Content,
        Kind::Binary => ask::ConflictKind::Binary,
        Kind::AddAdd => ask::ConflictKind::AddAdd,
        Kind::ModifyDelete => ask::ConflictKind::ModifyDelete,
        Kind::DeleteModify => ask::ConflictKind::DeleteModify,
        Kind::RenameDelete => ask::ConflictKind::RenameDelete,
        Kind::RenameRename => ask::ConflictKind::RenameRename,
        Kind::DirectoryFile => ask::ConflictKind::DirectoryFile,
        Kind::Mode => ask::ConflictKind::Mode,
        Kind::Type => ask::ConflictKind::Type,
        Kind::Submodule => ask::ConflictKind::Submodule,
    }
}

/// A plugin's answer, as the merge takes it.
pub fn answer(answer: &ask::Answer) -> Result<merge::Answer> {
    Ok(match answer {
        ask::Answer::Ours => merge::Answer::Ours,
        ask::Answer::Theirs => merge::Answer::Theirs,
        ask::Answer::Favor(favor) => merge::Answer::Favor(git_favor(*favor)),
        ask::Answer::Remove => merge::Answer::Remove,
        ask::Answer::Content { content, mode } => {
            merge::Answer::Content { bytes: content.clone(), mode: mode.map(git_mode).transpose()? }
        }
    })
}

fn git_mode(mode: ask::FileMode) -> Result<Mode> {
    match mode {
        ask::FileMode::File => Ok(Mode::File),
        ask::FileMode::Executable => Ok(Mode::Executable),
        ask::FileMode::Link => Ok(Mode::Link),
        ask::FileMode::Submodule | ask::FileMode::Folder => {
            Err(Error::new("content can be a file or a link, nothing else"))
        }
    }
}

/// The sides of one conflict, read when a plugin asks.
pub struct Sides {
    conflict: Conflict,
    blobs: Blobs,
}

impl Sides {
    /// The sides of this conflict.
    pub fn of(conflict: &Conflict, blobs: Blobs) -> Self {
        Self { conflict: conflict.clone(), blobs }
    }

    fn blob(&self, side: ask::Side) -> Result<Oid> {
        let found = match side {
            ask::Side::Base => &self.conflict.base,
            ask::Side::Ours => &self.conflict.ours,
            ask::Side::Theirs => &self.conflict.theirs,
        };
        found
            .as_ref()
            .map(|side| side.oid)
            .ok_or_else(|| Error::new(format!("{} has no such side", self.conflict.path)))
    }
}

impl ask::Blobs for Sides {
    fn size(&self, side: ask::Side) -> Result<u64> {
        self.blobs.size(self.blob(side)?)
    }

    fn read(&self, side: ask::Side) -> Result<Vec<u8>> {
        self.blobs.read(self.blob(side)?)
    }
}

/// An image of the new stack, as the post-pull hook gets it.
pub fn image(change: &ImageChange, found: Option<Image>) -> ask::Image {
    let found = found.unwrap_or_default();
    ask::Image {
        reference: change.reference.clone(),
        services: change.services.clone(),
        old_digest: change.from.clone(),
        new_digest: change.to.clone(),
        size: Some(found.size),
        labels: found.labels,
        created: found.created.and_then(|created| created.parse().ok()),
    }
}

/// Something that prune would remove, as the pre-prune hook gets it.
pub fn candidate(item: &PruneItem, previous: &[OldImage]) -> ask::Candidate {
    let cause = match item.kind {
        _ if previous.iter().any(|image| image.image_id == item.id) => ask::Cause::Previous,
        PruneKind::Image if !item.references.is_empty() => ask::Cause::Superseded,
        _ => ask::Cause::Dangling,
    };
    ask::Candidate {
        kind: match item.kind {
            PruneKind::Image => ask::CandidateKind::Image,
            PruneKind::Volume => ask::CandidateKind::Volume,
        },
        id: item.id.clone(),
        references: item.references.clone(),
        size: item.size,
        created: None,
        labels: std::collections::BTreeMap::new(),
        cause,
        reason: item.reason.clone(),
    }
}

/// git's three-way merge of texts, for plugins.
pub struct Texts;

impl ask::TextMerge for Texts {
    fn merge(
        &self,
        base: &[u8],
        ours: &[u8],
        theirs: &[u8],
        favor: Option<ask::Favor>,
    ) -> Result<Vec<ask::Hunk>> {
        let hunks = text::hunks(base, ours, theirs, favor.map(git_favor));
        let hunks = hunks.ok_or_else(|| Error::new("one of the three is not text"))?;
        Ok(hunks.into_iter().map(hunk).collect())
    }
}

fn hunk(hunk: text::Hunk) -> ask::Hunk {
    match hunk {
        text::Hunk::Agreed(lines) => ask::Hunk::Clean(lines),
        text::Hunk::Conflict { base, ours, theirs } => ask::Hunk::Conflict { base, ours, theirs },
    }
}

fn git_favor(favor: ask::Favor) -> merge::Favor {
    match favor {
        ask::Favor::Ours => merge::Favor::Ours,
        ask::Favor::Theirs => merge::Favor::Theirs,
        ask::Favor::Union => merge::Favor::Union,
    }
}
