//! Decides conflicts by content: reads all three sides, merges them, and keeps the site's lines if
//! they contain `on this site`.

use cowhand::hooks::blobs::Blob;
use cowhand::hooks::text_merge::{Disputed, Hunk, merge};
use exports::cowhand::hooks::conflict_resolver::{
    Conflict, Guest, Replacement, Resolution, Version,
};

wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "conflict-resolver-plugin" });

struct ByContent;

export!(ByContent);

const MARK: &[u8] = b"on this site";

impl Guest for ByContent {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let sides =
            [&conflict.base, &conflict.ours, &conflict.theirs].map(|side| blob(side.as_ref()));
        let [Some(base), Some(ours), Some(theirs)] = sides else { return Ok(Resolution::Pass) };
        let hunks = merge(&base.read()?, &ours.read()?, &theirs.read()?, None)?;
        let content = hunks.into_iter().flat_map(chosen).collect();
        Ok(Resolution::Content(Replacement { content, mode: None }))
    }
}

fn blob<'a>(version: Option<&Version<'a>>) -> Option<&'a Blob> {
    version.and_then(|version| version.content)
}

fn chosen(hunk: Hunk) -> Vec<u8> {
    match hunk {
        Hunk::Clean(lines) => lines,
        Hunk::Conflict(Disputed { ours, .. })
            if ours.windows(MARK.len()).any(|part| part == MARK) =>
        {
            ours
        }
        Hunk::Conflict(Disputed { theirs, .. }) => theirs,
    }
}
