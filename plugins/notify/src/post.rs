//! Formats a notice for a webhook.

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use serde_json::json;

use crate::notice::{Notice, Severity};
use crate::settings::{Hook, Shape};

/// A request to send.
#[derive(Debug, PartialEq)]
pub struct Post {
    /// True for https.
    pub secure: bool,
    /// Host and, if given, port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// True for PUT, false for POST.
    pub put: bool,
    /// The token for the header `Authorization`.
    pub token: Option<String>,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// Creates the request for a notice.
pub fn post(hook: &Hook, token: Option<String>, notice: &Notice) -> Result<Post, String> {
    let Hook { url, shape } = hook;
    let path = url.path_and_query().map_or("/", PathAndQuery::as_str);
    let text = || notice.lines.join("\n");
    let (path, body) = match shape {
        Shape::Json => (path.to_owned(), notice.data.clone()),
        Shape::Slack => (
            path.to_owned(),
            json!({"text": format!("*{}*\n{}", slack(&notice.title), slack(&text()))}),
        ),
        Shape::Ntfy => {
            let (folder, topic) = topic(url)?;
            let (priority, tag) = ntfy(notice.severity);
            let body = json!({
                "topic": topic,
                "title": notice.title,
                "message": text(),
                "priority": priority,
                "tags": [tag],
            });
            (folder, body)
        }
        Shape::Matrix(room) => {
            let body =
                json!({"msgtype": "m.text", "body": format!("{}\n{}", notice.title, text())});
            (matrix(url, room, &notice.key), body)
        }
    };
    Ok(Post {
        secure: url.scheme() == Some(&Scheme::HTTPS),
        authority: url.authority().map(ToString::to_string).unwrap_or_default(),
        path,
        put: matches!(shape, Shape::Matrix(_)),
        token,
        body: body.to_string().into_bytes(),
    })
}

/// Splits off the topic: ntfy expects JSON at the URL above it.
fn topic(url: &Uri) -> Result<(String, &str), String> {
    match url.path().rsplit_once('/') {
        Some((folder, topic)) if !topic.is_empty() => Ok((format!("{folder}/"), topic)),
        _ => {
            Err("[plugin.config]: for the format `ntfy`, `url` must end with the topic".to_owned())
        }
    }
}

fn ntfy(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Good => (3, "white_check_mark"),
        Severity::Bad => (4, "warning"),
        Severity::Urgent => (5, "rotating_light"),
    }
}

/// Escapes the three characters that Slack reads as markup.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns the path for a message. Matrix accepts a message with the same key only once.
fn matrix(url: &Uri, room: &str, key: &str) -> String {
    let base = url.path().trim_end_matches('/');
    format!("{base}/_matrix/client/v3/rooms/{}/send/m.room.message/{}", encoded(room), encoded(key))
}

/// Percent-encodes a path segment.
fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    part.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    fn posted(json: &str) -> (Post, serde_json::Value) {
        let notice = Notice {
            title: "mail & more update: prepare".to_owned(),
            lines: vec!["pulling failed".to_owned(), "because <500>".to_owned()],
            severity: Severity::Bad,
            key: "2026-11-04T12:00:00Z-13".to_owned(),
            data: json!({"event": "outcome", "code": 13}),
        };
        let settings = settings::read(json).unwrap();
        let post = post(settings.hook.as_ref().unwrap(), None, &notice).unwrap();
        let body = serde_json::from_slice(&post.body).unwrap();
        (post, body)
    }

    #[test]
    fn plain_json_is_the_outcome() {
        let (post, body) = posted(r#"{"url": "https://hooks.example.org:8443/a?b=c"}"#);
        assert_eq!((post.secure, post.put), (true, false));
        assert_eq!(
            (post.authority.as_str(), post.path.as_str()),
            ("hooks.example.org:8443", "/a?b=c")
        );
        assert_eq!(body, json!({"event": "outcome", "code": 13}));
    }

    #[test]
    fn ntfy_gets_topic_priority_and_tag() {
        let (post, body) =
            posted(r#"{"url": "http://ntfy.example.org/sub/mail", "format": "ntfy"}"#);
        assert_eq!((post.secure, post.path.as_str()), (false, "/sub/"));
        let message = "pulling failed\nbecause <500>";
        let title = "mail & more update: prepare";
        assert_eq!(
            body,
            json!({
                "topic": "mail",
                "title": title,
                "message": message,
                "priority": 4,
                "tags": ["warning"],
            })
        );
    }

    #[test]
    fn ntfy_needs_a_topic() {
        let settings = settings::read(r#"{"url": "https://ntfy.sh", "format": "ntfy"}"#).unwrap();
        assert!(topic(&settings.hook.unwrap().url).is_err());
    }

    #[test]
    fn slack_s_markup_is_escaped() {
        let (_, body) =
            posted(r#"{"url": "https://hooks.slack.com/services/a/b", "format": "slack"}"#);
        assert_eq!(
            body,
            json!({
                "text": "*mail &amp; more update: prepare*\npulling failed\nbecause &lt;500&gt;",
            })
        );
    }

    #[test]
    fn matrix_gets_the_room_and_a_key() {
        let (post, body) = posted(
            r#"{"url": "https://matrix.example.org/", "format": "matrix",
                "room": "!a/b:example.org"}"#,
        );
        let path = "/_matrix/client/v3/rooms/%21a%2Fb%3Aexample.org/send/m.room.message/\
                    2026-11-04T12%3A00%3A00Z-13";
        assert_eq!((post.put, post.path.as_str()), (true, path));
        assert_eq!(body["msgtype"], "m.text");
    }
}
