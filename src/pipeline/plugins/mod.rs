//! The site's plugins between runs: what the commands do that add, approve and remove them.

#![expect(clippy::disallowed_methods, reason = "fetched components are in git's own directory")]

mod bring;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::adapt;
use crate::config::edit::{self, GrantLine};
use crate::config::{Config, NAMES};
use crate::dir::Attributes;
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::exit::Exit;
use crate::files;
use crate::git::Repo;
use crate::plugin::spec::{Spec, is_name};
use crate::plugin::types::TextMerge;
use crate::plugin::{
    self, Approved, Cache, Compiler, Digest, Examined, LockFile, RootApprovals, Source, Trust,
    fetched_path,
};
use crate::site::lock::Lock;
use crate::site::store::{self, Store};
use crate::site::{CONFIG_FILE, MOST_OF_A_TEXT, Site};

use bring::{Brought, name_of, signature, signature_beside};

pub use bring::login;

/// The hint for a missing source.
pub const SOURCES: &str =
    "Use a file, `stock:NAME`, an https:// URL, or a reference in a registry.";

/// Returns the options for examining and loading a site's plugins.
pub fn options(
    site: &Site,
    repo: &Repo,
    events: &Events,
    offline: bool,
) -> Result<plugin::Options> {
    let (lock, exposed) = LockFile::read(site.dir(), site.root())?;
    let exposures = [site.exposures(), &exposed].concat();
    let by_root = if exposures.is_empty() {
        LockFile::default()
    } else {
        RootApprovals::of_the_system().read(site.root())?
    };
    let policy = site.config().trust.clone();
    Ok(plugin::Options {
        site: site.root().to_owned(),
        fetched: Store::of(repo.git_folder()).plugins(),
        protected: vec![repo.git_folder().to_owned(), repo.common_folder().to_owned()],
        trust: Some(Trust { lock, policy, exposures, by_root }),
        compiler: Compiler::in_this_program(),
        cache: Cache::of_the_caller(),
        offline,
        events: events.clone(),
        text_merge: text_merge(),
        record: None,
    })
}

/// The text merge that plugins may use.
pub fn text_merge() -> Arc<dyn TextMerge> {
    Arc::new(adapt::Texts)
}

/// A site's plugins, to be changed. No run is under way meanwhile.
pub struct Shelf {
    site: Site,
    /// The options for examining plugins.
    pub options: plugin::Options,
    _lock: Lock,
}

/// A plugin as it would be added or approved.
pub struct Proposal {
    /// The examined plugin.
    pub found: Examined,
    /// The earlier approval under its name.
    pub before: Option<Approved>,
    manifest: Option<String>,
    signature: Option<String>,
    /// The path for its bytes, if they are not there yet.
    place: Option<PathBuf>,
    /// The text of `cowhand.toml` as it was and as it is to be, if it is to change.
    config: Option<(String, String)>,
}

/// A plugin to add.
pub struct Wanted<'a> {
    /// Its source as typed: a file is below the current folder.
    pub source: &'a str,
    /// Its name; by its source without one.
    pub name: Option<&'a str>,
    /// The digest that is demanded.
    pub digest: Option<Digest>,
    /// A file with its signature.
    pub signature: Option<&'a Path>,
    /// The grants.
    pub grants: &'a [GrantLine],
}

impl<'a> Wanted<'a> {
    /// A source of which nothing else is said.
    pub fn of(source: &'a str, name: Option<&'a str>) -> Self {
        Self { source, name, digest: None, signature: None, grants: &[] }
    }
}

impl Shelf {
    /// Takes the site's lock, so that no run is under way.
    pub fn open(site: Site, events: &Events, command: &str) -> Result<Self> {
        let repo = Repo::open(site.root())?;
        let store = Store::of(repo.git_folder());
        store.create()?;
        let lock = Lock::take(&store.lock(), command)?;
        store::exclude(repo.common_folder())?;
        let options = options(&site, &repo, events, true)?;
        Ok(Self { site, options, _lock: lock })
    }

    /// The plugins that the site names.
    pub fn specs(&self) -> &[Spec] {
        &self.site.config().plugin
    }

    fn lock_file(&self) -> LockFile {
        self.options.trust.as_ref().map(|trust| trust.lock.clone()).unwrap_or_default()
    }

    /// Fetches or reads what is to be added, and looks at it.
    pub async fn propose(&self, wanted: &Wanted<'_>) -> Result<Proposal> {
        let name =
            wanted.name.map_or_else(|| name_of(wanted.source), |name| Ok(name.to_owned()))?;
        if !is_name(&name) {
            return Err(Error::new(format!("{name:?} is not a valid plugin name"))
                .exit(Exit::Usage)
                .hint(NAMES));
        }
        let (brought, source, place) = self.bring(&name, wanted).await?;
        let text = self.config_text()?;
        let config = edit::put_plugin(&text, &name, &source, wanted.grants)?;
        let spec =
            Config::parse(&config, CONFIG_FILE)?.plugin.into_iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| {
            Error::new(format!("cowhand.toml has no plugin `{name}` after the change"))
        })?;
        let Brought { bytes, digest, manifest } = brought;
        let found = self.options.examine_bytes(&spec, true, bytes, digest)?;
        let before = self.before(&name);
        let kept = || before.as_ref().filter(|before| before.digest == found.inspection.digest);
        let signature = signature(wanted, &found)?.or_else(|| kept()?.signature.clone());
        let config = Some((text, config)).filter(|(text, config)| config != text);
        self.judged(Proposal { found, before, manifest, signature, place, config })
    }

    /// Looks at a plugin that `cowhand.toml` names already; one that has to be fetched and does not
    /// lie here is fetched now.
    pub async fn propose_named(&self, spec: &Spec) -> Result<Proposal> {
        let before = self.before(&spec.name);
        let same = before.as_ref().filter(|before| before.source == spec.source);
        let lies_here = same.is_some_and(|same| self.lies_here(&same.digest));
        if Source::of(&spec.source).is_remote() && !lies_here {
            let digest = same.map(|same| same.digest);
            return self
                .propose(&Wanted { digest, ..Wanted::of(&spec.source, Some(&spec.name)) })
                .await;
        }
        let found = self.options.examine(spec)?;
        let kept = same.filter(|before| before.digest == found.inspection.digest);
        let manifest = kept.and_then(|kept| kept.manifest.clone());
        let beside = signature_beside(&self.site.path(&spec.source));
        let signature = beside.or_else(|| kept?.signature.clone());
        self.judged(Proposal { found, before, manifest, signature, place: None, config: None })
    }

    /// Returns true if the fetched component is here and undamaged.
    fn lies_here(&self, digest: &Digest) -> bool {
        let bytes = std::fs::read(fetched_path(&self.options.fetched, digest));
        bytes.is_ok_and(|bytes| Digest::of(&bytes) == *digest)
    }

    fn before(&self, name: &str) -> Option<Approved> {
        self.lock_file().find(name).cloned()
    }

    fn judged(&self, proposal: Proposal) -> Result<Proposal> {
        let found = &proposal.found;
        let stock = matches!(Source::of(&found.spec.source), Source::Stock(_));
        if let Some(trust) = &self.options.trust
            && trust.needs_root(found)
            && !rustix::process::geteuid().is_root()
        {
            let what = format!("only root can approve the plugin `{}` here", found.spec.name);
            let exposures = trust.exposures.iter().map(|exposure| &exposure.why);
            let error = exposures.fold(Error::new(what), Error::because).exit(Exit::Refused);
            return Err(error
                .left("Nothing was changed.")
                .hint("Run the command again with sudo."));
        }
        if let (Some(trust), false) = (&self.options.trust, stock) {
            trust.check_signature(&found.spec.name, &found.bytes, proposal.signature.as_deref())?;
        }
        Ok(proposal)
    }

    fn config_text(&self) -> Result<String> {
        let doing = || format!("could not read {CONFIG_FILE}");
        match self.site.dir().read(Path::new(CONFIG_FILE), MOST_OF_A_TEXT) {
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => String::from_utf8(read.what_with(doing)?).what_with(doing),
        }
    }

    /// Does what was proposed: compiles the plugin and starts it once, keeps its bytes, writes the
    /// approval down, and names it.
    pub async fn accept(&mut self, proposal: Proposal) -> Result<()> {
        let Proposal { found, manifest, signature, place, config, .. } = proposal;
        let approved = approved(&found, manifest, signature);
        let (name, bytes) = (found.spec.name.clone(), found.bytes.clone());
        let stock = matches!(Source::of(&found.spec.source), Source::Stock(_));
        let only_computes = found.allowed.only_computes();
        self.options.try_out(found).await?;
        if config
            .as_ref()
            .is_some_and(|(before, _)| self.config_text().ok().as_ref() != Some(before))
        {
            let error = Error::new("cowhand.toml changed meanwhile; nothing was written")
                .exit(Exit::Refused);
            return Err(error.hint("Run the command again."));
        }
        if let Some(place) = place {
            self.put_component(&place, &bytes)?;
        }
        self.approve_as_root(|approvals| {
            approvals.remove(&name);
            if !only_computes {
                approvals.put(approved.clone());
            }
        })?;
        let mut lock = self.lock_file();
        if stock {
            lock.remove(&name);
        } else {
            lock.put(approved);
        }
        self.write_lock(lock)?;
        config.map_or(Ok(()), |(_, config)| self.write_config(&config))
    }

    /// Takes a plugin out of `cowhand.toml` and its approval out of `cowhand.lock`, and what was
    /// fetched for it away. A file of the site's stays. Whether there was such a plugin.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let config = edit::remove_plugin(&self.config_text()?, name)?;
        let mut lock = self.lock_file();
        let before = lock.find(name).cloned();
        if config.is_none() && before.is_none() {
            return Ok(false);
        }
        if let Some(config) = config {
            self.write_config(&config)?;
        }
        lock.remove(name);
        self.approve_as_root(|approvals| _ = approvals.remove(name))?;
        let unused =
            before.filter(|gone| lock.plugins.iter().all(|other| other.digest != gone.digest));
        self.write_lock(lock)?;
        if let Some(gone) = unused {
            // An unused component only takes up space.
            let _ = std::fs::remove_file(fetched_path(&self.options.fetched, &gone.digest));
        }
        Ok(true)
    }

    fn write_lock(&mut self, lock: LockFile) -> Result<()> {
        let path = self.site.path(plugin::LOCK_FILE);
        if !lock.plugins.is_empty() || path.exists() {
            lock.write(self.site.dir())?;
        }
        if let Some(trust) = &mut self.options.trust {
            trust.lock = lock;
        }
        Ok(())
    }

    /// Changes root's approvals for the site, if root is the caller.
    fn approve_as_root(&mut self, change: impl FnOnce(&mut LockFile)) -> Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let (approvals, site) = (RootApprovals::of_the_system(), self.site.root());
        let before = approvals.read(site)?;
        let mut now = before.clone();
        change(&mut now);
        if now != before {
            approvals.write(site, &now)?;
        }
        if let Some(trust) = &mut self.options.trust {
            trust.by_root = now;
        }
        Ok(())
    }

    /// Writes a component: into the site's directory, or where git has its own elsewhere.
    fn put_component(&self, place: &Path, bytes: &[u8]) -> Result<()> {
        if let Ok(inside) = place.strip_prefix(self.site.root()) {
            let written = self.site.dir().write(inside, bytes, Attributes::bits(0o644));
            return written.what_with(|| format!("could not write {}", place.display()));
        }
        files::private_folder(place.parent().unwrap_or(self.site.root()))?;
        files::write(place, bytes, 0o644)
    }

    fn write_config(&self, text: &str) -> Result<()> {
        let (dir, file) = (self.site.dir(), Path::new(CONFIG_FILE));
        let doing = || format!("could not write {CONFIG_FILE}");
        let found = dir.metadata(file).what_with(doing)?;
        let bits = found.map_or(0o600, |found| found.mode() & 0o777);
        dir.write(file, text.as_bytes(), Attributes::bits(bits)).what_with(doing)
    }
}

fn approved(found: &Examined, manifest: Option<String>, signature: Option<String>) -> Approved {
    Approved {
        name: found.spec.name.clone(),
        source: found.spec.source.clone(),
        digest: found.inspection.digest,
        size: found.inspection.size as u64,
        hooks: found.inspection.version.clone(),
        manifest,
        approved_by: person(),
        approved_at: Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_else(|_| Timestamp::now()),
        signature,
        grant: found.allowed.clone(),
        requests: found.inspection.requests.clone(),
    }
}

/// Returns the user's name: with sudo the person's, not root.
fn person() -> String {
    let named =
        ["SUDO_USER", "LOGNAME", "USER"].map(|name| std::env::var(name).unwrap_or_default());
    named
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
