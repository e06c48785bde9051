//! Policies for failures: for a plugin, for one hook, for one class of failures, or for a class at
//! a hook.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::receipt::Class;
use super::spec::Hook;
use crate::nearest::nearest;

/// The consequence of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// End the run before anything changes.
    Stop,
    /// Continue without the plugin.
    Skip,
    /// Continue without the plugin, and warn.
    Warn,
}

/// `on-failure` in `cowhand.toml`. The most specific entry applies: class at a hook, hook, class,
/// all.
///
/// [`Class::Refused`] is the plugin's own answer and not a failure, so only entries for that class
/// apply to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnFailure {
    all: Option<Policy>,
    hooks: BTreeMap<Hook, Policy>,
    classes: BTreeMap<Class, Policy>,
    narrow: BTreeMap<(Hook, Class), Policy>,
}

impl OnFailure {
    /// Returns the entry for this class at this hook, if any.
    pub(super) fn at(&self, hook: Hook, class: Class) -> Option<Policy> {
        let (narrow, named) = (self.narrow.get(&(hook, class)), self.classes.get(&class));
        if class == Class::Refused {
            return narrow.or(named).copied();
        }
        narrow.or(self.hooks.get(&hook)).or(named).copied().or(self.all)
    }

    /// Returns the policy for a plugin that cannot be loaded, whose hooks are therefore unknown.
    pub(super) fn unavailable(&self) -> Option<Policy> {
        self.classes.get(&Class::Unavailable).copied().or(self.all)
    }

    fn take<E: de::Error>(&mut self, key: &str, entry: Entry) -> Result<(), E> {
        match (Hook::from_name(key), Class::from_key(key), entry) {
            (Some(hook), _, Entry::One(policy)) => drop(self.hooks.insert(hook, policy)),
            (Some(hook), _, Entry::Classes(classes)) => {
                self.narrow
                    .extend(classes.into_iter().map(|(class, policy)| ((hook, class), policy)));
            }
            (None, Some(class), Entry::One(policy)) => drop(self.classes.insert(class, policy)),
            (None, Some(_), Entry::Classes(_)) => {
                return Err(E::custom(format_args!(
                    "`{key}` must be \"stop\", \"skip\" or \"warn\""
                )));
            }
            (None, None, _) => return Err(unknown(key)),
        }
        Ok(())
    }
}

fn unknown<E: de::Error>(key: &str) -> E {
    let keys = Hook::ALL.map(Hook::name).into_iter().chain(Class::ALL.map(Class::key));
    let near =
        nearest(key, keys).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    E::custom(format_args!("`{key}` is neither a hook nor a class of failures{near}"))
}

/// The value of one key.
enum Entry {
    One(Policy),
    Classes(BTreeMap<Class, Policy>),
}

impl<'de> Deserialize<'de> for OnFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Whole)
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = OnFailure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"stop\", \"skip\", \"warn\", or a table of hooks and classes of failures")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OnFailure, E> {
        Ok(OnFailure { all: Some(policy(text)?), ..OnFailure::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnFailure, A::Error> {
        let mut said = OnFailure::default();
        while let Some((key, entry)) = map.next_entry::<String, Entry>()? {
            said.take(&key, entry)?;
        }
        Ok(said)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(One)
    }
}

struct One;

impl<'de> Visitor<'de> for One {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"stop\", \"skip\", \"warn\", or a table of classes of failures")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        policy(text).map(Entry::One)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        let mut classes = BTreeMap::new();
        while let Some((key, policy)) = map.next_entry::<String, Policy>()? {
            classes.insert(Class::from_key(&key).ok_or_else(|| unknown(&key))?, policy);
        }
        Ok(Entry::Classes(classes))
    }
}

fn policy<E: de::Error>(text: &str) -> Result<Policy, E> {
    Policy::deserialize(de::value::StrDeserializer::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Table {
        on_failure: OnFailure,
    }

    fn said(toml: &str) -> OnFailure {
        toml::from_str::<Table>(toml).unwrap().on_failure
    }

    #[test]
    fn the_narrower_word_counts() {
        let said = said(
            "[on-failure]\npre-merge = \"warn\"\ntime-out = \"skip\"\nrefused = \"warn\"\n[on-failure.post-pull]\ntrap = \"skip\"\n",
        );
        assert_eq!(said.at(Hook::PreMerge, Class::TimeOut), Some(Policy::Warn));
        assert_eq!(said.at(Hook::PrePrune, Class::TimeOut), Some(Policy::Skip));
        assert_eq!(said.at(Hook::PostPull, Class::Trap), Some(Policy::Skip));
        assert_eq!(said.at(Hook::PostPull, Class::Error), None);
        assert_eq!(said.at(Hook::PreMerge, Class::Refused), Some(Policy::Warn));
    }

    #[test]
    fn a_refusal_is_no_failure() {
        let said = said("on-failure = \"skip\"\n");
        assert_eq!(said.at(Hook::PreMerge, Class::Trap), Some(Policy::Skip));
        assert_eq!(said.at(Hook::PreMerge, Class::Refused), None);
        assert_eq!(said.unavailable(), Some(Policy::Skip));
    }

    #[test]
    fn what_is_not_known_is_told() {
        for (toml, word) in [
            ("on-failure = \"ignore\"", "ignore"),
            ("on-failure = { pre-marge = \"skip\" }", "did you mean `pre-merge`"),
            ("on-failure = { pre-merge = { timeout = \"skip\" } }", "did you mean `time-out`"),
            ("on-failure = { trap = { error = \"skip\" } }", "`trap` must be"),
        ] {
            let error = toml::from_str::<Table>(toml).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
