//! Lines for the terminal. All text passes through here, so that none reaches the terminal raw or
//! unbounded.

use std::fmt;

use console::Style;

use crate::printable;

/// The number of lines shown of one foreign text.
const MOST_LINES: usize = 200;

/// A line of styled texts. Only the styles may contain control sequences.
#[derive(Debug, Default)]
pub struct Line(Vec<(Style, String)>);

impl Line {
    /// Adds a text in a style.
    pub fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// Adds a text as it is.
    pub fn plain(self, text: impl Into<String>) -> Self {
        self.and(Style::new(), text)
    }

    /// Returns the lines of a text that may have several, each with the indent; the first one goes
    /// on with `self`.
    pub fn paragraph(self, style: &Style, text: &str, indent: &str) -> Vec<Self> {
        let mut texts = text.lines();
        let first = self.and(style.clone(), texts.next().unwrap_or_default());
        let mut lines = vec![first];
        lines.extend(
            texts
                .by_ref()
                .take(MOST_LINES)
                .map(|text| Self::from(indent.to_owned()).and(style.clone(), text)),
        );
        let more = texts.count();
        lines.extend((more > 0).then(|| Self::from(format!("{indent}… ({more} more lines)"))));
        lines
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::default().plain(text)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (style, text) in &self.0 {
            style.apply_to(printable::line(text)).fmt(f)?;
        }
        Ok(())
    }
}
