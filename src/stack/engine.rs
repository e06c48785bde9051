//! The Docker engine: connecting to it, and what it knows of containers and images.

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

/// How long the engine may take to say that it is there.
const GREETING: Duration = Duration::from_secs(15);
/// How long it may take for an answer. Stopping a container is given longer where it is asked for.
const ANSWER: Duration = Duration::from_mins(2);
/// The oldest engine that is supported, by the version of its interface: 20.10.
const OLDEST: (usize, usize) = (1, 41);

/// A connection to the engine. Cheap to clone; connects anew for every request, so an engine that restarted is no problem.
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
    /// Connects to the engine of the environment: `DOCKER_HOST`, `DOCKER_CONTEXT`, Docker's configuration.
    pub async fn connect() -> Result<Self> {
        Self::at(&Endpoint::from_environment()?).await
    }

    /// Connects, asks whether it is there, and settles on a version of the interface. The error says what is wrong with it.
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
                .because(format!("it is version {version}; 20.10 or later is needed"))
                .hint("Update Docker on this machine first."));
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

    /// Where it answers.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its version, such as `20.10.24`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The connection, for what belongs to other parts of the stack.
    pub(super) fn docker(&self) -> &Docker {
        #[cfg(feature = "failpoints")]
        if failpoint::timeouts_expire() {
            return &self.expired;
        }
        &self.docker
    }

    /// The connection, with this long for an answer.
    pub(super) fn docker_within(&self, limit: Duration) -> Docker {
        let limit = if failpoint::timeouts_expire() { Duration::ZERO } else { limit };
        self.docker.clone().with_timeout(limit)
    }

    /// What registries are logged in to with.
    pub(super) fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Asks for something that can be asked twice: an engine that is just restarting is given time to come back.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnMut() -> Result<T, EngineError>,
    ) -> Result<T> {
        patiently(PAUSES, question, |_, _| {}).await.map_err(|error| self.failed(what, &error))
    }

    /// As [`Engine::ask`]; nothing where the engine says that there is no such thing.
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

    /// `what` failed, and why; an engine that vanished is named.
    pub(super) fn failed(&self, what: &str, error: &EngineError) -> Error {
        match error {
            EngineError::DockerResponseServerError { .. }
            | EngineError::DockerStreamError { .. } => Error::new(what).because(words(error)),
            gone => {
                let why = unreachable_engine(&self.endpoint, gone);
                let told = why
                    .causes()
                    .iter()
                    .fold(Error::new(what).because(why.headline()), Error::because);
                why.hints().iter().fold(told, |told, hint| told.hint(hint.as_str()))
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

/// The engine reads credentials in the URL's alphabet and drops, without a word, what is not in it; bollard writes the other one.
fn with_url_safe_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let safe = value.to_str().map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(safe) = safe.ok().and_then(|text| text.parse().ok()) {
            *value = safe;
        }
    }
    request
}

/// Nobody answers, or not to this user.
fn unreachable_engine(endpoint: &Endpoint, error: &EngineError) -> Error {
    let (why, hint) = match (error, kind(error)) {
        (EngineError::SocketNotFoundError(_), _) | (_, Some(ErrorKind::NotFound)) => (
            "there is no such socket".to_owned(),
            "Is Docker installed and running? See `systemctl status docker`.",
        ),
        (_, Some(ErrorKind::PermissionDenied)) => (
            "permission denied".to_owned(),
            "Run Cowhand as root, or as a member of the group `docker`.",
        ),
        (_, Some(ErrorKind::ConnectionRefused)) => (
            "nobody listens there".to_owned(),
            "Is the engine running? See `systemctl status docker`.",
        ),
        (EngineError::RequestTimeoutError, _) => (
            "it did not answer in time".to_owned(),
            "See `systemctl status docker` and `docker info`.",
        ),
        (other, _) if words(other).contains("connection closed") => (
            "it hung up".to_owned(),
            "Was the engine stopped or restarted? See `systemctl status docker`.",
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
            "the Docker engine at unix:///nowhere/docker.sock (the caller) does not answer: there is no such socket"
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
                .ends_with("nobody listens there")
        );
    }
}
