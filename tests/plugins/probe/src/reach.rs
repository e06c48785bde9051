//! Reaching out through WASI.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingResponse, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// Opens handles and never closes them.
pub fn open_handles() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(wasip2::clocks::monotonic_clock::subscribe_duration(1));
    }
}

/// Requests a URL: the status, and the beginning of the body.
pub fn get(url: &str) -> Result<(u16, String), String> {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap();
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(if scheme == "http" { &Scheme::Http } else { &Scheme::Https })).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(&format!("/{path}"))).unwrap();
    let answer = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    answer.subscribe().block();
    let response = answer.get().unwrap().unwrap().map_err(|code| format!("{code:?}"))?;
    Ok((response.status(), beginning(&response)?))
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
