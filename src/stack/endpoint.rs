//! Finds the engine by the rules of the `docker` command: environment, contexts, default socket.

#![expect(clippy::disallowed_methods, reason = "Docker's settings of the caller")]

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::docker_config::{self, DockerConfig};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// The default socket.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The address of an engine and the source of that address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `unix://…`, `tcp://…`, `http://…` or `https://…`.
    pub host: String,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`; `None` without TLS.
    pub tls: Option<PathBuf>,
    /// The source, for messages: a variable, a context, or the default.
    pub said_by: String,
}

impl Endpoint {
    /// Returns the engine that `docker` would use in this environment.
    pub fn from_environment() -> Result<Self> {
        Self::choose(&docker_config::variable)
    }

    /// Returns an engine at this address, regardless of the environment.
    pub fn at(host: &str) -> Self {
        Self { host: host.to_owned(), tls: None, said_by: "the caller".to_owned() }
    }

    fn choose(set: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let folder = docker_config::folder(set);
        if let Some(host) = set("DOCKER_HOST") {
            let wants_tls = set("DOCKER_TLS_VERIFY").is_some() || set("DOCKER_TLS").is_some();
            let certificates = set("DOCKER_CERT_PATH").map(PathBuf::from).or(folder);
            let tls = if wants_tls { certificates } else { None };
            return Self { host, tls, said_by: "DOCKER_HOST".to_owned() }.supported();
        }
        let named = set("DOCKER_CONTEXT").map(|name| (name, "DOCKER_CONTEXT".to_owned()));
        let current = match (&named, &folder) {
            (None, Some(folder)) => current_context(folder)?,
            _ => None,
        };
        match (named.or(current), folder) {
            (Some((name, said_by)), folder) if name != "default" => {
                context(&name, &said_by, folder.as_deref())
            }
            _ => Ok(Self {
                host: DEFAULT_HOST.to_owned(),
                tls: None,
                said_by: "the default".to_owned(),
            }),
        }
    }

    fn supported(self) -> Result<Self> {
        let known = ["unix://", "tcp://", "http://", "https://"];
        if known.iter().any(|scheme| self.host.starts_with(scheme)) {
            return Ok(self);
        }
        let what = format!("cannot connect to the engine at {} ({})", self.host, self.said_by);
        Err(Error::new(what)
            .hint("Run Cowhand on the mail server itself, where the engine has a socket."))
    }

    /// Returns the variables that make a command use this engine. `None` removes a variable.
    pub fn variables(&self) -> Vec<(&'static str, Option<String>)> {
        let folder = self.tls.as_ref().map(|folder| folder.display().to_string());
        vec![
            ("DOCKER_HOST", Some(self.host.clone())),
            ("DOCKER_CONTEXT", None),
            ("DOCKER_TLS", None),
            ("DOCKER_TLS_VERIFY", folder.as_ref().map(|_| "1".to_owned())),
            ("DOCKER_CERT_PATH", folder),
        ]
    }

    /// Returns true if the address is a socket of this machine.
    pub fn is_local(&self) -> bool {
        self.host.starts_with("unix://")
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.host, self.said_by)
    }
}

/// Returns the context that `docker context use` chose, if any, and the file that names it.
fn current_context(folder: &Path) -> Result<Option<(String, String)>> {
    let name = DockerConfig::read(folder)?.context;
    Ok(Some((name, folder.join(DockerConfig::FILE).display().to_string()))
        .filter(|(name, _)| !name.is_empty()))
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: DockerEndpoint,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Returns the name of a context's directory: the SHA-256 of the context's name.
fn id_of(name: &str) -> String {
    Digest::of(name.as_bytes()).hex()
}

fn context(name: &str, said_by: &str, folder: Option<&Path>) -> Result<Endpoint> {
    let id = id_of(name);
    let contexts = folder.unwrap_or(Path::new(".")).join("contexts");
    let path = contexts.join("meta").join(&id).join("meta.json");
    let what = || format!("the Docker context `{name}` (from {said_by}) cannot be used");
    let hint = "See `docker context ls`. Unset DOCKER_CONTEXT, or choose another context with \
                `docker context use`.";
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::new(what()).because(format!("{}: {error}", path.display())).hint(hint)
    })?;
    let meta: Meta = serde_json::from_str(&text).map_err(|error| {
        Error::new(what()).because(format!("{}: {error}", path.display())).hint(hint)
    })?;
    let tls = Some(contexts.join("tls").join(&id).join("docker"))
        .filter(|folder| folder.join("ca.pem").exists());
    Endpoint { host: meta.endpoints.docker.host, tls, said_by: format!("context `{name}`") }
        .supported()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(variables: &[(&str, &str)]) -> Result<Endpoint> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Endpoint::choose(&find)
    }

    fn folder(config: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        folder
    }

    fn add_context(folder: &Path, name: &str, host: &str, tls: bool) {
        let id = id_of(name);
        let meta = folder.join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#
        );
        std::fs::write(meta.join("meta.json"), text).unwrap();
        if tls {
            let tls = folder.join("contexts/tls").join(&id).join("docker");
            std::fs::create_dir_all(&tls).unwrap();
            std::fs::write(tls.join("ca.pem"), "").unwrap();
        }
    }

    #[test]
    fn without_anything_it_is_the_usual_socket() {
        assert_eq!(choose(&[]).unwrap().host, DEFAULT_HOST);
        assert_eq!(
            choose(&[("DOCKER_CONTEXT", "default"), ("HOME", "/nowhere")]).unwrap().host,
            DEFAULT_HOST
        );
    }

    #[test]
    fn the_host_variable_goes_before_every_context() {
        let chosen =
            choose(&[("DOCKER_HOST", "tcp://127.0.0.1:1"), ("DOCKER_CONTEXT", "mail")]).unwrap();
        assert_eq!((chosen.host.as_str(), chosen.tls), ("tcp://127.0.0.1:1", None));
        let secure = [
            ("DOCKER_HOST", "tcp://127.0.0.1:1"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/c"),
        ];
        assert_eq!(choose(&secure).unwrap().tls, Some(PathBuf::from("/c")));
    }

    #[test]
    fn contexts_are_found_by_variable_and_by_file() {
        let folder = folder(r#"{"currentContext": "mail"}"#);
        let path = folder.path().display().to_string();
        add_context(folder.path(), "mail", "unix:///run/mail.sock", false);
        add_context(folder.path(), "other", "tcp://127.0.0.1:2", true);
        assert_eq!(choose(&[("DOCKER_CONFIG", &path)]).unwrap().host, "unix:///run/mail.sock");
        let other = choose(&[("DOCKER_CONFIG", &path), ("DOCKER_CONTEXT", "other")]).unwrap();
        assert!(other.host == "tcp://127.0.0.1:2" && other.tls.is_some());
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let missing = choose(&[("DOCKER_CONTEXT", "nosuch"), ("HOME", "/nowhere")]).unwrap_err();
        assert!(missing.headline().contains("`nosuch`"), "{missing}");
        assert!(
            choose(&[("DOCKER_HOST", "ssh://mail.example.org")])
                .unwrap_err()
                .headline()
                .contains("ssh://")
        );
        let broken = folder("{");
        let error = choose(&[("DOCKER_CONFIG", &broken.path().display().to_string())]).unwrap_err();
        assert!(error.headline().ends_with("config.json is not valid"), "{error}");
    }
}
