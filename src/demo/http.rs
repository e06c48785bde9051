//! An upstream as sites have it: repositories served over http by git's own `http-backend`, behind
//! a small server on loopback.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use crate::error::{Context, Result};

/// Serves the repositories below `folder` until this process ends: `http://127.0.0.1:PORT`.
pub fn serve(folder: &Path) -> Result<String> {
    let doing = "could not serve repositories over http";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).what(doing)?;
    let port = listener.local_addr().what(doing)?.port();
    let folder = folder.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            thread::spawn(move || answer(stream, &folder));
        }
    });
    Ok(format!("http://127.0.0.1:{port}"))
}

/// Answers one client's requests until it has no more.
pub fn answer(stream: impl Read + Write, folder: &Path) {
    let mut stream = BufReader::new(stream);
    while let Some(answered) =
        Request::read(&mut stream).and_then(|request| request.ask_git(folder))
    {
        if stream.get_mut().write_all(&answered).is_err() {
            return;
        }
    }
}

/// A client's request.
pub struct Request {
    method: String,
    /// The part before the query, or a proxy's target host and port.
    pub path: String,
    /// The query.
    pub query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection. `None` at its end.
    pub fn read(stream: &mut impl BufRead) -> Option<Self> {
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
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: Vec::new(),
        };
        request.body = request.read_body(stream)?;
        Some(request)
    }

    fn read_body(&self, stream: &mut impl BufRead) -> Option<Vec<u8>> {
        if self
            .header("transfer-encoding")
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("chunked"))
        {
            return read_chunks(stream);
        }
        let mut body =
            vec![
                0;
                self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
            ];
        stream.read_exact(&mut body).ok()?;
        Some(body)
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the response of `git http-backend`, as HTTP.
    pub fn ask_git(&self, folder: &Path) -> Option<Vec<u8>> {
        let mut backend = Command::new("git");
        backend.arg("http-backend").env("GIT_PROJECT_ROOT", folder).env("GIT_HTTP_EXPORT_ALL", "1");
        backend
            .env("REQUEST_METHOD", &self.method)
            .env("PATH_INFO", &self.path)
            .env("QUERY_STRING", &self.query);
        backend.env("CONTENT_LENGTH", self.body.len().to_string());
        for (variable, header) in [
            ("CONTENT_TYPE", "content-type"),
            ("HTTP_CONTENT_ENCODING", "content-encoding"),
            ("GIT_PROTOCOL", "git-protocol"),
        ] {
            backend.envs(self.header(header).map(|value| (variable, value)));
        }
        backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut backend = backend.spawn().ok()?;
        backend.stdin.take()?.write_all(&self.body).ok()?;
        let answered = backend.wait_with_output().ok()?.stdout;
        let end = answered.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (headers, body) = (String::from_utf8_lossy(&answered[..end]), &answered[end + 4..]);
        let status =
            headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
        let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
        for line in headers.lines().filter(|line| !line.starts_with("Status: ")) {
            let _ = write!(head, "{line}\r\n");
        }
        Some([format!("{head}\r\n").as_bytes(), body].concat())
    }
}

/// A body in chunks: each with its length before it, the last one empty.
fn read_chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        stream.read_exact(&mut chunk).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}
