//! Reaches out through WASI.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingResponse, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

use crate::bindings::cowhand::hooks::blobs::Blob;

/// Opens handles and never closes them.
pub fn open_handles() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(wasip2::clocks::monotonic_clock::subscribe_duration(1));
    }
}

/// Endlessly requests what is refused: sockets, or a host with a name that is too long.
pub fn beg(what: &str) -> ! {
    let host = format!("http://{}/", "a".repeat(8_000));
    loop {
        match what {
            "sockets" => drop(std::net::TcpStream::connect("127.0.0.1:80")),
            _ => drop(request(&host)),
        }
    }
}

/// Returns the number of addresses of a name.
pub fn look_up(name: &str) -> Result<usize, String> {
    use std::net::ToSocketAddrs as _;
    (name, 80).to_socket_addrs().map(Iterator::count).map_err(|error| error.to_string())
}

/// Reads a side of a conflict that it was not given.
pub fn forge() -> Result<usize, String> {
    // SAFETY: the handle is forged on purpose: the host has to notice. It is never dropped.
    let blob = std::mem::ManuallyDrop::new(unsafe { Blob::from_handle(1) });
    blob.read().map(|content| content.len())
}

/// Requests a URL, follows one redirect, and returns the last status.
pub fn follow(url: &str) -> Result<u16, String> {
    let response = request(url)?;
    match response.headers().get("location").first() {
        Some(place) => request(&String::from_utf8_lossy(place)).map(|response| response.status()),
        None => Ok(response.status()),
    }
}

/// Requests a URL and returns the status and the beginning of the body.
pub fn get(url: &str) -> Result<(u16, String), String> {
    let response = request(url)?;
    Ok((response.status(), beginning(&response)?))
}

fn request(url: &str) -> Result<IncomingResponse, String> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let request = OutgoingRequest::new(Fields::new());
    request
        .set_scheme(Some(if scheme == "http" { &Scheme::Http } else { &Scheme::Https }))
        .unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(&format!("/{path}"))).unwrap();
    let answer = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    answer.subscribe().block();
    answer.get().unwrap().unwrap().map_err(|code| format!("{code:?}"))
}

fn beginning(response: &IncomingResponse) -> Result<String, String> {
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(failed) => return Err(format!("{failed:?}")),
        }
    }
    all.truncate(100);
    Ok(String::from_utf8_lossy(&all).into_owned())
}
