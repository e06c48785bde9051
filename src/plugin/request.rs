//! What a plugin says it wants, with its reasons: read from its custom section, without running it.

use serde::{Deserialize, Serialize};

/// The name of the custom section, whose content is `[{"capability": "read", "value": "/etc/letsencrypt", "reason": "…"}, …]`.
/// It may stand in the component itself or in a module inside it, and more than once: what all of them say counts.
pub const SECTION: &str = "cowhand:requests";

/// Something that a plugin wants to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which sort of thing.
    pub capability: Capability,
    /// The folder, host or variable; `*` leaves it to the site.
    #[serde(default = "anything")]
    pub value: String,
    /// What for, for the person who decides.
    pub reason: String,
}

impl Request {
    /// Whether the site may choose the value.
    pub fn is_open(&self) -> bool {
        self.value == ANYTHING
    }
}

const ANYTHING: &str = "*";

fn anything() -> String {
    ANYTHING.to_owned()
}

/// What can be requested and granted; the words are the keys of `[plugin.grant]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Reading a folder.
    Read,
    /// Handing over files for a folder of the site.
    Install,
    /// Sending requests to a host.
    Http,
    /// Seeing an environment variable.
    Env,
}

impl Capability {
    /// The key of `[plugin.grant]`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Install => "install",
            Self::Http => "http",
            Self::Env => "env",
        }
    }
}
