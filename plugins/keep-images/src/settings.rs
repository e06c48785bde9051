//! The plugin's settings.

use bytesize::ByteSize;
use serde::Deserialize;
use serde::de::Deserializer;
use wildmatch::WildMatch;

/// `[plugin.config]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// True to keep the previous release's images.
    pub previous: bool,
    /// The number of older images to keep of each repository that the stack uses.
    pub older: usize,
    /// Patterns for image references and volume names to keep.
    #[serde(deserialize_with = "patterns")]
    pub names: Vec<WildMatch>,
    /// The largest image to keep, unless its name matches.
    pub max_size: Option<ByteSize>,
    /// The largest total size of the images kept, not counting those whose name matches.
    pub max_total: Option<ByteSize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { previous: true, older: 0, names: Vec::new(), max_size: None, max_total: None }
    }
}

fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<WildMatch>, D::Error> {
    Ok(Vec::<String>::deserialize(from)?.iter().map(|pattern| WildMatch::new(pattern)).collect())
}
