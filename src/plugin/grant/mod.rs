//! The permissions of one plugin: requested by it and granted by its site. All of them are decided
//! here.

#![expect(
    clippy::disallowed_methods,
    reason = "it resolves what a grant names; what is opened then is judged by its handle"
)]

mod protected;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::destination::{self, Destination};
use super::request::{Capability, Request};
use super::spec::{Grant, Spec};
use crate::dir::Held;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::path::SitePath;
pub(in crate::plugin) use protected::{Protected, resolved};

/// An access that a plugin is about to make.
#[derive(Clone, Debug)]
pub(in crate::plugin) enum Wish<'a> {
    /// Read from this directory.
    Read(&'a Folder),
    /// Read this environment variable.
    Env(&'a str),
    /// Install a file at this path.
    Install(&'a SitePath),
    /// Send a request.
    Send { plain: bool, host: &'a str, port: u16 },
    /// Use the network below HTTP: a socket, or a name lookup.
    Socket(&'a str),
    /// Connect to an address that a name resolved to.
    Connect { host: &'a str, address: SocketAddr },
}

/// A refused access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plugin) struct Refusal {
    /// The access and the reason.
    pub(in crate::plugin) what: String,
    /// The grant that would allow it, if any.
    pub(in crate::plugin) hint: Option<String>,
}

/// A readable directory. It is opened once, when the grant is judged: whatever its path names
/// later, the plugin sees the judged directory.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Folder {
    /// The path for the plugin: the one in `cowhand.toml`.
    pub(in crate::plugin) seen_as: String,
    /// The path with links resolved.
    pub(in crate::plugin) path: PathBuf,
    /// The path in an approval, which is bound to it: relative to the site if it is below it.
    pub(in crate::plugin) place: String,
    held: Arc<Held>,
}

impl Folder {
    /// Opens the directory at a path without following links.
    pub(in crate::plugin) fn open(
        seen_as: String,
        path: PathBuf,
        place: String,
    ) -> io::Result<Self> {
        let held = Arc::new(Held::open(&path)?);
        Ok(Self { seen_as, path, place, held })
    }

    /// Returns another handle to the directory.
    pub(in crate::plugin) fn handle(&self) -> io::Result<File> {
        self.held.handle()
    }

    /// Returns the path that leads to the directory through the handle.
    pub(in crate::plugin) fn path_by_handle(&self) -> PathBuf {
        self.held.path()
    }
}

/// The permissions of one plugin.
#[derive(Clone, Debug)]
pub(in crate::plugin) struct Permissions {
    name: String,
    source: String,
    listed: bool,
    offline: bool,
    requests: Vec<Request>,
    protected: Protected,
    granted_http: Vec<String>,
    pub(in crate::plugin) read: Vec<Folder>,
    pub(in crate::plugin) install: Vec<SitePath>,
    pub(in crate::plugin) http: Vec<Destination>,
    pub(in crate::plugin) env: Vec<String>,
}

impl Permissions {
    /// Combines requests and grants. Fails if a grant is not valid or never allowed. The second
    /// part of the result lists grants without effect, for a warning.
    pub(in crate::plugin) fn new(
        spec: &Spec,
        requests: &[Request],
        protected: &Protected,
        listed: bool,
        offline: bool,
    ) -> Result<(Self, Vec<String>)> {
        let mut permissions = Self {
            name: spec.name.clone(),
            source: spec.source.clone(),
            listed,
            offline,
            requests: requests.to_vec(),
            protected: protected.clone(),
            granted_http: spec.grant.http.clone(),
            read: Vec::new(),
            install: Vec::new(),
            http: Vec::new(),
            env: Vec::new(),
        };
        let mut idle = Vec::new();
        permissions.take_folders(&spec.grant, &mut idle)?;
        permissions.take_hosts(&spec.grant, &mut idle)?;
        for name in &spec.grant.env {
            let requested = |request: &Request| request.is_open() || request.value == *name;
            if permissions.requested(Capability::Env).any(requested) {
                permissions.env.push(name.clone());
            } else {
                idle.push(format!("env `{name}`"));
            }
        }
        Ok((permissions, idle))
    }

    fn take_folders(&mut self, grant: &Grant, idle: &mut Vec<String>) -> Result<()> {
        for folder in &grant.read {
            let narrowed = self.narrow_path(Capability::Read, folder);
            if narrowed.is_empty() {
                idle.push(format!("read `{}`", folder.display()));
            }
            for path in narrowed {
                let folder = self.folder(&path)?;
                self.authorize_read(&folder)?;
                self.read.push(folder);
            }
        }
        for folder in &grant.install {
            let narrowed = self.narrow_path(Capability::Install, folder);
            if narrowed.is_empty() {
                idle.push(format!("install `{}`", folder.display()));
            }
            for path in narrowed {
                self.install.push(self.install_folder(&path)?);
            }
        }
        Ok(())
    }

    fn take_hosts(&mut self, grant: &Grant, idle: &mut Vec<String>) -> Result<()> {
        for text in &grant.http {
            let granted = Destination::parse(text).ok_or_else(|| {
                let forms = "Write `NAME`, `NAME:PORT`, or `http://NAME` to allow plain http too.";
                self.wrong_grant(&format!("`{text}` is not a valid host")).hint(forms)
            })?;
            let requests = self.requested(Capability::Http);
            let narrowed = requests.filter_map(|request| {
                let wanted = Destination::parse(&request.value);
                if request.is_open() { Some(granted.clone()) } else { granted.and(&wanted?) }
            });
            let narrowed: Vec<_> = narrowed.collect();
            if narrowed.is_empty() {
                idle.push(format!("http `{text}`"));
            }
            self.http.extend(narrowed);
        }
        Ok(())
    }

    fn requested(&self, capability: Capability) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.capability == capability)
    }

    /// Returns the requested part of a granted directory: the inner one of the two.
    fn narrow_path(&self, capability: Capability, granted: &Path) -> Vec<PathBuf> {
        let requests = self.requested(capability);
        let narrowed = requests.filter_map(|request| {
            let wanted = Path::new(&request.value);
            match (request.is_open() || granted.starts_with(wanted), wanted.starts_with(granted)) {
                (true, _) => Some(granted.to_owned()),
                (false, true) => Some(wanted.to_owned()),
                (false, false) => None,
            }
        });
        let mut narrowed: Vec<PathBuf> = narrowed.collect();
        narrowed.sort();
        narrowed.dedup();
        narrowed
    }

    /// Resolves a readable directory's links. A relative one is below the site and stays there.
    fn folder(&self, granted: &Path) -> Result<Folder> {
        let shown = granted.display();
        let seen_as = granted
            .to_str()
            .ok_or_else(|| self.wrong_grant(&format!("`{shown}` is not UTF-8")))?
            .to_owned();
        if granted.components().any(|part| part == Component::ParentDir) {
            return Err(self.wrong_grant(&format!("`{shown}` contains `..`")));
        }
        let unopened = |error: io::Error| {
            let hint = format!(
                "Create the directory, or remove it from `read` of `{}` in cowhand.toml.",
                self.name
            );
            self.wrong_grant(&format!("`{shown}` cannot be opened")).because(error).hint(hint)
        };
        let path = self.protected.site.join(granted).canonicalize().map_err(unopened)?;
        if !path.is_dir() {
            return Err(self.wrong_grant(&format!("`{shown}` is not a directory")));
        }
        if granted.is_relative() && !path.starts_with(&self.protected.site) {
            let hint = format!("If the plugin may read it, grant `{}`.", path.display());
            return Err(self.wrong_grant(&format!("`{shown}` leads out of the site")).hint(hint));
        }
        let place = path.strip_prefix(&self.protected.site).unwrap_or(&path).to_str();
        let not_text =
            || self.wrong_grant(&format!("`{shown}` is at {}, which is not UTF-8", path.display()));
        let place = place.ok_or_else(not_text)?.to_owned();
        Folder::open(seen_as, path, place).map_err(unopened)
    }

    fn install_folder(&self, granted: &Path) -> Result<SitePath> {
        let plain = granted.components().all(|part| matches!(part, Component::Normal(_)));
        let parts: Vec<_> = granted.components().map(Component::as_os_str).collect();
        if !plain || parts.is_empty() {
            let what = format!("`{}` is not a directory of the site", granted.display());
            return Err(self
                .wrong_grant(&what)
                .hint("Use a path relative to the site: `data/assets/ssl`."));
        }
        let path =
            SitePath::from(parts.join(std::ffi::OsStr::new("/")).as_os_str().as_encoded_bytes());
        let never = [".git", "mailcow.conf", ".env", "plugins", "cowhand.toml", "cowhand.lock"];
        let is_never = |(depth, part): (usize, &&std::ffi::OsStr)| {
            never
                .iter()
                .take(if depth == 0 { never.len() } else { 1 })
                .any(|name| part.eq_ignore_ascii_case(name))
        };
        if parts.iter().enumerate().any(is_never) {
            return Err(self.wrong_grant(&format!("plugins cannot install files at `{path}`")));
        }
        let (place, plain) =
            (resolved(&self.protected.site.join(granted)), self.protected.site.join(granted));
        if place != plain || self.protected.given_away_at(&place).is_some() {
            // The switch would refuse to write through it too.
            let what = format!("`{path}` leads through a link to {}", place.display());
            return Err(self
                .wrong_grant(&what)
                .hint("Files are installed only into the site's own directories."));
        }
        Ok(path)
    }

    fn authorize_read(&self, folder: &Folder) -> Result<()> {
        self.authorize(&Wish::Read(folder)).map_err(|refusal| self.wrong_grant(&refusal.what))
    }

    fn wrong_grant(&self, what: &str) -> Error {
        Error::new(format!("the grant of the plugin `{}` is not valid: {what}", self.name))
            .exit(Exit::Usage)
    }

    /// Decides an access. Everything that a plugin does outside its sandbox passes here.
    pub(in crate::plugin) fn authorize(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        let (granted, what, line) = match wish {
            Wish::Read(folder) => {
                let secret = self.protected.given_away_by(&folder.held);
                let tell = |secret: &PathBuf| {
                    format!("`{}` would expose {}", folder.path.display(), secret.display())
                };
                (secret.is_none(), secret.as_ref().map(tell).unwrap_or_default(), None)
            }
            Wish::Env(name) => {
                let granted = self.env.iter().any(|granted| granted == name);
                (
                    granted,
                    format!("the environment variable `{name}`"),
                    Some((Capability::Env, (*name).to_owned())),
                )
            }
            Wish::Install(path) => {
                let granted = self.install.iter().any(|folder| is_below(path, folder));
                (
                    granted,
                    format!("a file for `{path}`"),
                    Some((Capability::Install, folder_of(path))),
                )
            }
            Wish::Send { plain, host, port } => {
                let shown = destination::shown(*plain, host, *port);
                if self.offline {
                    (false, format!("a request to `{shown}`, while plugins are offline"), None)
                } else {
                    let granted =
                        self.http.iter().any(|granted| granted.covers(*plain, host, *port));
                    (granted, format!("a request to `{shown}`"), Some((Capability::Http, shown)))
                }
            }
            Wish::Socket(what) => {
                let hint = "Plugins can use only WASI's HTTP, to hosts in `grant.http`.".to_owned();
                return Err(Refusal { what: (*what).to_owned(), hint: Some(hint) });
            }
            Wish::Connect { host, address } => {
                let granted = destination::is_open(*address, &self.http);
                let what = format!("`{host}`, whose address {} is not public", address.ip());
                (granted, what, Some((Capability::Http, address.to_string())))
            }
        };
        if granted {
            return Ok(());
        }
        Err(Refusal { what, hint: line.map(|(capability, value)| self.line(capability, &value)) })
    }

    /// Returns the requests that are not granted, with the lines that would grant them.
    pub(in crate::plugin) fn lacking(&self) -> Vec<(String, String)> {
        self.requests
            .iter()
            .filter(|request| self.lacks(request))
            .map(|request| self.granting(request))
            .collect()
    }

    /// Returns those of them that a plugin misses without a refusal: what is not granted does not
    /// exist for it.
    pub(in crate::plugin) fn lacking_in_silence(&self) -> Vec<(String, String)> {
        let silent =
            |request: &&Request| matches!(request.capability, Capability::Read | Capability::Env);
        let lacking = self
            .requests
            .iter()
            .filter(silent)
            .filter(|request| self.listed && self.lacks(request));
        lacking.map(|request| self.granting(request)).collect()
    }

    fn lacks(&self, request: &Request) -> bool {
        let (any, value) = (request.is_open(), request.value.as_str());
        match request.capability {
            Capability::Read => !self.read.iter().any(|folder| any || folder.seen_as == value),
            Capability::Install => {
                !self.install.iter().any(|folder| any || folder.to_string() == value)
            }
            Capability::Env => !self.env.iter().any(|name| any || name == value),
            Capability::Http => {
                let wanted = Destination::parse(value);
                !self.http.iter().any(|granted| any || Some(granted) == wanted.as_ref())
            }
        }
    }

    fn granting(&self, request: &Request) -> (String, String) {
        let key = request.capability.key();
        let value = if request.is_open() { key.to_uppercase() } else { request.value.clone() };
        (format!("{key} `{}`", request.value), self.line(request.capability, &value))
    }

    /// Returns the lines of `cowhand.toml` that would allow this, or the reason why none would.
    fn line(&self, capability: Capability, value: &str) -> String {
        let key = capability.key();
        if self.requested(capability).next().is_none() {
            return format!("The plugin does not request `{key}`, so no grant can allow it.");
        }
        let held: Vec<String> = match capability {
            Capability::Read => self.read.iter().map(|folder| folder.seen_as.clone()).collect(),
            Capability::Install => self.install.iter().map(ToString::to_string).collect(),
            Capability::Http => self.granted_http.clone(),
            Capability::Env => self.env.clone(),
        };
        let values: Vec<String> = held
            .iter()
            .map(String::as_str)
            .chain([value])
            .map(|value| format!("{value:?}"))
            .collect();
        let (name, source, line) =
            (&self.name, &self.source, format!("{key} = [{}]", values.join(", ")));
        if self.listed {
            return format!(
                "To allow it, add to `[plugin.grant]` of `{name}` in cowhand.toml: {line}"
            );
        }
        format!(
            "To allow it, add to cowhand.toml:\n[[plugin]]\nname = {name:?}\nsource = {source:?}\n[plugin.grant]\n{line}"
        )
    }
}

/// Returns true if a path is in a directory or below it.
fn is_below(path: &SitePath, folder: &SitePath) -> bool {
    path.as_bytes()
        .strip_prefix(folder.as_bytes())
        .is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

fn folder_of(path: &SitePath) -> String {
    let folder = path.as_path().parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| "FOLDER".to_owned(), |folder| SitePath::from(folder).to_string())
}

#[cfg(test)]
mod tests;
