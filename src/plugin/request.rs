//! A plugin's requests, with reasons, read from its custom section without running it.

use serde::{Deserialize, Serialize};

/// The name of the custom section, whose content is `[{"capability": "read", "value":
/// "/etc/letsencrypt", "reason": "…"}, …]`. Sections of the component and of its modules are
/// combined.
pub const SECTION: &str = "cowhand:requests";

/// A permission that a plugin requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The capability.
    pub capability: Capability,
    /// The directory, host or variable; `*` leaves it to the site.
    #[serde(default = "anything")]
    pub value: String,
    /// The reason, for the operator who decides.
    pub reason: String,
}

impl Request {
    /// Returns true if the site may choose the value.
    pub fn is_open(&self) -> bool {
        self.value == ANYTHING
    }
}

const ANYTHING: &str = "*";

fn anything() -> String {
    ANYTHING.to_owned()
}

/// The capabilities, whose names are the keys of `[plugin.grant]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Read a directory.
    Read,
    /// Hand over files for a directory of the site.
    Install,
    /// Send requests to a host.
    Http,
    /// Read an environment variable.
    Env,
}

impl Capability {
    /// Returns the key of `[plugin.grant]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Install => "install",
            Self::Http => "http",
            Self::Env => "env",
        }
    }
}
