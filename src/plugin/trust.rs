//! Trust: approvals by the operator, bound to a plugin's digest and permissions. Nothing asks
//! questions here: a run with a plugin that is not approved ends before it begins.

use serde::Deserialize;

use super::examine::Examined;
use super::lockfile::{Approved, LockFile};
use super::signature::Key;
use super::source::Source;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::ownership::Exposure;

/// `[trust]` in `cowhand.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// The plugins that need an approval.
    pub approval: Approval,
    /// minisign public keys. If there are any, one of them must sign every plugin except stock
    /// plugins.
    pub keys: Vec<Key>,
}

/// The plugins that need an approval. An existing approval always binds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// Plugins with grants besides memory and time, and plugins that are not files of the site.
    #[default]
    Grants,
    /// Every plugin except stock plugins.
    Always,
}

/// The approvals and the site's policy.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The site's approvals.
    pub lock: LockFile,
    /// The site's policy.
    pub policy: Policy,
    /// The ways in which other users can change the files with the site's grants and approvals. If
    /// there are any, a plugin with permissions outside of its sandbox needs root's approval.
    pub exposures: Vec<Exposure>,
    /// Root's approvals, kept outside of the site.
    pub by_root: LockFile,
}

/// The status of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Part of Cowhand.
    Stock,
    /// Not approved and in no need of it: it can do nothing but answer.
    Free,
    /// Unchanged since its approval.
    Approved,
    /// In need of an approval, for these reasons.
    Unapproved(Vec<String>),
}

impl Standing {
    /// Returns the status in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Free => "not pinned",
            Self::Approved => "approved",
            Self::Unapproved(_) => "not approved",
        }
    }
}

impl Trust {
    /// Returns the status of this plugin: approved, and signed if the site requires it.
    pub fn standing(&self, found: &Examined) -> Standing {
        match self.approval(found) {
            standing @ (Standing::Stock | Standing::Unapproved(_)) => standing,
            standing => match self.check_kept_signature(found) {
                Ok(()) => standing,
                Err(error) => Standing::Unapproved(vec![error.summary()]),
            },
        }
    }

    /// Returns true if only root can approve this plugin: it has permissions outside of its
    /// sandbox, and other users can change the files that grant them.
    pub fn needs_root(&self, found: &Examined) -> bool {
        !self.exposures.is_empty() && !found.allowed.only_computes()
    }

    /// Returns the approval of this plugin that applies.
    pub fn approved(&self, found: &Examined) -> Option<&Approved> {
        let approvals = if self.needs_root(found) { &self.by_root } else { &self.lock };
        approvals.find(&found.spec.name)
    }

    /// Returns the status without regard to the signature.
    fn approval(&self, found: &Examined) -> Standing {
        let needs_root = self.needs_root(found);
        if is_stock(found) && !needs_root {
            return Standing::Stock;
        }
        let Some(approved) = self.approved(found) else {
            return match self.why_approve(found) {
                Some(why) => Standing::Unapproved(self.with_exposures(needs_root, vec![why])),
                None => Standing::Free,
            };
        };
        let mut changes = changes(found, approved);
        let less = approved.grant.beyond(&found.allowed);
        if needs_root && !less.is_empty() {
            changes.push(format!("its grants are less than root's approval: {}", less.join(", ")));
        }
        if changes.is_empty() {
            return Standing::Approved;
        }
        Standing::Unapproved(self.with_exposures(needs_root, changes))
    }

    fn with_exposures(&self, needs_root: bool, mut reasons: Vec<String>) -> Vec<String> {
        if needs_root {
            let exposures = self.exposures.iter();
            reasons.extend(
                exposures
                    .map(|exposure| format!("the site's grants do not count: {}", exposure.why)),
            );
        }
        reasons
    }

    fn why_approve(&self, found: &Examined) -> Option<String> {
        let reaches: Vec<String> =
            found.allowed.reaches().map(|(key, value)| format!("{key} `{value}`")).collect();
        if !reaches.is_empty() {
            return Some(format!("it is not approved yet, and has grants: {}", reaches.join(", ")));
        }
        let demanded = self.policy.approval == Approval::Always || !found.in_site;
        demanded.then(|| "it is not approved yet".to_owned())
    }

    /// Refuses a plugin without a valid approval.
    pub(super) fn check(&self, found: &Examined) -> Result<()> {
        let name = &found.spec.name;
        let standing = self.approval(found);
        if let Standing::Unapproved(reasons) = standing {
            let error = Error::new(format!(
                "the plugin `{name}` ({}) needs an approval",
                found.spec.source
            ));
            let error = reasons.into_iter().fold(error, Error::because).exit(Exit::Refused);
            if !self.needs_root(found) {
                let hint = format!("`cowhand plugin approve {name}` shows the details and asks.");
                return Err(error.hint(hint));
            }
            let fixes: Vec<String> =
                self.exposures.iter().map(|exposure| format!("`{}`", exposure.fix)).collect();
            return Err(error
                .hint(format!(
                    "As root, `cowhand plugin approve {name}` shows the details and asks."
                ))
                .hint(format!(
                    "Or make root the only user who can write these files: {}.",
                    fixes.join(", ")
                )));
        }
        self.check_kept_signature(found)
    }

    /// Checks a plugin against the signature kept with its approval.
    fn check_kept_signature(&self, found: &Examined) -> Result<()> {
        if is_stock(found) {
            return Ok(());
        }
        let signature = self.approved(found).and_then(|approved| approved.signature.as_deref());
        self.check_signature(&found.spec.name, &found.bytes, signature)
    }

    /// Returns true if this needs no approval. It does not read the file, which may be missing.
    pub(super) fn is_free(&self, spec: &Spec) -> bool {
        let grant = &spec.grant;
        let granted = !(grant.read.is_empty()
            && grant.install.is_empty()
            && grant.http.is_empty()
            && grant.env.is_empty());
        let strict = self.policy.approval == Approval::Always || !self.policy.keys.is_empty();
        !granted && !strict && self.lock.find(&spec.name).is_none()
    }

    /// Refuses a plugin that no key of the site has signed, if the site has keys.
    pub fn check_signature(&self, name: &str, bytes: &[u8], signature: Option<&str>) -> Result<()> {
        let keys = &self.policy.keys;
        if keys.is_empty() {
            return Ok(());
        }
        let wrong =
            |what: &str| Error::new(format!("the plugin `{name}` {what}")).exit(Exit::Refused);
        let signature = signature.ok_or_else(|| {
            wrong("is not signed, but `[trust] keys` in cowhand.toml requires it").hint(
                "Add it again with its signature: `cowhand plugin add SOURCE --signature FILE`.",
            )
        })?;
        let signed = |key: &Key| key.has_signed(bytes, signature);
        match keys.iter().map(signed).collect::<Result<Vec<bool>>>() {
            Ok(found) if found.contains(&true) => Ok(()),
            Ok(_) => Err(wrong("is not signed by any of the `[trust] keys` in cowhand.toml")
                .hint("Do not use it unless you know why; in that case add its key.")),
            Err(error) => Err(wrong("has a signature that cannot be read").because(error)),
        }
    }
}

fn is_stock(found: &Examined) -> bool {
    matches!(Source::of(&found.spec.source), Source::Stock(_))
}

/// Returns the differences from the approval.
fn changes(found: &Examined, approved: &Approved) -> Vec<String> {
    let mut changes = Vec::new();
    if found.spec.source != approved.source {
        changes.push(format!("it was approved with the source `{}`", approved.source));
    }
    let digest = found.inspection.digest;
    if digest != approved.digest {
        changes
            .push(format!("it changed since its approval, from {} to {digest}", approved.digest));
    }
    let more = found.allowed.beyond(&approved.grant);
    if !more.is_empty() {
        changes.push(format!("its grants exceed its approval: {}", more.join(", ")));
    }
    changes
}
