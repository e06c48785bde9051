//! An upstream as sites have it: a repository served over https, by git's own `http-backend` behind a small server on loopback.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::history::git;

/// What Debian trusts: whoever checks a certificate reads this much.
const TRUSTED: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A folder of repositories, served until this process ends.
pub struct Https {
    /// `https://localhost:PORT`
    pub url: String,
    /// What this machine trusts, and the server's certificate.
    pub trusted: PathBuf,
}

impl Https {
    /// Serves the repositories below `folder`; puts the certificates there too.
    pub fn serve(folder: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let trusted = folder.join("trusted.pem");
        std::fs::write(&trusted, std::fs::read_to_string(TRUSTED).unwrap_or_default() + &made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let (config, listener) = (Arc::new(config), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let served = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, served) = (Arc::clone(&config), served.clone());
                std::thread::spawn(move || {
                    answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &served);
                });
            }
        });
        Self { url, trusted }
    }
}

/// Requests until the client has no more.
fn answer(stream: StreamOwned<ServerConnection, TcpStream>, folder: &Path) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Request::read(&mut stream) {
        if stream.get_mut().write_all(&request.ask_git(folder)).is_err() {
            return;
        }
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut words = line.split_whitespace();
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut request = Self { method, path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() };
        let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// What `git http-backend` answers, as HTTP.
    fn ask_git(&self, folder: &Path) -> Vec<u8> {
        let mut backend = Command::new("git");
        backend.arg("http-backend").env("GIT_PROJECT_ROOT", folder).env("GIT_HTTP_EXPORT_ALL", "1");
        backend.env("REQUEST_METHOD", &self.method).env("PATH_INFO", &self.path).env("QUERY_STRING", &self.query);
        for (variable, header) in [
            ("CONTENT_TYPE", "content-type"),
            ("CONTENT_LENGTH", "content-length"),
            ("HTTP_CONTENT_ENCODING", "content-encoding"),
            ("GIT_PROTOCOL", "git-protocol"),
        ] {
            backend.envs(self.header(header).map(|value| (variable, value)));
        }
        let mut backend = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        backend.stdin.take().unwrap().write_all(&self.body).unwrap();
        let answered = backend.wait_with_output().unwrap().stdout;
        let end = answered.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let (headers, body) = (String::from_utf8_lossy(&answered[..end]), &answered[end + 4..]);
        let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for line in headers.lines().filter(|line| !line.starts_with("Status: ")) {
            let _ = write!(head, "{line}\r\n");
        }
        [format!("{head}\r\n").as_bytes(), body].concat()
    }
}

/// A bare copy of the repository at `from`, to be served.
pub fn publish(from: &str, folder: &Path, name: &str) {
    git(folder, &["clone", "--quiet", "--bare", from, name]);
}
