//! Line endings. Texts are merged with `\n`; the result gets the file's own line endings.

use crate::Sides;

/// The line endings of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// `\n`
    Unix,
    /// `\r\n`
    Windows,
}

impl Ends {
    /// Returns a text's line endings. `None` if it has none; an error if they are mixed.
    fn of(text: &str) -> Result<Option<Self>, String> {
        if text.starts_with('\u{feff}') {
            return Err("one side begins with a byte order mark".to_owned());
        }
        let [both, feeds, returns] = ["\r\n", "\n", "\r"].map(|end| text.matches(end).count());
        match (both, feeds, returns) {
            (0, 0, 0) => Ok(None),
            (0, _, 0) => Ok(Some(Self::Unix)),
            _ if both == feeds && both == returns => Ok(Some(Self::Windows)),
            _ => Err("one side mixes line endings".to_owned()),
        }
    }

    /// Converts a text with `\n` to these line endings.
    pub fn put(self, text: String) -> String {
        if self == Self::Windows { text.replace('\n', "\r\n") } else { text }
    }
}

impl Sides {
    /// Returns the sides with `\n`, and the line endings for the result: those of the side that
    /// changed them, or else upstream's.
    pub fn plain(&self) -> Result<(Self, Ends), String> {
        let ([base, ours, theirs], plain) = (
            [Ends::of(&self.base)?, Ends::of(&self.ours)?, Ends::of(&self.theirs)?],
            [&self.base, &self.ours, &self.theirs].map(|text| text.replace("\r\n", "\n")),
        );
        let ends = if theirs == base { ours.or(theirs) } else { theirs.or(ours) };
        let [base, ours, theirs] = plain;
        Ok((Self { base, ours, theirs }, ends.unwrap_or(Ends::Unix)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(three: [&str; 3]) -> Result<Ends, String> {
        let [base, ours, theirs] = three.map(str::to_owned);
        let (plain, ends) = Sides { base, ours, theirs }.plain()?;
        assert!(![plain.base, plain.ours, plain.theirs].concat().contains('\r'));
        Ok(ends)
    }

    #[test]
    fn line_endings_come_from_the_side_that_changed_them() {
        let (unix, windows) = ("a\nb\n", "a\r\nb\r\n");
        let cases = [
            ([unix, unix, unix], Ends::Unix),
            ([windows, windows, windows], Ends::Windows),
            ([unix, windows, unix], Ends::Windows),
            ([unix, unix, windows], Ends::Windows),
            ([windows, unix, windows], Ends::Unix),
            ([windows, windows, unix], Ends::Unix),
            ([unix, windows, windows], Ends::Windows),
            (["", windows, unix], Ends::Unix),
            (["", unix, windows], Ends::Windows),
            ([windows, windows, "a"], Ends::Windows),
        ];
        for (three, expected) in cases {
            assert_eq!(ends(three), Ok(expected), "{three:?}");
        }
    }

    #[test]
    fn mixed_line_endings_are_an_error() {
        for text in ["a\r\nb\n", "a\rb\n", "a\r\n\r", "\u{feff}a\n"] {
            assert!(ends(["a\n", text, "a\n"]).is_err(), "{text:?}");
        }
    }

    #[test]
    fn line_endings_are_restored() {
        assert_eq!(Ends::Windows.put("a\n\nb".to_owned()), "a\r\n\r\nb");
        assert_eq!(Ends::Unix.put("a\n".to_owned()), "a\n");
    }
}
