//! The three sides of a conflict as texts, and the host's own merge of texts.

use crate::bindings::cowhand::hooks::text_merge::{Hunk, merge};
use crate::{Conflict, Favor, Kind, Mode, Version};

/// Three versions of a text. Where both sides added the file, the base is empty.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// As it was.
    pub base: String,
    /// The site's.
    pub ours: String,
    /// Upstream's.
    pub theirs: String,
}

/// A merge of three texts, conflicts decided in favour of a side: [`text_merge`], or in tests another.
pub type TextMerge = fn(&Sides, Favor) -> Result<String, String>;

/// The host's merge.
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
    /// The sides, where all that there are are texts in plain files; nothing where a line-by-line merge makes no sense.
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

/// A file's text, unless it is none.
fn text(version: &Version<'_>) -> Result<Option<String>, String> {
    let (Mode::File | Mode::Executable, Some(blob)) = (&version.mode, &version.content) else {
        return Ok(None);
    };
    let bytes = blob.read()?;
    Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')))
}
