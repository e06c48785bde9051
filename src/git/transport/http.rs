//! git's smart protocol over https and http: one request for the refs and one for each round of the
//! negotiation, of which the last returns the pack. <https://git-scm.com/docs/http-protocol>

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use bytes::{Buf, Bytes};
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use git2::{ErrorClass, ErrorCode};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, NoProxy, Proxy, RequestBuilder, StatusCode, Url};

use crate::https;

const CONNECT: Duration = Duration::from_secs(30);
/// The time limit for a silent server.
const SILENCE: Duration = Duration::from_mins(1);
/// The user agent. Some servers answer only to git.
const AGENT: &str = concat!("git/2.0 (cowhand ", env!("CARGO_PKG_VERSION"), ")");
const REFS: &str = "/info/refs";
const PACK: &str = "/git-upload-pack";
/// The most unread pieces of a response.
const AHEAD: usize = 16;

/// The proxy protocols that the client supports.
const PROXIES: [&str; 6] = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];

/// One remote.
pub(super) struct Http {
    proxy: Option<String>,
    worker: Worker,
    /// The URL of the refs after redirects, and its client: later requests go there.
    place: RefCell<Option<(Client, Url)>>,
}

impl Http {
    /// Returns a client that uses `proxy`, or the environment's.
    pub(super) fn new(proxy: Option<String>) -> Self {
        Self { proxy, worker: Worker::start(), place: RefCell::default() }
    }

    /// A `secure` one follows no redirect to plain http.
    fn client(&self, secure: bool) -> Result<Client, git2::Error> {
        let client = https::client().map_err(|error| net(error.summary()))?;
        let client = client
            .user_agent(AGENT)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .https_only(secure);
        let client = match self.proxy.as_deref() {
            None => client,
            // As in git: an empty name means no proxy, whatever the environment says.
            Some("") => client.no_proxy(),
            Some(named) => client.proxy(proxy(named)?),
        };
        client.build().map_err(|error| failed(&error))
    }

    fn refs(&self, url: &str) -> Result<Body, git2::Error> {
        let asked = format!("{}{REFS}?service=git-upload-pack", url.trim_end_matches('/'));
        let asked =
            Url::parse(&asked).map_err(|error| net(format!("this is not an address: {error}")))?;
        let client = self.client(asked.scheme() == "https")?;
        let answer = self.worker.ask(client.get(asked.clone()))?.demand("advertisement")?;
        let mut place = answer.url;
        let path = place.path().strip_suffix(REFS).map(str::to_owned);
        place.set_path(
            &path.ok_or_else(|| {
                net(format!("it redirects to {place}, where no git repository is"))
            })?,
        );
        place.set_query(None);
        if place.origin() == asked.origin() {
            // A login is only for the server that it was given for.
            let _ = place.set_username(asked.username());
            let _ = place.set_password(asked.password());
        }
        self.place.replace(Some((client, place)));
        Ok(answer.body)
    }

    fn pack(&self) -> Result<Exchange, git2::Error> {
        let known = self.place.borrow().clone();
        let (client, mut place) = known.ok_or_else(|| net("nobody asked for the refs yet"))?;
        place.set_path(&format!("{}{PACK}", place.path()));
        Ok(Exchange::Question { worker: self.worker.clone(), client, place, body: Vec::new() })
    }
}

impl SmartSubtransport for Http {
    fn action(
        &self,
        url: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        match action {
            Service::UploadPackLs => Ok(Box::new(Exchange::Answer(self.refs(url)?))),
            Service::UploadPack => Ok(Box::new(self.pack()?)),
            Service::ReceivePackLs | Service::ReceivePack => Err(net("nothing is ever pushed")),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// A request that libgit2 writes; it is sent at the first read, and becomes the response.
enum Exchange {
    Question { worker: Worker, client: Client, place: Url, body: Vec<u8> },
    Answer(Body),
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Question { body, .. } => body.write(bytes),
            Self::Answer(_) => Err(io::Error::other("the request has been sent already")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Answer(answer) => answer.read(buffer),
            Self::Question { worker, client, place, body } => {
                let request = client
                    .post(place.clone())
                    .header(CONTENT_TYPE, "application/x-git-upload-pack-request");
                let request = request
                    .header(ACCEPT, "application/x-git-upload-pack-result")
                    .body(std::mem::take(body));
                let answer = worker.ask(request).and_then(|answer| answer.demand("result"));
                *self = Self::Answer(
                    answer.map_err(|error| io::Error::other(error.message().to_owned()))?.body,
                );
                self.read(buffer)
            }
        }
    }
}

/// A response whose body is still being received.
struct Answer {
    url: Url,
    status: StatusCode,
    kind: Option<String>,
    body: Body,
}

impl Answer {
    /// Returns the response if it is valid in git's protocol at this point.
    fn demand(self, what: &str) -> Result<Self, git2::Error> {
        let Self { url, status, kind, .. } = &self;
        if matches!(
            *status,
            StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        ) {
            return Err(git2::Error::new(
                ErrorCode::Auth,
                ErrorClass::Http,
                format!("{url} answers {status}"),
            ));
        }
        if !status.is_success() {
            return Err(net(format!("{url} answers {status}")));
        }
        match kind {
            Some(kind) if *kind == format!("application/x-git-upload-pack-{what}") => Ok(self),
            other => {
                let other = other.as_deref().unwrap_or("something without a type");
                Err(net(format!("{url} answers with {other}, not as a git server does")))
            }
        }
    }
}

/// The received pieces of a body.
struct Body {
    pieces: Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            self.rest = piece?;
        }
        let length = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// Starts a thread that sends the requests, because libgit2 blocks and the client does not. It ends
/// with the last sender.
#[derive(Clone)]
struct Worker(Sender<(RequestBuilder, SyncSender<reqwest::Result<Answer>>)>);

impl Worker {
    fn start() -> Self {
        let (ask, asked) = channel::<(RequestBuilder, SyncSender<_>)>();
        std::thread::spawn(move || {
            // Without a runtime the channel closes, which senders notice.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            for (request, told) in asked {
                runtime.block_on(carry_out(request, &told));
            }
        });
        Self(ask)
    }

    fn ask(&self, request: RequestBuilder) -> Result<Answer, git2::Error> {
        let (tell, told) = sync_channel(1);
        let gone = || net("the thread that asks the server has ended");
        self.0.send((request, tell)).map_err(|_| gone())?;
        told.recv().map_err(|_| gone())?.map_err(|error| failed(&error))
    }
}

async fn carry_out(request: RequestBuilder, told: &SyncSender<reqwest::Result<Answer>>) {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return told.send(Err(error)).unwrap_or_default(),
    };
    let kind =
        response.headers().get(CONTENT_TYPE).and_then(|kind| Some(kind.to_str().ok()?.to_owned()));
    let (give, pieces) = sync_channel(AHEAD);
    let body = Body { pieces, rest: Bytes::new() };
    let answer = Answer { url: response.url().clone(), status: response.status(), kind, body };
    let mut wanted = told.send(Ok(answer)).is_ok();
    while wanted {
        let piece = response.chunk().await.map_err(|error| io::Error::other(https::reason(&error)));
        wanted = piece.transpose().is_some_and(|piece| give.send(piece).is_ok());
    }
}

/// Parses the configured proxy. Its password is never shown.
fn proxy(named: &str) -> Result<Proxy, git2::Error> {
    let unfit = |why: &str| net(format!("the proxy of git's configuration cannot be used: {why}"));
    let address = if named.contains("://") { named } else { &format!("http://{named}") };
    let url = Url::parse(address).map_err(|error| unfit(&error.to_string()))?;
    if !PROXIES.contains(&url.scheme()) {
        return Err(unfit(&format!("`{}` is none of {}", url.scheme(), PROXIES.join(", "))));
    }
    let proxy = Proxy::all(url).map_err(|error| unfit(&https::reason(&error)))?;
    Ok(proxy.no_proxy(NoProxy::from_env()))
}

fn failed(error: &reqwest::Error) -> git2::Error {
    let code =
        if https::untrusted(error) { ErrorCode::Certificate } else { ErrorCode::GenericError };
    git2::Error::new(code, ErrorClass::Http, https::reason(error))
}

fn net(what: impl AsRef<str>) -> git2::Error {
    git2::Error::new(ErrorCode::GenericError, ErrorClass::Net, what)
}
