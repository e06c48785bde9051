//! A plugin of the site's before it is loaded: what it is, what it wants, what it may do, and how it stands. Nothing of it is run.

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

/// What is known of a plugin without running it.
pub struct Examined {
    /// What the site says.
    pub spec: Spec,
    /// What it says about itself.
    pub inspection: Inspection,
    /// What it may do.
    pub allowed: Allowed,
    /// Grants that it does not request, and that are without effect.
    pub idle: Vec<String>,
    /// Requests that are not granted: what, and the line that would grant it.
    pub lacking: Vec<(String, String)>,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
    /// Whether it is a file that lies in the site, links resolved.
    pub(super) in_site: bool,
    pub(super) permissions: Permissions,
}

impl Options {
    /// Looks at a plugin that the site names.
    pub fn examine(&self, spec: &Spec) -> Result<Examined> {
        self.examine_listed(spec, true)
    }

    pub(super) fn examine_listed(&self, spec: &Spec, listed: bool) -> Result<Examined> {
        let (bytes, digest) = self.bytes(spec).map_err(|error| unusable(spec, &error))?;
        self.examine_bytes(spec, listed, bytes, digest)
    }

    /// The same for bytes that were read or fetched already.
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

    /// Whether a source is a file of the site's: written as one below it, and there with links resolved.
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
                "`cowhand plugin approve {}` fetches what was approved; a run never does.",
                spec.name
            ))
        })
    }
}

/// Why a plugin cannot be used, with its name and file.
pub(super) fn unusable(spec: &Spec, why: &Error) -> Error {
    let what = format!("the plugin `{}` ({}) cannot be used", spec.name, spec.source);
    let error =
        Error::new(what).because(why.summary()).exit(why.exit_code().unwrap_or(Exit::Refused));
    why.hints().iter().fold(error, Error::hint)
}
