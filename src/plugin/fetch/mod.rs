//! Fetching a plugin when it is added or updated; never in a run.

mod https;
mod registry;

use super::source::{self, Source, demand};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::event::{Events, Unit};
use crate::exit::Exit;

/// A name and a password for a registry.
pub type Login = (String, String);

/// What was fetched.
pub struct Fetched {
    /// The component.
    pub bytes: Vec<u8>,
    /// Its digest.
    pub digest: Digest,
    /// The digest of the manifest, where it came from a registry.
    pub manifest: Option<String>,
}

/// Fetches a remote source. `digest`, where it is known, is demanded.
pub async fn fetch(source: &str, digest: Option<Digest>, login: Option<Login>, events: &Events) -> Result<Fetched> {
    crate::https::provide();
    let task = format!("fetch {source}");
    let doing = |error: Error| {
        let what = Error::new(format!("could not fetch {source}")).because(error.summary());
        error.hints().iter().fold(what, Error::hint).exit(error.exit_code().unwrap_or(Exit::Prepare))
    };
    let (bytes, manifest) = match Source::of(source) {
        Source::Https(address) => (https::get(address, &task, events).await.map_err(doing)?, None),
        Source::Registry(reference) => {
            let (bytes, manifest) = registry::pull(reference, login, &task, events).await.map_err(doing)?;
            (bytes, Some(manifest))
        }
        Source::Stock(_) | Source::File(_) => return Err(Error::new(format!("{source} need not be fetched"))),
    };
    events.finished(&task, bytes.len() as u64, Unit::Bytes);
    let found = Digest::of(&bytes);
    demand(source, digest, found)?;
    Ok(Fetched { bytes, digest: found, manifest })
}

/// Takes in what arrives, up to the limit.
struct Intake<'a> {
    bytes: Vec<u8>,
    total: Option<u64>,
    task: &'a str,
    events: &'a Events,
}

impl<'a> Intake<'a> {
    fn new(total: Option<u64>, task: &'a str, events: &'a Events) -> Result<Self> {
        if total.is_some_and(|total| total > source::LARGEST) {
            return Err(source::too_large("it"));
        }
        Ok(Self { bytes: Vec::new(), total, task, events })
    }

    fn add(&mut self, piece: &[u8]) -> Result<()> {
        if (self.bytes.len() + piece.len()) as u64 > source::LARGEST {
            return Err(source::too_large("it"));
        }
        self.bytes.extend_from_slice(piece);
        self.events.progress(self.task, self.bytes.len() as u64, self.total, Unit::Bytes);
        Ok(())
    }
}
