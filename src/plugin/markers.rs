//! Conflict markers left in a resolver's content, which would break the programs that read the
//! file.

use super::types::{Blobs, Conflict, Side};

/// Returns true if content has conflict markers that no side had. The sides are read only if
/// necessary.
pub(super) fn left_behind(content: &[u8], conflict: &Conflict, blobs: &dyn Blobs) -> bool {
    let sides = [
        (Side::Base, &conflict.base),
        (Side::Ours, &conflict.ours),
        (Side::Theirs, &conflict.theirs),
    ];
    let readable = |(_, version): &(_, &Option<super::types::Version>)| {
        version.as_ref().is_some_and(|version| version.mode.has_content())
    };
    let had = |(side, _)| blobs.read(side).is_ok_and(|text| has_markers(&text));
    has_markers(content) && !sides.into_iter().filter(readable).any(had)
}

/// Finds an opening marker line with a closing one after it. Rows of `=` alone are headings in many
/// formats.
fn has_markers(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"<<<<<<< "))
        && lines.any(|line| line.starts_with(b">>>>>>> "))
}

#[cfg(test)]
mod tests {
    use super::has_markers;

    #[test]
    fn a_conflict_has_two_ends() {
        assert!(has_markers(b"a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"));
        assert!(!has_markers(b"Title\n=======\n\n>>>>>>> quoted\n"));
        assert!(!has_markers(b"<<<<<<< HEREDOC\n"));
    }
}
