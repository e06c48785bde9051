//! The interruptions of a project's services, and their durations, from the engine's events.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::process::Daemon;

/// The time limit for the engine to report events.
const PATIENCE: Duration = Duration::from_secs(20);

/// Listens to the engine from its beginning to [`Watch::end`]: the engine itself remembers too few
/// events to be asked afterwards.
pub struct Watch<'a> {
    engine: &'a Engine,
    project: String,
    log: PathBuf,
    _listener: Daemon,
}

/// The interruptions of a service. A replaced or restarted container counts as the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of times its container ended.
    pub ends: u32,
    /// For how long, in all, it had no running container before it had one again.
    pub gone: Duration,
    /// When its container last ended and was last started, by the engine's clock, since 1970.
    pub ended: Option<Duration>,
    /// See `ended`.
    pub started: Option<Duration>,
}

impl Seen {
    /// Returns true if it ended and is back.
    pub fn is_interrupted(&self) -> bool {
        self.ends > 0 && self.started > self.ended
    }
}

impl<'a> Watch<'a> {
    /// Begins to listen.
    pub fn begin(engine: &'a Engine, project: &str) -> Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let folder = super::folder("events")?;
        let log = folder.join("log");
        let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let listen = engine.docker().args(["events", "--format", "{{json .}}", "--since", &since]);
        let listener = listen.start(&folder, &log)?;
        Ok(Self { engine, project: project.to_owned(), log, _listener: listener })
    }

    /// Ends it, and gives what happened by service; those to which nothing happened are not among
    /// them.
    pub fn end(self) -> Result<BTreeMap<String, Seen>> {
        // The engine reports in order: after this event, all earlier ones have been reported.
        let last = self.engine.lines(&["volume", "create"])?.pop().unwrap_or_default();
        self.engine.lines(&["volume", "rm", &last])?;
        let since = std::time::Instant::now();
        loop {
            let told =
                std::fs::read_to_string(&self.log).what("could not read what the engine told")?;
            if told.contains(&last) {
                return Ok(read(&told, &self.project));
            }
            if since.elapsed() > PATIENCE {
                return Err(Error::new("the engine does not tell what happened").because(told));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The events of one project's services, from `docker events`, one JSON object a line.
fn read(told: &str, project: &str) -> BTreeMap<String, Seen> {
    let mut services: BTreeMap<String, Seen> = BTreeMap::new();
    for event in told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let label = |name: &str| event["Actor"]["Attributes"][name].as_str();
        let service = label("com.docker.compose.service").filter(|_| event["Type"] == "container");
        let Some(service) =
            service.filter(|_| label("com.docker.compose.project") == Some(project))
        else {
            continue;
        };
        let at = event["timeNano"].as_u64().map(Duration::from_nanos);
        match event["Action"].as_str() {
            Some("die") => {
                let seen = services.entry(service.to_owned()).or_default();
                seen.ends += 1;
                seen.ended = at;
            }
            Some("start") => {
                let seen = services.entry(service.to_owned()).or_default();
                if let (Some(at), Some(ended)) =
                    (at, seen.ended.filter(|ended| seen.started < Some(*ended)))
                {
                    seen.gone += at.saturating_sub(ended);
                }
                seen.started = at;
            }
            _ => {}
        }
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_without_a_container_is_summed() {
        let event = |second: u64, action: &str, service: &str, project: &str| {
            let labels = format!(
                r#"{{"com.docker.compose.service": "{service}", "com.docker.compose.project": "{project}"}}"#
            );
            let time = second * 1_000_000_000;
            format!(
                r#"{{"Type": "container", "Action": "{action}", "Actor": {{"Attributes": {labels}}}, "timeNano": {time}}}"#
            )
        };
        let told = [
            event(1, "die", "a", "mail"),
            event(1, "die", "a", "other"),
            event(2, "start", "new", "mail"),
            event(3, "start", "a", "mail"),
            event(4, "die", "gone", "mail"),
            event(7, "die", "a", "mail"),
            event(8, "start", "a", "mail"),
        ];
        let seen = read(&told.join("\n"), "mail");
        assert_eq!((seen["a"].ends, seen["a"].gone), (2, Duration::from_secs(3)));
        let interrupted: Vec<&str> = seen
            .iter()
            .filter(|(_, seen)| seen.is_interrupted())
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(interrupted, ["a"]);
    }
}
