//! The path of a plugin's HTTP requests: allowed names, then every address they resolve to, then a
//! connection to a checked address. The host follows no redirects: a guest's next request is
//! checked again.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{Request, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::destination::default_port;
use super::grant::{Permissions, Refusal, Wish};
use super::limits::{
    MOST_BODY, MOST_HEADERS, MOST_OF_A_REFUSAL, MOST_REFUSALS, MOST_SHOWN_REFUSALS,
};
use crate::printable::cut;

/// The time limit for connecting to one address.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);
/// The time limit for a silent server.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// Refusals for the host to read. If there are too many, the first ones are kept and the rest is
/// counted.
#[derive(Clone, Default)]
pub(super) struct Refusals(Arc<(Mutex<Refused>, Notify)>);

#[derive(Default)]
struct Refused {
    kept: Vec<Refusal>,
    count: usize,
}

impl Refusals {
    /// Adds a refusal.
    pub(super) fn add(&self, refusal: Refusal) {
        let mut refused = self.refused();
        refused.count += 1;
        if refused.kept.len() < MOST_SHOWN_REFUSALS {
            let Refusal { what, hint } = refusal;
            let hint = hint.map(|hint| cut(hint, MOST_OF_A_REFUSAL));
            refused.kept.push(Refusal { what: cut(what, MOST_OF_A_REFUSAL), hint });
        }
        if refused.count == MOST_REFUSALS {
            self.0.1.notify_one();
        }
    }

    /// Takes the refusals since the last call, and the number of dropped ones.
    pub(super) fn take(&self) -> (Vec<Refusal>, usize) {
        let Refused { kept, count } = std::mem::take(&mut *self.refused());
        let more = count - kept.len();
        (kept, more)
    }

    /// Resolves when there are too many refusals for one call.
    pub(super) async fn flood(&self) {
        self.0.1.notified().await;
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the requests of one plugin.
pub(super) struct Egress {
    permissions: Arc<Permissions>,
    refusals: Refusals,
}

impl Egress {
    pub(super) fn new(permissions: Arc<Permissions>, refusals: Refusals) -> Self {
        Self { permissions, refusals }
    }
}

type Running = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(Response<WasiBody>, Running), Error>> + Send>;

impl WasiHttpHooks for Egress {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Running,
    ) -> Sending {
        let way =
            Way { permissions: Arc::clone(&self.permissions), refusals: self.refusals.clone() };
        Box::new(async move { way.send(request, options.unwrap_or_default()).await })
    }
}

/// The way of one request.
struct Way {
    permissions: Arc<Permissions>,
    refusals: Refusals,
}

impl Way {
    async fn send(
        self,
        request: Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<(Response<WasiBody>, Running), Error> {
        let uri = request.uri();
        let plain = uri.scheme() == Some(&Scheme::HTTP);
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or(Error::HttpRequestUriInvalid)?
            .to_owned();
        let port = uri.port_u16().unwrap_or(default_port(plain));
        self.authorize(&Wish::Send { plain, host: &host, port })?;
        let connect =
            options.connect_timeout.map_or(LONGEST_CONNECT, |limit| limit.min(LONGEST_CONNECT));
        let stream = self.connect(&host, port, connect).await?;
        let silence =
            options.first_byte_timeout.map_or(LONGEST_SILENCE, |limit| limit.min(LONGEST_SILENCE));
        if plain {
            return talk(stream, request, silence).await;
        }
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
        let tls = tokio::time::timeout(connect, connector()?.connect(name, stream)).await;
        talk(tls.map_err(|_| Error::ConnectionTimeout)?.map_err(Error::Tls)?, request, silence)
            .await
    }

    fn authorize(&self, wish: &Wish<'_>) -> Result<(), Error> {
        self.permissions.authorize(wish).map_err(|refusal| {
            self.refusals.add(refusal);
            Error::HttpRequestDenied
        })
    }

    /// Resolves the name, checks every address, and connects to one of those that were checked.
    async fn connect(&self, host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
        let name = host.trim_matches(['[', ']']);
        let unknown = |error: std::io::Error| Error::DnsError {
            rcode: Some(error.to_string()),
            info_code: None,
        };
        let found = tokio::time::timeout(limit, tokio::net::lookup_host((name, port))).await;
        let addresses: Vec<SocketAddr> =
            found.map_err(|_| Error::DnsTimeout)?.map_err(unknown)?.collect();
        for address in &addresses {
            self.authorize(&Wish::Connect { host, address: *address })?;
        }
        let mut failure = Error::DestinationNotFound;
        for address in addresses {
            match tokio::time::timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = Error::Connect(error),
                Err(_) => failure = Error::ConnectionTimeout,
            }
        }
        Err(failure)
    }
}

/// Sends one request over a connection. Returns the answer with the task that keeps the connection
/// running until the body is read.
async fn talk<S>(
    stream: S,
    request: Request<WasiBody>,
    limit: Duration,
) -> Result<(Response<WasiBody>, Running), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut client = hyper::client::conn::http1::Builder::new();
    client.max_buf_size(MOST_HEADERS);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
    let mut connection = Box::pin(async move { connection.await.map_err(Error::from) });
    let mut answered =
        pin!(tokio::time::timeout(limit, sender.send_request(as_for_a_server(request)?)));
    let mut running: Option<Running> = None;
    let answer = tokio::select! {
        biased;
        answer = &mut answered => {
            running = Some(Box::new(connection));
            answer
        }
        ended = &mut connection => {
            // The connection ended after the last answer.
            ended?;
            answered.await
        }
    };
    let response = answer.map_err(|_| Error::ConnectionReadTimeout)??;
    Ok((response.map(capped), running.unwrap_or_else(|| Box::new(async { Ok(()) }))))
}

/// Returns the request for a server that is not a proxy: only the path in the first line. The body
/// is limited.
fn as_for_a_server(request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = http::Uri::builder()
        .path_and_query(path)
        .build()
        .map_err(|_| Error::HttpRequestUriInvalid)?;
    Ok(Request::from_parts(parts, capped(body)))
}

fn capped<B>(body: B) -> WasiBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync + 'static,
{
    let limit = MOST_BODY as u64;
    Limited::new(body, MOST_BODY)
        .map_err(move |error| {
            let too_long = error
                .is::<http_body_util::LengthLimitError>()
                .then_some(Error::HttpResponseBodySize(Some(limit)));
            too_long.unwrap_or_else(|| Error::InternalError(Some(error.to_string())))
        })
        .boxed_unsync()
}

fn connector() -> Result<TlsConnector, Error> {
    let config =
        crate::https::config().map_err(|error| Error::InternalError(Some(error.summary())))?;
    Ok(TlsConnector::from(config))
}
