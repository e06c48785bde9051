//! Credentials for registries, from Docker's own configuration and its helpers.

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};
use tokio::sync::Mutex;

use crate::error::{Context, Error, Result};

/// The name of the default registry in Docker's configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";
/// The time limit for a helper.
const HELPER: Duration = Duration::from_secs(30);

/// A cache of credentials by registry: a helper may be slow or prompt its user.
#[derive(Debug, Default)]
pub struct Credentials(Mutex<HashMap<String, Option<DockerCredentials>>>);

impl Credentials {
    /// Returns the credentials for `registry`; `None` if Docker's configuration has none.
    pub async fn of(&self, registry: &str) -> Result<Option<DockerCredentials>> {
        let mut known = self.0.lock().await;
        if let Some(credentials) = known.get(registry) {
            return Ok(credentials.clone());
        }
        let server = if registry == "docker.io" { DOCKER_HUB } else { registry };
        let credentials = ask(server).await?;
        known.insert(registry.to_owned(), credentials.clone());
        Ok(credentials)
    }
}

async fn ask(server: &str) -> Result<Option<DockerCredentials>> {
    let what = || format!("could not get the credentials for the registry {server}");
    let asked = server.to_owned();
    let asking = tokio::task::spawn_blocking(move || docker_credential::get_credential(&asked));
    let answer = tokio::time::timeout(HELPER, asking).await;
    let answer = answer
        .map_err(|_| Error::new(what()).because("the helper did not answer in time"))?
        .what_with(what)?;
    let found = DockerCredentials {
        serveraddress: Some(server.to_owned()),
        ..DockerCredentials::default()
    };
    match answer {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(DockerCredentials {
            username: Some(username),
            password: Some(password),
            ..found
        })),
        Ok(DockerCredential::IdentityToken(token)) => {
            Ok(Some(DockerCredentials { identitytoken: Some(token), ..found }))
        }
        Err(error) => nothing_or(error).map_err(|why| {
            Error::new(what())
                .because(why)
                .hint("See `auths`, `credsStore` and `credHelpers` in Docker's config.json.")
        }),
    }
}

/// Returns `None` if there are no credentials. Errors never contain a helper's standard output.
fn nothing_or(error: CredentialRetrievalError) -> Result<Option<DockerCredentials>, String> {
    match error {
        CredentialRetrievalError::NoCredentialConfigured
        | CredentialRetrievalError::ConfigNotFound
        | CredentialRetrievalError::ConfigReadError => Ok(None),
        // The sentence is fixed in the helpers' protocol.
        CredentialRetrievalError::HelperFailure { ref stdout, ref stderr, .. }
            if [stdout, stderr].iter().any(|text| text.contains("credentials not found")) =>
        {
            Ok(None)
        }
        CredentialRetrievalError::HelperFailure { helper, stderr, .. } => {
            Err(format!("the helper {helper} failed: {}", stderr.trim()))
        }
        other => Err(other.to_string()),
    }
}
