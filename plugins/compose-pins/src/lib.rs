//! Keeps a site's pins in docker-compose.yml: images, ports, and services that it switched off.
//! Services that upstream removed stay removed.

mod check;
mod document;
mod list;
mod pins;
mod yaml;

use resolver::{
    Conflict, Guest, Patterns, Replacement, Resolution, Sides, config, log, text_merge,
};
use serde::Deserialize;

resolver::bindings::export!(ComposePins with_types_in resolver::bindings);

struct ComposePins;

/// `[plugin.config]`
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// The compose files.
    files: Patterns,
    /// The keys of a service that stay as the site changed them.
    keys: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let keys = ["image", "ports", "profiles", "scale", "deploy", "restart"];
        Self {
            files: Patterns::known(&["docker-compose.yml"]),
            keys: keys.map(str::to_owned).to_vec(),
        }
    }
}

impl Guest for ComposePins {
    fn resolve(conflict: Conflict<'_>) -> Result<Resolution, String> {
        let settings: Settings = guest::settings(&config::get())?;
        if !settings.files.names(&conflict) {
            return Ok(Resolution::Pass);
        }
        let Some(sides) = Sides::of(&conflict)? else { return Ok(Resolution::Pass) };
        // Everything besides the pins is merged as the site prefers.
        match pins::keep(&settings.keys, &sides, |sides| text_merge(sides, conflict.prefers)) {
            Ok(text) => {
                Ok(Resolution::Content(Replacement { content: text.into_bytes(), mode: None }))
            }
            Err(why) => {
                log::write(
                    log::Level::Warn,
                    &format!("{} is left to the next resolver: {why}", conflict.path),
                );
                Ok(Resolution::Pass)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        let error = guest::settings::<Settings>(r#"{"key": ["image"]}"#).err().unwrap();
        assert!(error.contains("did you mean `keys`?"), "{error}");
        let settings: Settings = guest::settings(r#"{"keys": ["image", "volumes"]}"#).unwrap();
        assert_eq!(settings.keys, ["image", "volumes"]);
    }
}
