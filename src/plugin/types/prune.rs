//! What pre-prune plugins are told, and what comes of it.

use std::collections::BTreeMap;

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

/// What pre-prune plugins are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PrePrune {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// What would go.
    pub candidates: Vec<Candidate>,
    /// The references of the images that the stack now uses.
    pub in_use: Vec<String>,
}

/// Something that prune would remove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Candidate {
    /// What it is.
    pub kind: CandidateKind,
    /// The image's id or the volume's name.
    pub id: String,
    /// The image's references.
    pub references: Vec<String>,
    /// Its size in bytes, if the engine says so.
    pub size: Option<u64>,
    /// When it was made.
    pub created: Option<jiff::Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Why it could go.
    pub cause: Cause,
    /// The same for people.
    pub reason: String,
}

/// What prune looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An image.
    #[default]
    Image,
    /// A volume.
    Volume,
}

/// Why something could go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The release just left used it.
    Previous,
    /// An older release used it.
    #[default]
    Superseded,
    /// Nothing names it.
    Dangling,
}

/// A candidate that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its [`Candidate::id`].
    pub id: String,
    /// Who keeps it.
    pub plugin: String,
    /// Why.
    pub reason: String,
}
