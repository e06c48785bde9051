//! A plugin before it is loaded: its contents, requests, permissions and approval. No code is run.

use std::borrow::Cow;
use std::path::{Component, Path};

use super::allowed::Allowed;
use super::grant::{Permissions, Protected, resolved};
use super::inspect::{Inspection, inspect_known};
use super::load::Options;
use super::spec::Spec;
use super::{Digest, Source, source};
use crate::error::{Error, Result};
use crate::exit::Exit;

/// The properties of a plugin that are known without running it.
pub struct Examined {
    /// The plugin's entry in the configuration.
    pub spec: Spec,
    /// The plugin's own description.
    pub inspection: Inspection,
    /// The plugin's permissions.
    pub allowed: Allowed,
    /// Grants without effect, because the plugin does not request them.
    pub idle: Vec<String>,
    /// Requests that are not granted, with the lines that would grant them.
    pub lacking: Vec<(String, String)>,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// True if it is a file in the site, with links resolved.
    pub(super) in_site: bool,
    pub(super) permissions: Permissions,
}

impl Options {
    /// Examines a plugin that the site names.
    pub fn examine(&self, spec: &Spec) -> Result<Examined> {
        self.examine_listed(spec, true)
    }

    pub(super) fn examine_listed(&self, spec: &Spec, listed: bool) -> Result<Examined> {
        let (bytes, digest) = self.bytes(spec).map_err(|error| unusable(spec, &error))?;
        self.examine_bytes(spec, listed, bytes, digest)
    }

    /// Examines bytes that are already read or fetched.
    pub fn examine_bytes(
        &self,
        spec: &Spec,
        listed: bool,
        bytes: Cow<'static, [u8]>,
        digest: Digest,
    ) -> Result<Examined> {
        let inspection = inspect_known(&bytes, digest).map_err(|error| unusable(spec, &error))?;
        let protected = Protected::of(&self.site, &self.protected);
        let (permissions, idle) =
            Permissions::new(spec, &inspection.requests, &protected, listed, self.offline)?;
        let allowed = Allowed::of(&permissions, &spec.grant);
        Ok(Examined {
            spec: spec.clone(),
            lacking: permissions.lacking(),
            inspection,
            allowed,
            idle,
            bytes,
            in_site: self.is_in_site(&spec.source),
            permissions,
        })
    }

    /// Returns true if a source is a file of the site, both as written and with links resolved.
    pub(super) fn is_in_site(&self, source: &str) -> bool {
        let Source::File(file) = Source::of(source) else { return false };
        let below = Path::new(file)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        below && resolved(&self.site.join(file)).starts_with(resolved(&self.site))
    }

    fn bytes(&self, spec: &Spec) -> Result<(Cow<'static, [u8]>, Digest)> {
        let lock = self.trust.as_ref().map(|trust| &trust.lock);
        let pinned = lock
            .and_then(|lock| lock.find(&spec.name))
            .filter(|approved| approved.source == spec.source);
        let read = source::read(
            &spec.source,
            &self.site,
            &self.fetched,
            pinned.map(|approved| &approved.digest),
        );
        read.map_err(|error| {
            if !Source::of(&spec.source).is_remote() {
                return error;
            }
            error.hint(format!(
                "Run `cowhand plugin approve {}` to fetch it; a run never fetches plugins.",
                spec.name
            ))
        })
    }
}

/// Returns the error for a plugin that cannot be used, with its name and file.
pub(super) fn unusable(spec: &Spec, why: &Error) -> Error {
    let what = format!("the plugin `{}` ({}) cannot be used", spec.name, spec.source);
    let error =
        Error::new(what).because(why.summary()).exit(why.exit_code().unwrap_or(Exit::Refused));
    why.hints().iter().fold(error, Error::hint)
}
