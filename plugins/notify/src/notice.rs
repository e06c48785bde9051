//! Turns events into a notice.

use serde::Deserialize;
use serde_json::Value;

use crate::settings::{Settings, When};

/// The events that this plugin uses.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event.
    Start(Start),
    /// The last event.
    Outcome(Outcome),
    /// Any other event.
    #[serde(other)]
    Other,
}

/// The beginning of a run.
#[derive(Debug, Deserialize)]
pub struct Start {
    /// `update`, ….
    command: String,
    /// The site's directory.
    site: String,
    /// The time.
    at: String,
}

/// The end of a run.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    code: u8,
    exit: String,
    message: String,
    #[serde(default)]
    because: Vec<String>,
    left: Option<String>,
    #[serde(default)]
    hints: Vec<String>,
    run: Option<String>,
    /// The whole event.
    #[serde(skip)]
    whole: Value,
}

/// A message about a run.
#[derive(Debug, PartialEq)]
pub struct Notice {
    /// The site, the command and the outcome in a few words.
    pub title: String,
    /// The rest, line by line.
    pub lines: Vec<String>,
    /// The severity.
    pub severity: Severity,
    /// The same each time the outcome of one run is sent, so that a repetition is recognized.
    pub key: String,
    /// The outcome as JSON, with command and site.
    pub data: Value,
}

/// The severity of an outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Severity {
    /// Done.
    Good,
    /// Not done; the site works as before.
    Bad,
    /// The site needs attention now.
    Urgent,
}

/// Reads an event.
pub fn read(json: &str) -> Result<Event, String> {
    let wrong = |error| format!("invalid event: {error}");
    let mut event = serde_json::from_str(json).map_err(wrong)?;
    if let Event::Outcome(outcome) = &mut event {
        outcome.whole = serde_json::from_str(json).map_err(wrong)?;
    }
    Ok(event)
}

/// Returns true if an outcome is to be posted. The filter by command applies only if this instance
/// saw the run's start.
pub fn is_wanted(settings: &Settings, start: Option<&Start>, outcome: &Outcome) -> bool {
    let command = start.is_none_or(|start| settings.commands.contains(&start.command));
    command && (settings.when == When::Always || outcome.severity() != Severity::Good)
}

impl Outcome {
    fn severity(&self) -> Severity {
        match self.code {
            0 | 3 => Severity::Good,
            // Broken, unhealthy, unfinished.
            21..=23 => Severity::Urgent,
            _ => Severity::Bad,
        }
    }
}

/// Creates the notice of an outcome.
pub fn notice(settings: &Settings, start: Option<Start>, outcome: Outcome) -> Notice {
    let severity = outcome.severity();
    let Outcome { code, exit, message, because, left, hints, run, whole } = outcome;
    let (command, folder, at) =
        start.map_or_else(Default::default, |start| (start.command, start.site, start.at));
    let site = settings.site.clone().unwrap_or(folder);
    let named: Vec<_> =
        [site.as_str(), command.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
    let title = format!(
        "{}: {exit}",
        if named.is_empty() { "cowhand".to_owned() } else { named.join(" ") }
    );
    let because = because.into_iter().map(|why| format!("because {why}"));
    let key = format!("{}-{code}", run.unwrap_or(at));
    let mut data = whole;
    data["site"] = site.into();
    data["command"] = command.into();
    let lines = std::iter::once(message).chain(because).chain(left).chain(hints).collect();
    Notice { title, lines, severity, key, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    const START: &str = r#"{"event": "start", "schema": 1, "command": "update", "version": "0.1.0",
        "site": "/opt/mailcow", "run": null, "at": "2026-11-04T12:00:00Z"}"#;
    const FAILED: &str = r#"{"event": "outcome", "code": 13, "exit": "prepare",
        "message": "pulling sogo failed", "because": ["the registry answered 500"],
        "left": "Nothing changed.", "hints": ["Try again later."], "run": "42"}"#;

    fn start() -> Start {
        match read(START).unwrap() {
            Event::Start(start) => start,
            other => panic!("{other:?}"),
        }
    }

    fn outcome(json: &str) -> Outcome {
        match read(json).unwrap() {
            Event::Outcome(outcome) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn coded(code: u8) -> Outcome {
        outcome(&format!(
            r#"{{"event": "outcome", "code": {code}, "exit": "x", "message": "m", "new-key": 1}}"#
        ))
    }

    #[test]
    fn a_notice_of_a_failure_has_its_hints() {
        let notice = notice(&settings::read("{}").unwrap(), Some(start()), outcome(FAILED));
        assert_eq!(notice.title, "/opt/mailcow update: prepare");
        let lines = [
            "pulling sogo failed",
            "because the registry answered 500",
            "Nothing changed.",
            "Try again later.",
        ];
        assert_eq!(
            (notice.lines, notice.severity, notice.key),
            (lines.map(str::to_owned).to_vec(), Severity::Bad, "42-13".to_owned())
        );
        assert_eq!(
            (&notice.data["site"], &notice.data["code"]),
            (&"/opt/mailcow".into(), &13.into())
        );
    }

    #[test]
    fn the_site_has_its_configured_name() {
        let settings = settings::read(r#"{"site": "mail.example.org"}"#).unwrap();
        assert_eq!(notice(&settings, None, coded(0)).title, "mail.example.org: x");
        assert_eq!(notice(&settings::read("{}").unwrap(), None, coded(0)).title, "cowhand: x");
    }

    #[test]
    fn success_is_posted_unless_only_failure_is_wanted() {
        let (always, failure) =
            (settings::read("{}").unwrap(), settings::read(r#"{"when": "failure"}"#).unwrap());
        assert!(
            is_wanted(&always, Some(&start()), &coded(0))
                && !is_wanted(&failure, Some(&start()), &coded(0))
        );
        assert!(
            is_wanted(&failure, Some(&start()), &coded(21)) && is_wanted(&failure, None, &coded(1))
        );
    }

    #[test]
    fn other_commands_are_not_posted() {
        let settings = settings::read(r#"{"commands": ["prune"]}"#).unwrap();
        assert!(!is_wanted(&settings, Some(&start()), &coded(1)));
    }

    #[test]
    fn other_events_are_ignored() {
        assert!(matches!(read(r#"{"event": "stage", "stage": "merge"}"#), Ok(Event::Other)));
        assert!(matches!(read(r#"{"event": "something-new"}"#), Ok(Event::Other)));
        assert!(read("{}").is_err());
    }
}
