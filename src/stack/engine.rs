//! The connection to the Docker engine.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as EngineError;

use super::credentials::Credentials;
use super::endpoint::Endpoint;
use super::failure::{PAUSES, kind, not_found, patiently, words};
use crate::error::{Error, Result};
use crate::failpoint;

/// The time limit for the engine's first answer.
const GREETING: Duration = Duration::from_secs(15);
/// The time limit for an answer. Stopping a container has its own.
const ANSWER: Duration = Duration::from_mins(2);
/// The API version of the oldest supported engine, 20.10.
const OLDEST: (usize, usize) = (1, 41);

/// A connection to the engine. Cheap to clone. Each request opens a connection, so the engine may
/// restart in between.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    /// A connection whose answers time out at once, for the failpoint action `time-out`.
    #[cfg(feature = "failpoints")]
    expired: Docker,
    endpoint: Arc<Endpoint>,
    version: Arc<str>,
    credentials: Arc<Credentials>,
}

impl Engine {
    /// Connects to the engine that `DOCKER_HOST`, `DOCKER_CONTEXT` or Docker's configuration names.
    pub async fn connect() -> Result<Self> {
        Self::at(&Endpoint::from_environment()?).await
    }

    /// Connects and negotiates the API version. The error names the likely cause.
    pub async fn at(endpoint: &Endpoint) -> Result<Self> {
        let failed = |error: &EngineError| unreachable_engine(endpoint, error);
        let docker = client(endpoint).map_err(|error| failed(&error))?;
        let greeted = tokio::time::timeout(GREETING, async {
            let docker = docker.negotiate_version().await?;
            let version = docker.version().await?;
            Ok((docker, version))
        });
        let (docker, version) = match greeted.await {
            Ok(Ok(greeted)) => greeted,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(failed(&EngineError::RequestTimeoutError)),
        };
        let version = version.version.unwrap_or_default();
        let spoken = docker.client_version();
        if (spoken.major_version, spoken.minor_version) < OLDEST {
            return Err(Error::new(format!("the Docker engine at {endpoint} is too old"))
                .because(format!("it is version {version}; Cowhand needs 20.10 or later"))
                .hint("Update Docker on this machine."));
        }
        Ok(Self {
            #[cfg(feature = "failpoints")]
            expired: docker.clone().with_timeout(Duration::ZERO),
            docker,
            endpoint: Arc::new(endpoint.clone()),
            version: version.into(),
            credentials: Arc::default(),
        })
    }

    /// Returns the engine's address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the engine's version, such as `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the connection, for the other modules of the stack.
    pub(super) fn docker(&self) -> &Docker {
        #[cfg(feature = "failpoints")]
        if failpoint::timeouts_expire() {
            return &self.expired;
        }
        &self.docker
    }

    /// Returns the connection with another time limit for answers.
    pub(super) fn docker_within(&self, limit: Duration) -> Docker {
        let limit = if failpoint::timeouts_expire() { Duration::ZERO } else { limit };
        self.docker.clone().with_timeout(limit)
    }

    /// Returns the credentials for registries.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Sends an idempotent request, with retries: a restarting engine gets time to come back.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnMut() -> Result<T, EngineError>,
    ) -> Result<T> {
        patiently(PAUSES, question, |_, _| {}).await.map_err(|error| self.failed(what, &error))
    }

    /// Does the same as [`Engine::ask`]; `None` if the engine answers "not found".
    pub(super) async fn find<T>(
        &self,
        what: &str,
        question: impl AsyncFnMut() -> Result<T, EngineError>,
    ) -> Result<Option<T>> {
        match patiently(PAUSES, question, |_, _| {}).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if not_found(&error) => Ok(None),
            Err(error) => Err(self.failed(what, &error)),
        }
    }

    /// Returns the error `what` with its cause. An engine that does not answer is named.
    pub(super) fn failed(&self, what: &str, error: &EngineError) -> Error {
        match error {
            EngineError::DockerResponseServerError { .. }
            | EngineError::DockerStreamError { .. } => Error::new(what).because(words(error)),
            gone => {
                let why = unreachable_engine(&self.endpoint, gone);
                let named = why
                    .causes()
                    .iter()
                    .fold(Error::new(what).because(why.headline()), Error::because);
                why.hints().iter().fold(named, |error, hint| error.hint(hint.as_str()))
            }
        }
    }
}

fn client(endpoint: &Endpoint) -> Result<Docker, EngineError> {
    let (host, limit) = (endpoint.host.as_str(), ANSWER.as_secs());
    let version = bollard::API_DEFAULT_VERSION;
    let docker = match &endpoint.tls {
        _ if endpoint.is_local() => Docker::connect_with_unix(host, limit, version)?,
        Some(folder) => {
            crate::https::provide();
            let file = |name: &str| folder.join(name);
            Docker::connect_with_ssl(
                host,
                &file("key.pem"),
                &file("cert.pem"),
                &file("ca.pem"),
                limit,
                version,
            )?
        }
        None => Docker::connect_with_http(host, limit, version)?,
    };
    Ok(docker.with_request_modifier(|request| {
        tracing::debug!(method = %request.method(), uri = %request.uri(), "engine request");
        with_url_safe_credentials(request)
    }))
}

/// Rewrites credentials in the URL-safe alphabet: the engine silently ignores others, and bollard
/// writes the standard one.
fn with_url_safe_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let safe = value.to_str().map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(safe) = safe.ok().and_then(|text| text.parse().ok()) {
            *value = safe;
        }
    }
    request
}

/// Returns the error for an engine that does not answer this user, with its likely cause.
fn unreachable_engine(endpoint: &Endpoint, error: &EngineError) -> Error {
    let (why, hint) = match (error, kind(error)) {
        (EngineError::SocketNotFoundError(_), _) | (_, Some(ErrorKind::NotFound)) => (
            "the socket does not exist".to_owned(),
            "Check that Docker is installed and running: `systemctl status docker`.",
        ),
        (_, Some(ErrorKind::PermissionDenied)) => (
            "permission denied".to_owned(),
            "Run Cowhand as root or as a member of the group `docker`.",
        ),
        (_, Some(ErrorKind::ConnectionRefused)) => (
            "connection refused".to_owned(),
            "Check that the engine is running: `systemctl status docker`.",
        ),
        (EngineError::RequestTimeoutError, _) => {
            ("no answer in time".to_owned(), "See `systemctl status docker` and `docker info`.")
        }
        (other, _) if words(other).contains("connection closed") => (
            "connection closed".to_owned(),
            "Check whether the engine was stopped or restarted: `systemctl status docker`.",
        ),
        (other, _) => (words(other), "See `docker info`."),
    };
    Error::new(format!("the Docker engine at {endpoint} does not answer")).because(why).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(host: &str) -> Error {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Engine::at(&Endpoint::at(host))).unwrap_err()
    }

    #[test]
    fn an_engine_that_is_not_there_is_named() {
        let error = connect("unix:///nowhere/docker.sock");
        assert_eq!(
            error.summary(),
            "the Docker engine at unix:///nowhere/docker.sock (the caller) does not answer: the \
             socket does not exist"
        );
        assert!(!error.hints().is_empty());
    }

    #[test]
    fn one_that_refuses_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(
            connect(&format!("unix://{}", socket.display()))
                .summary()
                .ends_with("connection refused")
        );
    }
}
