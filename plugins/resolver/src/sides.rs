//! The three sides of a conflict as texts, and the host's own merge of texts.

use crate::bindings::cowhand::hooks::text_merge::{Hunk, merge};
use crate::{Conflict, Favor, Kind, Mode, Version};

/// Three versions of a text. The base is empty if both sides added the file.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// The common base.
    pub base: String,
    /// The site's version.
    pub ours: String,
    /// Upstream's version.
    pub theirs: String,
}

/// Merges three texts and decides conflicts in favour of a side: [`text_merge`], or a substitute in
/// tests.
pub type TextMerge = fn(&Sides, Favor) -> Result<String, String>;

/// Merges texts with the host's merge.
pub fn text_merge(sides: &Sides, favor: Favor) -> Result<String, String> {
    let [base, ours, theirs] = [&sides.base, &sides.ours, &sides.theirs].map(String::as_bytes);
    let hunks = merge(base, ours, theirs, Some(favor))?;
    let merged = hunks.into_iter().flat_map(|hunk| match hunk {
        Hunk::Clean(lines) => lines,
        Hunk::Conflict(disputed) => {
            if favor == Favor::Ours {
                disputed.ours
            } else {
                disputed.theirs
            }
        }
    });
    String::from_utf8(merged.collect()).map_err(|error| error.to_string())
}

impl Sides {
    /// Reads the sides of a conflict. `None` unless every side is a regular text file that can be
    /// merged line by line.
    pub fn of(conflict: &Conflict<'_>) -> Result<Option<Self>, String> {
        if !matches!(conflict.kind, Kind::Content | Kind::AddAdd) {
            return Ok(None);
        }
        let base = conflict.base.as_ref().map_or(Ok(Some(String::new())), text)?;
        let (Some(ours), Some(theirs)) = (&conflict.ours, &conflict.theirs) else {
            return Ok(None);
        };
        let (ours, theirs) = (text(ours)?, text(theirs)?);
        Ok(base.zip(ours).zip(theirs).map(|((base, ours), theirs)| Self { base, ours, theirs }))
    }
}

/// Reads a file's text. `None` if it is not a regular file or not text.
fn text(version: &Version<'_>) -> Result<Option<String>, String> {
    let (Mode::File | Mode::Executable, Some(blob)) = (&version.mode, &version.content) else {
        return Ok(None);
    };
    let bytes = blob.read()?;
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}
