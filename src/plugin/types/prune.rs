//! The input of pre-prune plugins, and their answers.

use std::collections::BTreeMap;

use jiff::ZonedDateTime;
use serde::{Deserialize, Serialize};

/// The input of pre-prune plugins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PrePrune {
    /// The time, in the site's time zone.
    pub now: ZonedDateTime,
    /// The candidates for removal.
    pub candidates: Vec<Candidate>,
    /// The references of the images that the stack uses now.
    pub in_use: Vec<String>,
}

/// A candidate for removal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Candidate {
    /// Its kind.
    pub kind: CandidateKind,
    /// The image's id or the volume's name.
    pub id: String,
    /// The image's references.
    pub references: Vec<String>,
    /// Its size in bytes, if the engine says so.
    pub size: Option<u64>,
    /// The time of its creation.
    pub created: Option<jiff::Timestamp>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The reason.
    pub cause: Cause,
    /// The reason as text.
    pub reason: String,
}

/// The kinds of candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An image.
    #[default]
    Image,
    /// A volume.
    Volume,
}

/// The reason why a candidate can be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The previous release used it.
    Previous,
    /// An older release used it.
    #[default]
    Superseded,
    /// Nothing references it.
    Dangling,
}

/// A candidate that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its [`Candidate::id`].
    pub id: String,
    /// The plugin that keeps it.
    pub plugin: String,
    /// The reason.
    pub reason: String,
}
