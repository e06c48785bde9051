//! What one plugin may do: requested by it and granted by its site. The one place that decides.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};

use super::destination::{self, Destination};
use super::request::{Capability, Request};
use super::spec::{Grant, Spec};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::path::SitePath;

/// What is protected from grants: folders and files that no plugin ever gets.
#[derive(Clone, Debug)]
pub(super) struct Protected {
    /// The site's folder, links resolved.
    pub(super) site: PathBuf,
    /// Its git folder, `mailcow.conf` and Docker's sockets, links resolved.
    pub(super) inside: Vec<PathBuf>,
}

impl Protected {
    /// Of the site in this folder.
    pub(super) fn of(site: &Path) -> Self {
        let docker = std::env::var("DOCKER_HOST").ok().and_then(|host| host.strip_prefix("unix://").map(PathBuf::from));
        let sockets = ["/var/run/docker.sock", "/run/docker.sock"].map(PathBuf::from);
        let own = [".git", "mailcow.conf"].map(|name| site.join(name));
        let inside = own.into_iter().chain(sockets).chain(docker).map(|path| path.canonicalize().unwrap_or(path));
        Self { site: site.canonicalize().unwrap_or_else(|_| site.to_owned()), inside: inside.collect() }
    }

    /// What of it a folder would give away.
    fn given_away_by(&self, folder: &Path) -> Option<&Path> {
        let around = self.site.starts_with(folder).then_some(self.site.as_path());
        around.or_else(|| {
            let hit = |inner: &&PathBuf| inner.starts_with(folder) || folder.starts_with(inner);
            self.inside.iter().find(hit).map(PathBuf::as_path)
        })
    }
}

/// Something that a plugin is about to do.
#[derive(Clone, Debug)]
pub(super) enum Wish<'a> {
    /// Read what is in this folder; links are resolved.
    Read(&'a Path),
    /// See this environment variable.
    Env(&'a str),
    /// Have a file installed here.
    Install(&'a SitePath),
    /// Send a request.
    Send { plain: bool, host: &'a str, port: u16 },
    /// Connect to an address that a name resolved to.
    Connect { host: &'a str, address: SocketAddr },
}

/// A wish that is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What was refused and why.
    pub(super) what: String,
    /// The line that would allow it, where one would.
    pub(super) hint: Option<String>,
}

/// A folder that a plugin may read.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// The path under which the plugin sees it: the one in `cowhand.toml`.
    pub(super) seen_as: String,
    /// Where it is, links resolved.
    pub(super) path: PathBuf,
}

/// What one plugin may do.
#[derive(Clone, Debug)]
pub(super) struct Permissions {
    name: String,
    source: String,
    listed: bool,
    offline: bool,
    requests: Vec<Request>,
    protected: Protected,
    granted_http: Vec<String>,
    pub(super) read: Vec<Folder>,
    pub(super) install: Vec<SitePath>,
    pub(super) http: Vec<Destination>,
    pub(super) env: Vec<String>,
}

impl Permissions {
    /// Requested and granted. An error where a grant makes no sense or is never given; the second part are grants
    /// without effect, for a warning.
    pub(super) fn new(
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
                self.authorize_read(&folder.path)?;
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
                self.wrong_grant(&format!("`{text}` is no host")).hint(forms)
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

    /// The part of a granted folder that was requested: the inner of the two.
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

    /// Finds a folder that is to be read, links resolved; a relative one is below the site and stays there.
    fn folder(&self, granted: &Path) -> Result<Folder> {
        let shown = granted.display();
        let seen_as = granted.to_str().ok_or_else(|| self.wrong_grant(&format!("`{shown}` is not UTF-8")))?.to_owned();
        if granted.components().any(|part| part == Component::ParentDir) {
            return Err(self.wrong_grant(&format!("`{shown}` goes up with `..`")));
        }
        let path = self.protected.site.join(granted).canonicalize().map_err(|error| {
            let hint = format!("Create the folder, or take it out of `read` of `{}` in cowhand.toml.", self.name);
            self.wrong_grant(&format!("`{shown}` cannot be opened")).because(error).hint(hint)
        })?;
        if !path.is_dir() {
            return Err(self.wrong_grant(&format!("`{shown}` is not a folder")));
        }
        if granted.is_relative() && !path.starts_with(&self.protected.site) {
            let hint = format!("If that is what it may read, grant `{}` itself.", path.display());
            return Err(self.wrong_grant(&format!("`{shown}` leads out of the site")).hint(hint));
        }
        Ok(Folder { seen_as, path })
    }

    fn install_folder(&self, granted: &Path) -> Result<SitePath> {
        let plain = granted.components().all(|part| matches!(part, Component::Normal(_)));
        let parts: Vec<_> = granted.components().map(Component::as_os_str).collect();
        if !plain || parts.is_empty() {
            let what = format!("`{}` is no folder below the site's", granted.display());
            return Err(self
                .wrong_grant(&what)
                .hint("Write it as it stands below the site's folder: `data/assets/ssl`."));
        }
        let path = SitePath::from(parts.join(std::ffi::OsStr::new("/")).as_os_str().as_encoded_bytes());
        if parts[0].eq_ignore_ascii_case(".git") || path.as_bytes() == b"mailcow.conf" {
            return Err(self.wrong_grant(&format!("`{path}` is never granted")));
        }
        Ok(path)
    }

    fn authorize_read(&self, folder: &Path) -> Result<()> {
        self.authorize(&Wish::Read(folder)).map_err(|refusal| self.wrong_grant(&refusal.what))
    }

    fn wrong_grant(&self, what: &str) -> Error {
        Error::new(format!("the grant of the plugin `{}` cannot be given: {what}", self.name)).exit(Exit::Usage)
    }

    /// Decides. Everything that a plugin does outside its sandbox passes here.
    pub(super) fn authorize(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        let (granted, what, line) = match wish {
            Wish::Read(folder) => {
                let secret = self.protected.given_away_by(folder);
                let shown = secret.map(|secret| format!("`{}` would give away {}", folder.display(), secret.display()));
                (secret.is_none(), shown.unwrap_or_default(), None)
            }
            Wish::Env(name) => {
                let granted = self.env.iter().any(|granted| granted == name);
                (granted, format!("the environment variable `{name}`"), Some((Capability::Env, (*name).to_owned())))
            }
            Wish::Install(path) => {
                let granted = self.install.iter().any(|folder| is_below(path, folder));
                (granted, format!("a file for `{path}`"), Some((Capability::Install, folder_of(path))))
            }
            Wish::Send { plain, host, port } => {
                let shown = destination::shown(*plain, host, *port);
                if self.offline {
                    (false, format!("a request to `{shown}`, while plugins are offline"), None)
                } else {
                    let granted = self.http.iter().any(|granted| granted.covers(*plain, host, *port));
                    (granted, format!("a request to `{shown}`"), Some((Capability::Http, shown)))
                }
            }
            Wish::Connect { host, address } => {
                let granted = destination::is_open(*address, &self.http);
                let what = format!("`{host}`, which is at {}: not a public address", address.ip());
                (granted, what, Some((Capability::Http, address.to_string())))
            }
        };
        if granted {
            return Ok(());
        }
        Err(Refusal { what, hint: line.map(|(capability, value)| self.line(capability, &value)) })
    }

    /// The lines of `cowhand.toml` that would allow this, or why none would.
    fn line(&self, capability: Capability, value: &str) -> String {
        let key = capability.key();
        if self.requested(capability).next().is_none() {
            return format!("The plugin does not request `{key}`, so that no grant can allow it.");
        }
        let held: Vec<String> = match capability {
            Capability::Read => self.read.iter().map(|folder| folder.seen_as.clone()).collect(),
            Capability::Install => self.install.iter().map(ToString::to_string).collect(),
            Capability::Http => self.granted_http.clone(),
            Capability::Env => self.env.clone(),
        };
        let values: Vec<String> =
            held.iter().map(String::as_str).chain([value]).map(|value| format!("{value:?}")).collect();
        let (name, source, line) = (&self.name, &self.source, format!("{key} = [{}]", values.join(", ")));
        if self.listed {
            return format!("To allow it, below `[plugin.grant]` of `{name}` in cowhand.toml: {line}");
        }
        format!(
            "To allow it, in cowhand.toml:\n[[plugin]]\nname = {name:?}\nsource = {source:?}\n[plugin.grant]\n{line}"
        )
    }
}

/// Whether a path lies in a folder or deeper.
fn is_below(path: &SitePath, folder: &SitePath) -> bool {
    path.as_bytes().strip_prefix(folder.as_bytes()).is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

fn folder_of(path: &SitePath) -> String {
    let folder = path.as_path().parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| "FOLDER".to_owned(), |folder| SitePath::from(folder).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site(tempfile::TempDir);

    impl Site {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for inner in [".git", "data/assets/ssl", "data/conf"] {
                std::fs::create_dir_all(folder.path().join(inner)).unwrap();
            }
            std::fs::write(folder.path().join("mailcow.conf"), "").unwrap();
            Self(folder)
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn permissions(&self, grant: Grant, requests: &[(Capability, &str)]) -> Result<(Permissions, Vec<String>)> {
            let request = |(capability, value): &(Capability, &str)| Request {
                capability: *capability,
                value: (*value).to_owned(),
                reason: "a test".to_owned(),
            };
            let requests: Vec<_> = requests.iter().map(request).collect();
            let spec = Spec {
                name: "probe".to_owned(),
                source: "plugins/probe.wasm".to_owned(),
                on_failure: None,
                grant,
                config: serde_json::json!({}),
            };
            Permissions::new(&spec, &requests, &Protected::of(self.path()), true, false)
        }

        fn reading(&self, folder: &Path) -> Result<Permissions> {
            let grant = Grant { read: vec![folder.to_owned()], ..Grant::default() };
            self.permissions(grant, &[(Capability::Read, "*")]).map(|(permissions, _)| permissions)
        }
    }

    #[test]
    fn what_is_never_given_is_never_given() {
        let site = Site::new();
        let links = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(site.path(), links.path().join("site")).unwrap();
        std::os::unix::fs::symlink(site.path().join(".git"), links.path().join("git")).unwrap();
        let above = site.path().parent().unwrap().to_owned();
        let root = PathBuf::from("/");
        let (site_link, git_link) = (links.path().join("site"), links.path().join("git"));
        for folder in [site.path().to_owned(), site.path().join(".git"), above, root, site_link, git_link] {
            let error = site.reading(&folder).unwrap_err();
            assert!(error.headline().contains("would give away"), "{}: {error}", folder.display());
            assert_eq!(error.exit_code(), Some(Exit::Usage));
        }
    }

    #[test]
    fn a_relative_folder_is_below_the_site_and_stays_there() {
        let site = Site::new();
        let permissions = site.reading(Path::new("data/assets/ssl")).unwrap();
        assert_eq!(permissions.read[0].path, site.path().canonicalize().unwrap().join("data/assets/ssl"));
        assert_eq!(permissions.read[0].seen_as, "data/assets/ssl");
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), site.path().join("data/link")).unwrap();
        assert!(site.reading(Path::new("data/link")).unwrap_err().headline().contains("leads out of the site"));
        assert!(site.reading(Path::new("data/../..")).unwrap_err().headline().contains("goes up"));
        assert!(site.reading(Path::new("data/missing")).unwrap_err().headline().contains("cannot be opened"));
    }

    #[test]
    fn what_was_not_requested_has_no_effect() {
        let site = Site::new();
        let grant = || Grant {
            http: vec!["hooks.example.org".to_owned()],
            env: vec!["HOME".to_owned()],
            install: vec!["data/assets/ssl".into()],
            ..Grant::default()
        };
        let (permissions, idle) = site.permissions(grant(), &[]).unwrap();
        assert_eq!(idle, ["install `data/assets/ssl`", "http `hooks.example.org`", "env `HOME`"]);
        assert!(permissions.http.is_empty() && permissions.env.is_empty() && permissions.install.is_empty());
        let narrower = [(Capability::Install, "data/assets/ssl/sub"), (Capability::Env, "HOME")];
        let (permissions, _) = site.permissions(grant(), &narrower).unwrap();
        assert_eq!(permissions.install, [SitePath::from("data/assets/ssl/sub")]);
        assert!(permissions.authorize(&Wish::Env("HOME")).is_ok());
        assert!(permissions.authorize(&Wish::Env("PATH")).is_err());
    }

    #[test]
    fn a_refusal_says_which_line_would_allow_it() {
        let site = Site::new();
        let grant = Grant { http: vec!["hooks.example.org".to_owned()], ..Grant::default() };
        let (permissions, _) = site.permissions(grant, &[(Capability::Http, "*")]).unwrap();
        let wish = |host, port| Wish::Send { plain: false, host, port };
        assert!(permissions.authorize(&wish("hooks.example.org", 443)).is_ok());
        let refusal = permissions.authorize(&wish("ntfy.sh", 443)).unwrap_err();
        let hint = refusal.hint.unwrap();
        assert!(hint.ends_with(r#"http = ["hooks.example.org", "ntfy.sh"]"#), "{hint}");
        let refusal =
            permissions.authorize(&Wish::Send { plain: true, host: "hooks.example.org", port: 80 }).unwrap_err();
        assert!(refusal.hint.unwrap().ends_with(r#""http://hooks.example.org"]"#));
        let inside = Wish::Connect { host: "hooks.example.org", address: "172.22.1.3:443".parse().unwrap() };
        let refusal = permissions.authorize(&inside).unwrap_err();
        assert!(refusal.hint.unwrap().ends_with(r#""172.22.1.3:443"]"#));
    }

    #[test]
    fn folders_for_files_are_plain_and_below_the_site() {
        let site = Site::new();
        for folder in [".", "", "/etc", "../x", "data/../..", ".git", ".GIT/hooks", "mailcow.conf"] {
            let grant = Grant { install: vec![folder.into()], ..Grant::default() };
            assert!(site.permissions(grant, &[(Capability::Install, "*")]).is_err(), "{folder}");
        }
    }
}
