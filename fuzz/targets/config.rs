//! `cowhand.toml`: a plugin that is put in is there, one that is taken out is not, and the file
//! stays one that can be read.
#![no_main]

use cowhand::config::Config;
use cowhand::config::edit::{GrantLine, put_plugin, remove_plugin};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "cowhand.toml";

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let config = Config::parse(text, FILE);
    let grant: GrantLine = "http=ntfy.sh".parse().unwrap();
    for (name, grants) in [("one", vec![]), ("two", vec![grant])] {
        let (put, removed) = (put_plugin(text, name, "b.wasm", &grants), remove_plugin(text, name));
        let Ok(config) = &config else { continue };
        if let Ok(put) = put {
            let now = Config::parse(&put, FILE).unwrap();
            let plugin = now.plugin.iter().find(|plugin| plugin.name == name).unwrap();
            assert_eq!(plugin.source, "b.wasm");
            let is_new = config.plugin.iter().all(|plugin| plugin.name != name);
            assert_eq!(now.plugin.len(), config.plugin.len() + usize::from(is_new));
            let without = remove_plugin(&put, name).unwrap().unwrap();
            gone(&Config::parse(&without, FILE).unwrap(), config, name);
        }
        if let Ok(Some(removed)) = removed {
            gone(&Config::parse(&removed, FILE).unwrap(), config, name);
        }
    }
});

/// The plugin is gone and the others are there, in their order.
fn gone(now: &Config, before: &Config, name: &str) {
    let others = before.plugin.iter().filter(|plugin| plugin.name != name);
    assert!(
        others
            .map(|plugin| format!("{plugin:?}"))
            .eq(now.plugin.iter().map(|plugin| format!("{plugin:?}")))
    );
    assert_eq!(format!("{:?}", now.verify), format!("{:?}", before.verify));
    assert_eq!(format!("{:?}", now.merge), format!("{:?}", before.merge));
}
