//! The input of a case in `case.toml`, with defaults for hand-written cases.

use std::sync::Arc;

use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use super::super::types::{
    Blobs, Collision, Conflict, ConflictKind, End, Favor, FileMode, PostPull, PreMerge, PrePrune,
    Side, Version,
};
use super::{Case, EVENTS};
use crate::error::{Context, Error, Result};
use crate::path::SitePath;

/// The default time of a case: 2026-01-01, noon, UTC.
const SOME_TIME: i64 = 1_767_268_800;

pub(super) fn some_time() -> ZonedDateTime {
    Timestamp::from_second(SOME_TIME).unwrap_or_default().to_zoned_datetime(jiff::tz::TimeZone::UTC)
}

impl Default for PreMerge {
    fn default() -> Self {
        let end = |commit: &str, branch: &str| End {
            commit: commit.repeat(20),
            branch: branch.to_owned(),
        };
        Self {
            now: some_time(),
            base: "b0".repeat(20),
            ours: end("a1", "master"),
            theirs: end("c3", "origin/master"),
            commits: Vec::new(),
            our_changes: Vec::new(),
            their_changes: Vec::new(),
        }
    }
}

impl Default for PostPull {
    fn default() -> Self {
        Self { now: some_time(), images: Vec::new() }
    }
}

impl Default for PrePrune {
    fn default() -> Self {
        Self { now: some_time(), candidates: Vec::new(), in_use: Vec::new() }
    }
}

/// An empty table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A conflict. A side exists if its file or its table does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ConflictInput {
    path: SitePath,
    kind: ConflictKind,
    collision: Option<Collision>,
    prefers: Favor,
    base: Option<SideInput>,
    ours: Option<SideInput>,
    theirs: Option<SideInput>,
}

/// One side, as far as it differs from a plain file with the conflict's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct SideInput {
    path: Option<SitePath>,
    mode: FileMode,
}

impl ConflictInput {
    pub(super) fn of(conflict: &Conflict) -> Self {
        let side = |version: &Option<Version>| {
            let version = version.as_ref()?;
            let path = (version.path != conflict.path).then(|| version.path.clone());
            Some(SideInput { path, mode: version.mode })
        };
        Self {
            path: conflict.path.clone(),
            kind: conflict.kind,
            collision: conflict.collision,
            prefers: conflict.prefers,
            base: side(&conflict.base),
            ours: side(&conflict.ours),
            theirs: side(&conflict.theirs),
        }
    }
}

/// Returns the name of a side's file.
pub(super) fn file_name(side: Side) -> &'static str {
    match side {
        Side::Base => "base",
        Side::Ours => "ours",
        Side::Theirs => "theirs",
    }
}

/// The sides of a conflict, read from files.
struct Files([Option<Vec<u8>>; 3]);

impl Files {
    fn get(&self, side: Side) -> Result<&Vec<u8>> {
        let content = self.0[side as usize].as_ref();
        content.ok_or_else(|| Error::new(format!("the case has no file `{}`", file_name(side))))
    }
}

impl Blobs for Files {
    fn size(&self, side: Side) -> Result<u64> {
        self.get(side).map(|content| content.len() as u64)
    }

    fn read(&self, side: Side) -> Result<Vec<u8>> {
        self.get(side).cloned()
    }
}

impl Case {
    /// Returns the conflict and its sides.
    pub(super) fn conflict(&self, input: &ConflictInput) -> Result<(Conflict, Arc<dyn Blobs>)> {
        let [base, ours, theirs] =
            [Side::Base, Side::Ours, Side::Theirs].map(|side| self.file(file_name(side)));
        let files = Files([base?, ours?, theirs?]);
        let version = |side: Side, said: &Option<SideInput>| {
            let there = said.is_some() || files.get(side).is_ok();
            let SideInput { path, mode } = said.clone().unwrap_or_default();
            there.then(|| Version { path: path.unwrap_or_else(|| input.path.clone()), mode })
        };
        let conflict = Conflict {
            path: input.path.clone(),
            kind: input.kind,
            collision: input.collision,
            prefers: input.prefers,
            base: version(Side::Base, &input.base),
            ours: version(Side::Ours, &input.ours),
            theirs: version(Side::Theirs, &input.theirs),
        };
        Ok((conflict, Arc::new(files)))
    }

    /// Returns the events for an observer, one per line.
    pub(super) fn events(&self) -> Result<Vec<String>> {
        let lines = self.file(EVENTS)?.unwrap_or_default();
        let lines = String::from_utf8(lines).what_with(|| format!("{EVENTS} is not UTF-8"))?;
        Ok(lines.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
    }
}
