//! A plugin's permissions, as they are shown and approved.

use std::path::Path;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::destination::Destination;
use super::grant::Permissions;
use super::spec::Grant;

/// A plugin's permissions: requested by it and granted by its site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowed {
    /// Readable directories with links resolved; relative to the site if they are below it.
    pub read: Vec<String>,
    /// Directories for which it may hand over files.
    pub install: Vec<String>,
    /// Hosts for its requests.
    pub http: Vec<String>,
    /// Environment variables that it can read.
    pub env: Vec<String>,
    /// The memory limit, in bytes.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub memory: u64,
    /// The time limit of a call.
    #[serde(serialize_with = "jiff::fmt::serde::duration::friendly::compact::required")]
    pub time: SignedDuration,
}

impl Allowed {
    pub(super) fn of(permissions: &Permissions, grant: &Grant) -> Self {
        Self {
            read: permissions.read.iter().map(|folder| folder.place.clone()).collect(),
            install: permissions.install.iter().map(ToString::to_string).collect(),
            http: permissions.http.iter().map(ToString::to_string).collect(),
            env: permissions.env.clone(),
            memory: grant.memory.as_u64(),
            time: grant.time,
        }
    }

    /// Returns true if it has no permission outside of the sandbox.
    pub fn only_computes(&self) -> bool {
        self.reaches().next().is_none()
    }

    /// Returns the permissions outside of the sandbox, as keys and values of a grant.
    pub fn reaches(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let lists = [
            ("read", &self.read),
            ("install", &self.install),
            ("http", &self.http),
            ("env", &self.env),
        ];
        lists
            .into_iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (key, value.as_str())))
    }

    /// Returns the permissions beyond `approved`, as lines of a grant.
    pub fn beyond(&self, approved: &Self) -> Vec<String> {
        let held: Vec<_> = approved.reaches().collect();
        let covered = |key: &str, value: &str| {
            held.iter().any(|(had, was)| *had == key && covers(key, was, value))
        };
        let more = self.reaches().filter(|(key, value)| !covered(key, value));
        let mut more: Vec<String> = more.map(|(key, value)| format!("{key} `{value}`")).collect();
        if self.memory > approved.memory {
            more.push(format!("memory `{}`", bytes(self.memory)));
        }
        if self.time > approved.time {
            more.push(format!("time `{:#}`", self.time));
        }
        more
    }
}

/// Returns true if the approved values include the wanted one.
fn covers(key: &str, was: &str, value: &str) -> bool {
    match key {
        "read" | "install" => Path::new(value).starts_with(was),
        "http" => match (Destination::parse(was), Destination::parse(value)) {
            (Some(was), Some(value)) => was.and(&value).as_ref() == Some(&value),
            _ => false,
        },
        _ => was == value,
    }
}

/// Formats a number of bytes, short and exact.
pub fn bytes(count: u64) -> String {
    let (mib, kib) = (1 << 20, 1 << 10);
    match count {
        0 => "0B".to_owned(),
        _ if count.is_multiple_of(mib) => format!("{}MiB", count / mib),
        _ if count.is_multiple_of(kib) => format!("{}KiB", count / kib),
        _ => format!("{count}B"),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn write_bytes<S: Serializer>(count: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&bytes(*count))
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    bytesize::ByteSize::deserialize(deserializer).map(|size| size.as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(read: &str, http: &str, memory: u64) -> Allowed {
        let list = |value: &str| value.split_whitespace().map(str::to_owned).collect();
        Allowed { read: list(read), http: list(http), memory, ..Allowed::default() }
    }

    #[test]
    fn less_is_no_more() {
        let approved = allowed("/etc/letsencrypt", "http://ntfy.sh hooks.example.org", 64);
        assert!(approved.beyond(&approved).is_empty());
        assert!(allowed("/etc/letsencrypt/live", "ntfy.sh", 32).beyond(&approved).is_empty());
    }

    #[test]
    fn more_is_named() {
        let approved = allowed("/etc/letsencrypt", "ntfy.sh", 64);
        let wider = allowed("/etc", "http://ntfy.sh ntfy.sh:8443", 128 << 20);
        let more =
            ["read `/etc`", "http `http://ntfy.sh`", "http `ntfy.sh:8443`", "memory `128MiB`"];
        assert_eq!(wider.beyond(&approved), more);
        assert_eq!(
            allowed("/etc/letsencrypts", "", 0).beyond(&approved),
            ["read `/etc/letsencrypts`"]
        );
    }

    #[test]
    fn only_memory_and_time_is_computing() {
        assert!(allowed("", "", 1 << 30).only_computes());
        assert!(!allowed("/etc", "", 0).only_computes());
    }
}
