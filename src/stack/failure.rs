//! Errors of the engine and of registries: their text, and which of them are temporary.

use std::error::Error as _;
use std::io::ErrorKind;
use std::time::Duration;

use bollard::errors::Error as EngineError;

/// Returns the error's text as the engine or the registry wrote it.
pub fn words(error: &EngineError) -> String {
    match error {
        EngineError::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        EngineError::DockerStreamError { error } => error.trim().to_owned(),
        EngineError::RequestTimeoutError => "no answer from the engine in time".to_owned(),
        other => {
            let mut text = other.to_string();
            let mut source = other.source();
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text = format!("{text}: {cause_text}");
                }
                source = cause.source();
            }
            text
        }
    }
}

/// Returns the kind of the underlying I/O error; `None` if there is none.
pub fn kind(error: &EngineError) -> Option<ErrorKind> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = cause.source();
    }
    None
}

/// Returns true if the engine answered "not found".
pub fn not_found(error: &EngineError) -> bool {
    matches!(error, EngineError::DockerResponseServerError { status_code: 404, .. })
}

/// Returns true if a retry may succeed: connections and servers recover; refusals and missing
/// objects do not.
pub fn may_pass(error: &EngineError) -> bool {
    match error {
        EngineError::DockerResponseServerError { status_code, message } => {
            *status_code >= 500 && words_may_pass(message)
        }
        EngineError::DockerStreamError { error } => words_may_pass(error),
        EngineError::RequestTimeoutError
        | EngineError::IOError { .. }
        | EngineError::HyperResponseError { .. }
        | EngineError::HyperLegacyError { .. } => true,
        _ => false,
    }
}

/// An error that Engine 20.10 occasionally reports when images with shared layers are pulled in
/// parallel. A retry succeeds.
pub const LOST_LEASE: &str = "error adding content digest to lease";

/// Returns true if the text describes a temporary failure. The engine passes a registry's answer
/// on as text only, so the words must tell a refusal from a failure.
fn words_may_pass(text: &str) -> bool {
    const FINAL: &[&str] = &[
        "not found",
        "manifest unknown",
        "name unknown",
        "does not exist",
        "denied",
        "unauthorized",
        "no basic auth credentials",
        "authentication required",
        "invalid reference",
        "invalid repository",
        "no matching manifest",
        "no space left",
        "not a valid",
        "unsupported",
        "server gave http response to https client",
        "x509:",
    ];
    let text = text.to_lowercase();
    // For hosts and leases "not found" is temporary.
    text.contains("no such host")
        || text.contains(LOST_LEASE)
        || !FINAL.iter().any(|word| text.contains(word))
}

/// The pauses between retries of temporary failures.
pub const PAUSES: &[Duration] =
    &[Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9)];

/// Retries `attempt` after each of the `pauses` while it fails temporarily. Calls `retrying` with
/// each failure but the last.
pub async fn patiently<T>(
    pauses: &[Duration],
    mut attempt: impl AsyncFnMut() -> Result<T, EngineError>,
    mut retrying: impl FnMut(&EngineError, Duration),
) -> Result<T, EngineError> {
    let mut pauses = pauses.iter();
    loop {
        match attempt().await {
            Err(error) if may_pass(&error) => match pauses.next() {
                Some(pause) => {
                    retrying(&error, *pause);
                    tokio::time::sleep(*pause).await;
                }
                None => return Err(error),
            },
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_final_and_failures_may_pass() {
        let cases = [
            (404, "manifest for a:1 not found: manifest unknown: manifest unknown", false),
            (500, "Get \"https://r/v2/\": unauthorized: authentication required", false),
            (
                403,
                "pull access denied for x, repository does not exist or may require 'docker login'",
                false,
            ),
            (500, "received unexpected HTTP status: 500 Internal Server Error", true),
            (
                500,
                "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
                true,
            ),
            (500, "dial tcp: lookup ghcr.io: no such host", true),
            (500, "net/http: TLS handshake timeout", true),
            (
                500,
                "error adding content digest to lease: sha256:9: lease \"moby-image-sha256:a\": not found",
                true,
            ),
            (500, "write /var/lib/docker/tmp/x: no space left on device", false),
        ];
        for (status_code, message, expected) in cases {
            let message = message.to_owned();
            let error = EngineError::DockerResponseServerError { status_code, message };
            assert_eq!(may_pass(&error), expected, "{error}");
        }
        assert!(may_pass(&EngineError::RequestTimeoutError));
    }

    #[test]
    fn attempts_end_with_the_pauses_or_with_a_final_error() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let attempts = |text: &str| {
            let mut count = 0;
            let attempt = async || -> Result<(), EngineError> {
                count += 1;
                Err(EngineError::DockerStreamError { error: text.to_owned() })
            };
            let _ =
                runtime.block_on(patiently(&[Duration::ZERO, Duration::ZERO], attempt, |_, _| {}));
            count
        };
        assert_eq!(attempts("connection reset by peer"), 3);
        assert_eq!(attempts("manifest unknown"), 1);
    }
}
