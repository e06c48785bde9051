//! Conversions between the types of [`super::types`] and the types generated from the WIT of
//! version 0.1.

use jiff::{Timestamp, ZonedDateTime};

use super::bindings::imports::types as shared;
use super::bindings::{conflict_resolver, post_pull, pre_merge, pre_prune};
use super::handed::HandedFile;
use super::imports::handle;
use super::types::{
    Answer, Candidate, CandidateKind, Cause, Change, ChangedPath, Collision, Commit, Conflict,
    ConflictKind, End, FileMode, Image, PostPull, PreMerge, PrePrune, ResolverAnswer, Side,
    Version,
};
use crate::path::SitePath;
use crate::printable::{MOST_OF_A_TEXT, cut};

pub(super) use conflict_resolver::exports::cowhand::hooks::conflict_resolver as resolver;
pub(super) use post_pull::exports::cowhand::hooks::post_pull as pull;
pub(super) use pre_merge::exports::cowhand::hooks::pre_merge as merge;
pub(super) use pre_prune::exports::cowhand::hooks::pre_prune as prune;

fn moment(now: &ZonedDateTime) -> shared::Moment {
    shared::Moment {
        seconds: now.timestamp().as_second(),
        // Offsets are within 26 hours.
        offset_minutes: i16::try_from(now.offset().seconds() / 60).unwrap_or_default(),
        zone: now.time_zone().iana_name().map(str::to_owned),
    }
}

/// Converts the files of an answer.
pub(super) fn files(plugin: &str, files: Vec<shared::NewFile>) -> Vec<HandedFile> {
    let file = |file: shared::NewFile| HandedFile {
        plugin: plugin.to_owned(),
        path: SitePath::from_text(&file.path),
        mode: file.mode,
        content: file.content,
    };
    files.into_iter().map(file).collect()
}

pub(super) fn pre_merge(input: &PreMerge) -> merge::Update {
    merge::Update {
        now: moment(&input.now),
        base: input.base.clone(),
        ours: end(&input.ours),
        theirs: end(&input.theirs),
        commits: input.commits.iter().map(commit).collect(),
        our_changes: input.our_changes.iter().map(change).collect(),
        their_changes: input.their_changes.iter().map(change).collect(),
    }
}

fn end(end: &End) -> merge::End {
    merge::End { commit: end.commit.clone(), branch: end.branch.clone() }
}

fn commit(commit: &Commit) -> merge::Commit {
    merge::Commit {
        id: commit.id.clone(),
        parents: commit.parents.clone(),
        time: commit.time,
        subject: commit.subject.clone(),
        tags: commit.tags.clone(),
    }
}

fn change(changed: &ChangedPath) -> merge::Change {
    let kind = match &changed.change {
        Change::Added => merge::ChangeKind::Added,
        Change::Modified => merge::ChangeKind::Modified,
        Change::Mode => merge::ChangeKind::Mode,
        Change::Deleted => merge::ChangeKind::Deleted,
        Change::Renamed(from) => merge::ChangeKind::Renamed(from.text()),
    };
    merge::Change { path: changed.path.text(), kind }
}

pub(super) fn conflict(conflict: &Conflict) -> resolver::Conflict {
    resolver::Conflict {
        path: conflict.path.text(),
        kind: conflict_kind(conflict.kind),
        collision: conflict.collision.map(|collision| match collision {
            Collision::Untracked => resolver::Collision::Untracked,
            Collision::Ignored => resolver::Collision::Ignored,
        }),
        prefers: conflict.prefers.into(),
        base: conflict.base.as_ref().map(|found| version(found, Side::Base)),
        ours: conflict.ours.as_ref().map(|found| version(found, Side::Ours)),
        theirs: conflict.theirs.as_ref().map(|found| version(found, Side::Theirs)),
    }
}

fn conflict_kind(kind: ConflictKind) -> resolver::Kind {
    match kind {
        ConflictKind::Content => resolver::Kind::Content,
        ConflictKind::Binary => resolver::Kind::Binary,
        ConflictKind::AddAdd => resolver::Kind::AddAdd,
        ConflictKind::ModifyDelete => resolver::Kind::ModifyDelete,
        ConflictKind::DeleteModify => resolver::Kind::DeleteModify,
        ConflictKind::RenameDelete => resolver::Kind::RenameDelete,
        ConflictKind::RenameRename => resolver::Kind::RenameRename,
        ConflictKind::DirectoryFile => resolver::Kind::DirectoryFile,
        ConflictKind::Mode => resolver::Kind::Mode,
        ConflictKind::Type => resolver::Kind::Type,
        ConflictKind::Submodule => resolver::Kind::Submodule,
    }
}

fn version(version: &Version, side: Side) -> resolver::Version {
    let mode = match version.mode {
        FileMode::File => resolver::Mode::File,
        FileMode::Executable => resolver::Mode::Executable,
        FileMode::Link => resolver::Mode::Link,
        FileMode::Submodule => resolver::Mode::Submodule,
        FileMode::Folder => resolver::Mode::Folder,
    };
    resolver::Version {
        path: version.path.text(),
        mode,
        content: version.mode.has_content().then(|| handle(side)),
    }
}

/// Converts a resolver's answer. The error says why it is not valid.
pub(super) fn resolution(resolution: resolver::Resolution) -> Result<ResolverAnswer, String> {
    let answer = match resolution {
        resolver::Resolution::Pass => return Ok(ResolverAnswer::Pass),
        resolver::Resolution::Stop(reason) => {
            return Ok(ResolverAnswer::Stop { reason: cut(reason, MOST_OF_A_TEXT) });
        }
        resolver::Resolution::Ours => Answer::Ours,
        resolver::Resolution::Theirs => Answer::Theirs,
        resolver::Resolution::Favor(favor) => Answer::Favor(favor.into()),
        resolver::Resolution::Remove => Answer::Remove,
        resolver::Resolution::Content(replacement) => {
            let mode = replacement.mode.map(replacement_mode).transpose()?;
            Answer::Content { content: replacement.content, mode }
        }
    };
    Ok(ResolverAnswer::Decide(answer))
}

fn replacement_mode(mode: resolver::Mode) -> Result<FileMode, String> {
    match mode {
        resolver::Mode::File => Ok(FileMode::File),
        resolver::Mode::Executable => Ok(FileMode::Executable),
        resolver::Mode::Link => Ok(FileMode::Link),
        resolver::Mode::Submodule => Err("content cannot be a submodule".to_owned()),
        resolver::Mode::Folder => Err("content cannot be a directory".to_owned()),
        resolver::Mode::Other(other) => Err(format!("unknown mode `{other}`")),
    }
}

pub(super) fn post_pull(input: &PostPull) -> pull::Pulled {
    pull::Pulled { now: moment(&input.now), images: input.images.iter().map(image).collect() }
}

fn image(image: &Image) -> pull::Image {
    pull::Image {
        reference: image.reference.clone(),
        services: image.services.clone(),
        old_digest: image.old_digest.clone(),
        new_digest: image.new_digest.clone(),
        size: image.size,
        labels: image.labels.clone().into_iter().collect(),
        created: image.created.map(Timestamp::as_second),
    }
}

pub(super) fn pre_prune(input: &PrePrune) -> prune::Candidates {
    prune::Candidates {
        now: moment(&input.now),
        items: input.candidates.iter().map(candidate).collect(),
        in_use: input.in_use.clone(),
    }
}

fn candidate(candidate: &Candidate) -> prune::Candidate {
    prune::Candidate {
        kind: match candidate.kind {
            CandidateKind::Image => prune::Kind::Image,
            CandidateKind::Volume => prune::Kind::Volume,
        },
        id: candidate.id.clone(),
        references: candidate.references.clone(),
        size: candidate.size,
        created: candidate.created.map(Timestamp::as_second),
        labels: candidate.labels.clone().into_iter().collect(),
        cause: match candidate.cause {
            Cause::Previous => prune::Cause::Previous,
            Cause::Superseded => prune::Cause::Superseded,
            Cause::Dangling => prune::Cause::Dangling,
        },
        reason: candidate.reason.clone(),
    }
}
