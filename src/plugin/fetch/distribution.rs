//! The part of the registry protocol that fetching needs. Every response is bounded: oci-client
//! reads manifests, tokens and errors to their end.

use std::net::IpAddr;
use std::time::Duration;

use http_auth::parse_challenges;
use oci_client::Reference;
use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::Login;
use crate::error::{Context, Error, Result};
use crate::https;

const CONNECT: Duration = Duration::from_secs(10);
/// The time limit for a silent registry.
const SILENCE: Duration = Duration::from_secs(30);
/// The largest manifest or token, in bytes: the size that the OCI distribution specification asks
/// registries to accept.
const MOST: usize = 4 << 20;

/// A repository in a registry, to pull from.
pub(super) struct Repository {
    client: Client,
    address: String,
    scope: String,
    login: Option<Login>,
    pass: Pass,
}

/// The authorization of a request.
enum Pass {
    Nothing,
    Login,
    Token(String),
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Repository {
    /// Returns a client without connecting. A registry on this machine needs no TLS, as in Docker.
    pub(super) fn of(image: &Reference, login: Option<Login>) -> Result<Self> {
        let (registry, name) = (image.resolve_registry(), image.repository());
        let plain = is_here(registry);
        let client = https::client()?
            .https_only(!plain)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .user_agent(concat!("cowhand/", env!("CARGO_PKG_VERSION")))
            .build()
            .what("could not set up a client")?;
        let scheme = if plain { "http" } else { "https" };
        Ok(Self {
            client,
            address: format!("{scheme}://{registry}/v2/{name}"),
            scope: format!("repository:{name}:pull"),
            login,
            pass: Pass::Nothing,
        })
    }

    /// Reads the manifest of a tag or digest.
    pub(super) async fn manifest(&mut self, of: &str, accept: &str) -> Result<Vec<u8>> {
        read(self.get(&format!("manifests/{of}"), accept).await?).await
    }

    /// Requests a blob, whose content is still to be read.
    pub(super) async fn blob(&mut self, digest: &str) -> Result<Response> {
        self.get(&format!("blobs/{digest}"), "*/*").await
    }

    async fn get(&mut self, path: &str, accept: &str) -> Result<Response> {
        let mut answer = self.ask(path, accept).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && matches!(self.pass, Pass::Nothing) {
            self.pass = self.pass_for(&answer).await?;
            answer = self.ask(path, accept).await?;
        }
        answer.error_for_status().map_err(|error| Error::new(https::reason(&error)))
    }

    async fn ask(&self, path: &str, accept: &str) -> Result<Response> {
        let request = self.client.get(format!("{}/{path}", self.address)).header(ACCEPT, accept);
        let request = match (&self.pass, &self.login) {
            (Pass::Token(token), _) => request.bearer_auth(token),
            (Pass::Login, Some((name, password))) => request.basic_auth(name, Some(password)),
            _ => request,
        };
        request.send().await.map_err(|error| Error::new(https::reason(&error)))
    }

    /// Obtains the authorization that the registry demands: a token from its token service, or the
    /// login.
    async fn pass_for(&self, refusal: &Response) -> Result<Pass> {
        let headers = refusal.headers().get_all(WWW_AUTHENTICATE).into_iter();
        let texts: Vec<&str> = headers.filter_map(|header| header.to_str().ok()).collect();
        let challenges = texts.iter().filter_map(|text| parse_challenges(text).ok()).flatten();
        let bearer =
            challenges.into_iter().find(|found| found.scheme.eq_ignore_ascii_case("bearer"));
        let Some(bearer) = bearer else { return Ok(Pass::Login) };
        let parameter = |wanted: &str| {
            let mut found =
                bearer.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").unwrap_or_default();
        let mut realm: Url = realm
            .parse()
            .what_with(|| format!("the registry's token service `{realm}` is not a valid URL"))?;
        realm.query_pairs_mut().append_pair("scope", &self.scope);
        if let Some(service) = parameter("service") {
            realm.query_pairs_mut().append_pair("service", &service);
        }
        self.token(realm).await.map(Pass::Token)
    }

    async fn token(&self, realm: Url) -> Result<String> {
        let request = self.client.get(realm);
        let request = match &self.login {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        };
        let doing = "the registry's token service returned no token";
        let answer = request.send().await.and_then(Response::error_for_status);
        let answer = answer.map_err(|error| Error::new(doing).because(https::reason(&error)))?;
        let found: Token = serde_json::from_slice(&read(answer).await?).what(doing)?;
        found.token.or(found.access_token).ok_or_else(|| Error::new(doing))
    }
}

/// Reads a response up to the limit.
async fn read(mut answer: Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) =
        answer.chunk().await.map_err(|error| Error::new(https::reason(&error)))?
    {
        if bytes.len() + piece.len() > MOST {
            let limit = bytesize::ByteSize::b(MOST as u64);
            return Err(Error::new(format!("the response is larger than the limit of {limit}")));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn is_here(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
