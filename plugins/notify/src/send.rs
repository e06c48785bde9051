//! Sending a request by WASI's HTTP. What may be reached, the host decides.

use std::io::Write;

use wasip2::http::outgoing_handler::{ErrorCode, handle};
use wasip2::http::types::{
    Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

use crate::post::Post;

/// In nanoseconds; both together are less than a call may take.
const LONGEST_CONNECT: u64 = 4_000_000_000;
const LONGEST_SILENCE: u64 = 5_000_000_000;

/// Sends it; what the server says beyond its status is not read. Paths are not shown in errors: those of webhooks are secrets.
pub fn send(post: &Post) -> Result<(), String> {
    let failed = |what: &str| format!("could not post to {}: {what}", post.authority);
    let request = request(post).ok_or_else(|| failed("the request cannot be made"))?;
    let body = request.body().map_err(|()| failed("the request has no body"))?;
    let answer = handle(request, options()).map_err(|code| failed(&told(&code)))?;
    // A server may answer before it has read everything.
    let written = write(body, &post.body);
    let status = status(&answer).map_err(|code| failed(&told(&code)))?;
    match status {
        200..300 => written.map_err(|error| failed(&error)),
        _ => Err(failed(&format!("it answered {status}"))),
    }
}

fn request(post: &Post) -> Option<OutgoingRequest> {
    let headers = Fields::new();
    headers.append("content-type", b"application/json").ok()?;
    headers.append("content-length", post.body.len().to_string().as_bytes()).ok()?;
    headers
        .append("user-agent", concat!("cowhand-notify/", env!("CARGO_PKG_VERSION")).as_bytes())
        .ok()?;
    if let Some(token) = &post.token {
        headers.append("authorization", format!("Bearer {token}").as_bytes()).ok()?;
    }
    let request = OutgoingRequest::new(headers);
    request.set_method(if post.put { &Method::Put } else { &Method::Post }).ok()?;
    request.set_scheme(Some(if post.secure { &Scheme::Https } else { &Scheme::Http })).ok()?;
    request.set_authority(Some(&post.authority)).ok()?;
    request.set_path_with_query(Some(&post.path)).ok()?;
    Some(request)
}

fn options() -> Option<RequestOptions> {
    let options = RequestOptions::new();
    options.set_connect_timeout(Some(LONGEST_CONNECT)).ok()?;
    options.set_first_byte_timeout(Some(LONGEST_SILENCE)).ok()?;
    Some(options)
}

fn write(body: OutgoingBody, content: &[u8]) -> Result<(), String> {
    let mut stream = body.write().map_err(|()| "the request's body is closed".to_owned())?;
    stream
        .write_all(content)
        .and_then(|()| Write::flush(&mut stream))
        .map_err(|error| error.to_string())?;
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|code| told(&code))
}

fn status(answer: &FutureIncomingResponse) -> Result<u16, ErrorCode> {
    answer.subscribe().block();
    let unanswered = || ErrorCode::InternalError(Some("no answer".to_owned()));
    let response = answer.get().and_then(Result::ok).ok_or_else(unanswered)??;
    Ok(response.status())
}

fn told(code: &ErrorCode) -> String {
    match code {
        ErrorCode::HttpRequestDenied => {
            "the host is not granted (`http`), or its address is closed to plugins".to_owned()
        }
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => "its name cannot be resolved".to_owned(),
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout => "it does not answer in time".to_owned(),
        ErrorCode::ConnectionRefused => "it refuses the connection".to_owned(),
        ErrorCode::InternalError(Some(what)) => what.clone(),
        other => format!("{other:?}"),
    }
}
