//! What is left of each call to a plugin, for the run's record and for `show`.

use serde::{Deserialize, Serialize};

use super::spec::Hook;

/// One call to a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The plugin's name in `cowhand.toml`, or a stock plugin's.
    pub plugin: String,
    /// `sha256:…` of the component that was called.
    pub digest: String,
    /// The hook it was called for.
    pub hook: Hook,
    /// How many calls this stands for: one, but for observers, which are called for every event.
    pub calls: u64,
    /// How long the call took, in microseconds.
    pub micros: u64,
    /// The peak of its linear memory, in bytes.
    pub memory: u64,
    /// The fuel it used; counted in tests of a plugin only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// What it answered, in a few words; none where it failed.
    pub answer: Option<String>,
    /// How it failed, if it did.
    pub failure: Option<Failure>,
    /// What it wanted and was not allowed.
    pub refusals: Vec<String>,
    /// Whether it was only watched: nothing came of its answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub monitor: bool,
}

/// A call that gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The sort of failure.
    pub class: Class,
    /// What happened, for people.
    pub message: String,
    /// What to do about it, if something can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The sorts of failure worth telling apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It said no: no failure, but a site may say what comes of it all the same.
    Refused,
    /// It returned an error.
    Error,
    /// It trapped.
    Trap,
    /// It took longer than its grant.
    TimeOut,
    /// It hit a limit: memory, output, host calls.
    Limit,
    /// It could not be loaded or instantiated.
    Unavailable,
    /// Its answer makes no sense.
    BadOutput,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Error,
        Self::Trap,
        Self::TimeOut,
        Self::Limit,
        Self::Unavailable,
        Self::BadOutput,
    ];

    /// The key for it in `on-failure`, as in JSON.
    pub fn key(self) -> &'static str {
        if self == Self::BadOutput { "bad-output" } else { self.name() }
    }

    /// The class of this key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.key() == key)
    }

    /// The word for it, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Error => "error",
            Self::Trap => "trap",
            Self::TimeOut => "time-out",
            Self::Limit => "limit",
            Self::Unavailable => "unavailable",
            Self::BadOutput => "bad output",
        }
    }
}
