//! The settings.

use bytesize::ByteSize;
use serde::Deserialize;
use serde::de::Deserializer;
use wildmatch::WildMatch;

/// `[plugin.config]`
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Whether the images of the release just left stay.
    pub previous: bool,
    /// How many older images stay of each repository that the stack uses.
    pub older: usize,
    /// What stays by its name.
    #[serde(deserialize_with = "patterns")]
    pub names: Vec<WildMatch>,
    /// An image of more than this stays only by its name.
    pub max_size: Option<ByteSize>,
    /// What stays otherwise than by its name may take this much together.
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
