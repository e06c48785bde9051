//! The plugin's settings, as written and as used.

use serde::Deserialize;

/// `[plugin.config]`
#[derive(Debug)]
pub struct Settings {
    /// The webhook. `None` if nothing is posted.
    pub hook: Option<Hook>,
    /// The outcomes to post.
    pub when: When,
    /// The commands whose outcomes are posted.
    pub commands: Vec<String>,
    /// The site's name in notices. `None` for its directory.
    pub site: Option<String>,
    token: Option<String>,
    token_env: Option<String>,
}

/// A webhook and its format.
#[derive(Debug)]
pub struct Hook {
    /// The webhook's URL; for Matrix, the home server's.
    pub url: http::Uri,
    /// The format.
    pub shape: Shape,
}

/// The format of a post.
#[derive(Debug)]
pub enum Shape {
    /// The event `outcome` as it is.
    Json,
    /// For ntfy.
    Ntfy,
    /// For Slack, Mattermost and Rocket.Chat.
    Slack,
    /// A message to this Matrix room.
    Matrix(String),
}

/// The outcomes to post.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Every outcome.
    Always,
    /// Only failed runs.
    Failure,
}

/// The settings as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    url: Option<String>,
    format: Format,
    room: Option<String>,
    when: When,
    commands: Vec<String>,
    site: Option<String>,
    token: Option<String>,
    token_env: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Json,
    Ntfy,
    Slack,
    Matrix,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            url: None,
            format: Format::Json,
            room: None,
            when: When::Always,
            commands: ["update", "resume", "rollback"].map(str::to_owned).to_vec(),
            site: None,
            token: None,
            token_env: None,
        }
    }
}

/// Reads the settings.
pub fn read(json: &str) -> Result<Settings, String> {
    let text: Text = guest::settings(json)?;
    if text.token.is_some() && text.token_env.is_some() {
        return Err("[plugin.config]: `token` and `token-env` cannot be combined".to_owned());
    }
    let shape = shape(text.format, text.room)?;
    let hook =
        text.url.map(|url| Ok::<_, String>(Hook { url: address(&url)?, shape })).transpose()?;
    let Text { when, commands, site, token, token_env, .. } = text;
    Ok(Settings { hook, when, commands, site, token, token_env })
}

fn shape(format: Format, room: Option<String>) -> Result<Shape, String> {
    match (format, room) {
        (Format::Matrix, Some(room)) => Ok(Shape::Matrix(room)),
        (Format::Matrix, None) => {
            Err("[plugin.config]: the format `matrix` needs a `room` (`!…:…`)".to_owned())
        }
        (_, Some(_)) => {
            Err("[plugin.config]: `room` is only valid with the format `matrix`".to_owned())
        }
        (Format::Json, None) => Ok(Shape::Json),
        (Format::Ntfy, None) => Ok(Shape::Ntfy),
        (Format::Slack, None) => Ok(Shape::Slack),
    }
}

/// Parses the URL. Errors omit it, because a webhook's URL is a secret.
fn address(url: &str) -> Result<http::Uri, String> {
    let wrong =
        || "[plugin.config]: `url` must begin with https:// or http:// and name a host".to_owned();
    let url: http::Uri = url.parse().map_err(|_| wrong())?;
    let known = matches!(url.scheme_str(), Some("https" | "http"));
    if known && url.host().is_some_and(|host| !host.is_empty()) { Ok(url) } else { Err(wrong()) }
}

impl Settings {
    /// Returns the token for the webhook, if any.
    pub fn token(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, String> {
        let Some(name) = &self.token_env else { return Ok(self.token.clone()) };
        let missing = || {
            format!(
                "the environment variable {name} is not set, or not granted (`env = [{name:?}]`)"
            )
        };
        variable(name).map(Some).ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let mistakes = [
            (r#"{"uri": "https://example.org"}"#, "did you mean `url`?"),
            (r#"{"format": "slak"}"#, "did you mean `slack`?"),
            (r#"{"url": "example.org/hook"}"#, "must begin with https://"),
            (r#"{"url": "ftp://example.org/hook"}"#, "must begin with https://"),
            (r#"{"format": "matrix"}"#, "needs a `room`"),
            (r#"{"room": "!a:example.org"}"#, "only valid with the format `matrix`"),
            (r#"{"token": "a", "token-env": "B"}"#, "cannot be combined"),
        ];
        for (json, expected) in mistakes {
            let error = read(json).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_webhook_s_address_is_not_in_the_error() {
        assert!(!read(r#"{"url": "hooks.example.org/secret"}"#).unwrap_err().contains("secret"));
    }

    #[test]
    fn a_token_comes_from_the_settings_or_the_environment() {
        let token = |json: &str| {
            read(json).unwrap().token(|name| (name == "TOKEN").then(|| "secret".to_owned()))
        };
        assert_eq!(token("{}"), Ok(None));
        assert_eq!(token(r#"{"token": "own"}"#), Ok(Some("own".to_owned())));
        assert_eq!(token(r#"{"token-env": "TOKEN"}"#), Ok(Some("secret".to_owned())));
        assert!(token(r#"{"token-env": "OTHER"}"#).is_err_and(|error| error.contains("OTHER")));
    }
}
