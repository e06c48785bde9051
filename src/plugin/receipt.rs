//! Receipts of plugin calls, for the run's record and for `show`.

use serde::{Deserialize, Serialize};

use super::spec::Hook;

/// One call to a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Receipt {
    /// The plugin's name in `cowhand.toml`, or a stock plugin's.
    pub plugin: String,
    /// `sha256:…` of the component that was called.
    pub digest: String,
    /// The hook.
    pub hook: Hook,
    /// The number of calls: one, except for observers, which are called for every event.
    pub calls: u64,
    /// The duration, in microseconds.
    pub micros: u64,
    /// The peak of its linear memory, in bytes.
    pub memory: u64,
    /// The fuel it used, counted only in tests of a plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Its answer in a few words. `None` if it failed.
    pub answer: Option<String>,
    /// The failure, if it failed.
    pub failure: Option<Failure>,
    /// The refusals.
    pub refusals: Vec<String>,
    /// True if the plugin is monitored: its answer had no effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub monitor: bool,
}

/// A call without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class of the failure.
    pub class: Class,
    /// The message.
    pub message: String,
    /// What the operator can do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The classes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The plugin refused. This is not a failure, but a site may have a policy for it.
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
    /// Its answer is not valid.
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

    /// Returns its key in `on-failure` and in JSON.
    pub fn key(self) -> &'static str {
        if self == Self::BadOutput { "bad-output" } else { self.name() }
    }

    /// Returns the class for a key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.key() == key)
    }

    /// Returns the class as a phrase.
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
