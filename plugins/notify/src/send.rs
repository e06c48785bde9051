//! Sends a request through WASI's HTTP. The host decides which addresses can be reached.

use std::io::Write;

use wasip2::http::outgoing_handler::{ErrorCode, handle};
use wasip2::http::types::{
    Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

use crate::post::Post;

/// Timeouts in nanoseconds. Together they are shorter than the time limit of a call.
const LONGEST_CONNECT: u64 = 4_000_000_000;
const LONGEST_SILENCE: u64 = 5_000_000_000;

/// Sends a request and checks the status of the response, whose body is not read. Errors omit the
/// path, because a webhook's path is a secret.
pub fn send(post: &Post) -> Result<(), String> {
    let failed = |what: &str| format!("could not post to {}: {what}", post.authority);
    let request = request(post).ok_or_else(|| failed("the request is invalid"))?;
    let body = request.body().map_err(|()| failed("the request has no body"))?;
    let answer = handle(request, options()).map_err(|code| failed(&describe(&code)))?;
    // A server may answer before it has read everything.
    let written = write(body, &post.body);
    let status = status(&answer).map_err(|code| failed(&describe(&code)))?;
    match status {
        200..300 => written.map_err(|error| failed(&error)),
        _ => Err(failed(&format!("the server answered {status}"))),
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
    OutgoingBody::finish(body, None).map_err(|code| describe(&code))
}

fn status(answer: &FutureIncomingResponse) -> Result<u16, ErrorCode> {
    answer.subscribe().block();
    let unanswered = || ErrorCode::InternalError(Some("no answer".to_owned()));
    let response = answer.get().and_then(Result::ok).ok_or_else(unanswered)??;
    Ok(response.status())
}

fn describe(code: &ErrorCode) -> String {
    match code {
        ErrorCode::HttpRequestDenied => {
            "the host is not granted (`http`), or plugins may not connect to its address".to_owned()
        }
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => {
            "the host name could not be resolved".to_owned()
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::HttpResponseTimeout => "the server did not answer in time".to_owned(),
        ErrorCode::ConnectionRefused => "connection refused".to_owned(),
        ErrorCode::InternalError(Some(what)) => what.clone(),
        other => format!("{other:?}"),
    }
}
