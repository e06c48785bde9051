//! The site's plugins between runs: what the commands do that add, approve and remove them.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::adapt;
use crate::config::edit::{self, GrantLine};
use crate::config::{Config, NAMES};
use crate::error::{Context, Error, Result};
use crate::event::Events;
use crate::exit::Exit;
use crate::files;
use crate::git::Repo;
use crate::plugin::spec::{Spec, is_name};
use crate::plugin::types::TextMerge;
use crate::plugin::{self, Approved, Cache, Digest, Examined, LockFile, Login, Source, Trust, fetched_path};
use crate::site::lock::Lock;
use crate::site::store::{self, Store};
use crate::site::{CONFIG_FILE, Site};
use crate::stack::credentials::Credentials;
use crate::stack::reference::Reference;

/// What a source can be, for who named none.
pub const SOURCES: &str = "Name a file, stock:NAME, an https:// address, or a reference in a registry.";

/// How a site's plugins are looked at and loaded.
pub fn options(site: &Site, repo: &Repo, events: &Events, offline: bool) -> Result<plugin::Options> {
    Ok(plugin::Options {
        site: site.root().to_owned(),
        fetched: Store::of(repo.git_folder()).plugins(),
        protected: vec![repo.git_folder().to_owned(), repo.common_folder().to_owned()],
        trust: Some(Trust { lock: LockFile::read(site.root())?, policy: site.config().trust.clone() }),
        cache: Cache::of_the_platform(),
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
    /// How they are looked at.
    pub options: plugin::Options,
    _lock: Lock,
}

/// A plugin as it would be added or approved.
pub struct Proposal {
    /// What it is, and what it may do.
    pub found: Examined,
    /// What was approved under its name before.
    pub before: Option<Approved>,
    manifest: Option<String>,
    signature: Option<String>,
    /// Where its bytes are to be written, if they do not lie there yet.
    place: Option<PathBuf>,
    /// The text of `cowhand.toml` as it was and as it is to be, if it is to change.
    config: Option<(String, String)>,
}

/// What is to be added.
pub struct Wanted<'a> {
    /// Its source as typed: a file is below the current folder.
    pub source: &'a str,
    /// Its name; by its source without one.
    pub name: Option<&'a str>,
    /// The digest that is demanded.
    pub digest: Option<&'a str>,
    /// A file with its signature.
    pub signature: Option<&'a Path>,
    /// What is to be granted.
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
        let name = wanted.name.map_or_else(|| name_of(wanted.source), |name| Ok(name.to_owned()))?;
        if !is_name(&name) {
            return Err(Error::new(format!("{name:?} cannot be a plugin's name")).exit(Exit::Usage).hint(NAMES));
        }
        let (brought, source, place) = self.bring(&name, wanted).await?;
        let text = self.config_text()?;
        let config = edit::put_plugin(&text, &name, &source, wanted.grants)?;
        let spec = Config::parse(&config, CONFIG_FILE)?.plugin.into_iter().find(|spec| spec.name == name);
        let spec = spec.ok_or_else(|| Error::new(format!("cowhand.toml has no plugin `{name}` after the change")))?;
        let Brought { bytes, digest, manifest } = brought;
        let found = self.options.examine_bytes(&spec, true, bytes, digest)?;
        let before = self.before(&name);
        let kept = || before.as_ref().filter(|before| before.digest == found.inspection.digest.to_string());
        let signature = signature(wanted, &found)?.or_else(|| kept()?.signature.clone());
        let config = Some((text, config)).filter(|(text, config)| config != text);
        self.judged(Proposal { found, before, manifest, signature, place, config })
    }

    /// Looks at a plugin that `cowhand.toml` names already; one that has to be fetched and does not lie here is fetched now.
    pub async fn propose_named(&self, spec: &Spec) -> Result<Proposal> {
        let before = self.before(&spec.name);
        let same = before.as_ref().filter(|before| before.source == spec.source);
        let lies_here = same.is_some_and(|same| self.lies_here(&same.digest));
        if Source::of(&spec.source).is_remote() && !lies_here {
            let digest = same.map(|same| same.digest.as_str());
            return self.propose(&Wanted { digest, ..Wanted::of(&spec.source, Some(&spec.name)) }).await;
        }
        let found = self.options.examine(spec)?;
        let kept = same.filter(|before| before.digest == found.inspection.digest.to_string());
        let manifest = kept.and_then(|kept| kept.manifest.clone());
        let beside = signature_beside(&self.site.path(&spec.source));
        let signature = beside.or_else(|| kept?.signature.clone());
        self.judged(Proposal { found, before, manifest, signature, place: None, config: None })
    }

    /// Whether what was fetched is here, undamaged.
    fn lies_here(&self, digest: &str) -> bool {
        let bytes = std::fs::read(fetched_path(&self.options.fetched, digest));
        bytes.is_ok_and(|bytes| Digest::of(&bytes).to_string() == digest)
    }

    fn before(&self, name: &str) -> Option<Approved> {
        self.lock_file().find(name).cloned()
    }

    fn judged(&self, proposal: Proposal) -> Result<Proposal> {
        let found = &proposal.found;
        let stock = matches!(Source::of(&found.spec.source), Source::Stock(_));
        if let (Some(trust), false) = (&self.options.trust, stock) {
            trust.check_signature(&found.spec.name, &found.bytes, proposal.signature.as_deref())?;
        }
        Ok(proposal)
    }

    /// The bytes of what is to be added, its source in `cowhand.toml`, and where the bytes are to be kept.
    async fn bring(&self, name: &str, wanted: &Wanted<'_>) -> Result<(Brought, String, Option<PathBuf>)> {
        let source = Source::of(wanted.source);
        if source.is_remote() {
            let digest = self.demanded(name, wanted)?;
            let login = login(source).await?;
            let pinned = self.pinned(name, wanted, digest.as_deref());
            let from = pinned.as_deref().unwrap_or(wanted.source);
            let fetched = plugin::fetch(from, digest.as_deref(), login, &self.options.events).await?;
            let place = fetched_path(&self.options.fetched, &fetched.digest.to_string());
            let brought = Brought { bytes: fetched.bytes.into(), digest: fetched.digest, manifest: fetched.manifest };
            return Ok((brought, wanted.source.to_owned(), Some(place)));
        }
        let (bytes, digest) =
            plugin::read_source(wanted.source).map_err(|error| error.exit(Exit::Usage).hint(SOURCES))?;
        demand(wanted, &digest)?;
        let brought = Brought { bytes, digest, manifest: None };
        let Source::File(file) = source else { return Ok((brought, wanted.source.to_owned(), None)) };
        let file = Path::new(file).canonicalize().what_with(|| format!("could not read {file}"))?;
        if let Ok(inside) = file.strip_prefix(self.site.root())
            && let Some(inside) = inside.to_str()
        {
            let reads_as_file = matches!(Source::of(inside), Source::File(_));
            let inside = if reads_as_file { inside.to_owned() } else { format!("./{inside}") };
            return Ok((brought, inside, None));
        }
        let source = format!("plugins/{name}.wasm");
        let place = self.site.path(&source);
        let own = self.specs().iter().any(|spec| spec.name == name && spec.source == source);
        if place.exists() && !own {
            let what = format!("{} is there already, and belongs to no plugin `{name}`", place.display());
            return Err(Error::new(what)
                .exit(Exit::Usage)
                .hint("Choose another name with --name, or remove that file."));
        }
        Ok((brought, source, Some(place)))
    }

    /// The reference by the manifest's digest, where what was approved is wanted: its tag may have moved since.
    fn pinned(&self, name: &str, wanted: &Wanted<'_>, digest: Option<&str>) -> Option<String> {
        let Source::Registry(reference) = Source::of(wanted.source) else { return None };
        let before = self.before(name).filter(|before| before.source == wanted.source)?;
        let manifest = before.manifest.filter(|_| digest == Some(before.digest.as_str()))?;
        Some(format!("oci://{}@{manifest}", without_tag(reference)))
    }

    /// The digest that what is fetched must have. An https address says nothing about what is behind it, so that it needs one.
    fn demanded(&self, name: &str, wanted: &Wanted<'_>) -> Result<Option<String>> {
        let digest = wanted.digest.map(str::to_owned);
        let known = || self.before(name).filter(|before| before.source == wanted.source).map(|before| before.digest);
        match (Source::of(wanted.source), digest.or_else(known)) {
            (Source::Https(address), None) => {
                Err(Error::new(format!("{address} needs a digest")).exit(Exit::Usage).hint(format!(
                    "`cowhand plugin add {address} --name {name} --digest sha256:…`: its publisher says which."
                )))
            }
            (Source::Registry(_), _) => Ok(wanted.digest.map(str::to_owned)),
            (_, digest) => Ok(digest),
        }
    }

    fn config_text(&self) -> Result<String> {
        match std::fs::read_to_string(self.site.path(CONFIG_FILE)) {
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read.what_with(|| format!("could not read {CONFIG_FILE}")),
        }
    }

    /// Does what was proposed: compiles the plugin and starts it once, keeps its bytes, writes the approval down, and names it.
    pub async fn accept(&mut self, proposal: Proposal) -> Result<()> {
        let Proposal { found, manifest, signature, place, config, .. } = proposal;
        let approved = approved(&found, manifest, signature);
        let (name, bytes) = (found.spec.name.clone(), found.bytes.clone());
        let stock = matches!(Source::of(&found.spec.source), Source::Stock(_));
        self.options.try_out(found).await?;
        if config.as_ref().is_some_and(|(before, _)| self.config_text().ok().as_ref() != Some(before)) {
            let error = Error::new("cowhand.toml was changed meanwhile: nothing was written").exit(Exit::Refused);
            return Err(error.hint("Run the command again."));
        }
        if let Some(place) = place {
            let folder = place.parent().unwrap_or(self.site.root());
            std::fs::create_dir_all(folder).what_with(|| format!("could not create {}", folder.display()))?;
            files::write(&place, &bytes, 0o644)?;
        }
        let mut lock = self.lock_file();
        if stock {
            lock.remove(&name);
        } else {
            lock.put(approved);
        }
        self.write_lock(lock)?;
        config.map_or(Ok(()), |(_, config)| self.write_config(&config))
    }

    /// Takes a plugin out of `cowhand.toml` and its approval out of `cowhand.lock`, and what was fetched for it away. A file of the
    /// site's stays. Whether there was such a plugin.
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
        let unused = before.filter(|gone| lock.plugins.iter().all(|other| other.digest != gone.digest));
        self.write_lock(lock)?;
        if let Some(gone) = unused {
            // What nobody names any more costs room, nothing else.
            let _ = std::fs::remove_file(fetched_path(&self.options.fetched, &gone.digest));
        }
        Ok(true)
    }

    fn write_lock(&mut self, lock: LockFile) -> Result<()> {
        let path = self.site.path(plugin::LOCK_FILE);
        if !lock.plugins.is_empty() || path.exists() {
            lock.write(self.site.root())?;
        }
        if let Some(trust) = &mut self.options.trust {
            trust.lock = lock;
        }
        Ok(())
    }

    /// Where `cowhand.toml` is a link, the file that it leads to is written.
    fn write_config(&self, text: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.site.path(CONFIG_FILE);
        let path = path.canonicalize().unwrap_or(path);
        let mode = path.metadata().map_or(0o600, |found| found.permissions().mode() & 0o777);
        files::write(&path, text.as_bytes(), mode)
    }
}

struct Brought {
    bytes: Cow<'static, [u8]>,
    digest: Digest,
    manifest: Option<String>,
}

fn approved(found: &Examined, manifest: Option<String>, signature: Option<String>) -> Approved {
    Approved {
        name: found.spec.name.clone(),
        source: found.spec.source.clone(),
        digest: found.inspection.digest.to_string(),
        size: found.inspection.size as u64,
        hooks: found.inspection.version.clone(),
        manifest,
        approved_by: person(),
        approved_at: Timestamp::now().round(jiff::Unit::Second).unwrap_or_else(|_| Timestamp::now()),
        signature,
        grant: found.allowed.clone(),
        requests: found.inspection.requests.clone(),
    }
}

/// Who is at work: behind sudo the person, not root.
fn person() -> String {
    let named = ["SUDO_USER", "LOGNAME", "USER"].map(|name| std::env::var(name).unwrap_or_default());
    named
        .into_iter()
        .find(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

fn demand(wanted: &Wanted<'_>, digest: &Digest) -> Result<()> {
    match wanted.digest {
        Some(demanded) if demanded != digest.to_string() => {
            let error = Error::new(format!("{} is not what it should be", wanted.source)).exit(Exit::Refused);
            Err(error.because(format!("it is {digest}, not {demanded}")))
        }
        _ => Ok(()),
    }
}

/// A name by the end of a source: `acme-certs` by `registry.example.org/acme/acme_certs:1.2`.
fn name_of(source: &str) -> Result<String> {
    let path = match Source::of(source) {
        Source::Stock(name) => name,
        Source::Registry(reference) => without_tag(reference),
        Source::Https(address) => address.split(['?', '#']).next().unwrap_or(address),
        Source::File(file) => file,
    };
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().replace('_', "-");
    if stem.is_empty() || stem.starts_with('.') {
        return Err(Error::new(format!("`{source}` gives no name")).exit(Exit::Usage).hint("Give one with --name."));
    }
    Ok(stem)
}

/// A reference without its tag and digest.
fn without_tag(reference: &str) -> &str {
    let reference = reference.split_once('@').map_or(reference, |(name, _)| name);
    reference.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(reference, |(name, _)| name)
}

/// What Docker's configuration has for a registry.
pub async fn login(source: Source<'_>) -> Result<Option<Login>> {
    let Source::Registry(reference) = source else { return Ok(None) };
    let found = Credentials::default().of(Reference::parse(reference)?.registry()).await?;
    Ok(found.and_then(|found| Some((found.username?, found.password?))))
}

/// The signature that was named, or lies beside the file.
fn signature(wanted: &Wanted<'_>, found: &Examined) -> Result<Option<String>> {
    if let Some(file) = wanted.signature {
        return Ok(Some(std::fs::read_to_string(file).what_with(|| format!("could not read {}", file.display()))?));
    }
    Ok(match Source::of(&found.spec.source) {
        Source::File(_) => signature_beside(Path::new(wanted.source)),
        _ => None,
    })
}

fn signature_beside(file: &Path) -> Option<String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    std::fs::read_to_string(name).ok()
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_source_gives_a_name() {
        for (source, name) in [
            ("stock:notify", "notify"),
            ("target/wasm32-wasip2/release/by_path.wasm", "by-path"),
            ("https://example.org/v1/acme.wasm?raw=1", "acme"),
            ("registry.example.org/acme/certs:1.2", "certs"),
            ("127.0.0.1:5000/acme/certs@sha256:00", "certs"),
        ] {
            assert_eq!(name_of(source).unwrap(), name, "{source}");
        }
        assert!(name_of("/").is_err());
    }
}
