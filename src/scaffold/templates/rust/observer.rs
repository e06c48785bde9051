//! Logs how a run ended. Replace it with your own notification.

use crate::Plugin;
use crate::bindings::cowhand::hooks::log;
use crate::bindings::exports::cowhand::hooks::observer::Guest;
use crate::settings::Settings;

impl Guest for Plugin {
    fn event(json: String) -> Result<(), String> {
        Settings::read()?;
        if let Some(text) = outcome(&json)? {
            log::write(log::Level::Info, &text);
        }
        Ok(())
    }
}

/// Returns the end of the run in words. `None` for other events.
fn outcome(json: &str) -> Result<Option<String>, String> {
    let event: serde_json::Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let message = event["message"].as_str().filter(|_| event["event"] == "outcome");
    Ok(message.map(|message| format!("the run ended: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outcome_is_logged() {
        let text = outcome(r#"{"event": "outcome", "message": "done"}"#).unwrap();
        assert_eq!(text.as_deref(), Some("the run ended: done"));
        assert_eq!(outcome(r#"{"event": "note", "message": "hello"}"#).unwrap(), None);
    }
}
