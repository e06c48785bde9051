//! A component and its custom sections, read without being run.
#![no_main]

use cowhand::plugin;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = plugin::inspect(bytes) {
        assert!(!found.hooks.is_empty() && found.version.starts_with("0.1."));
        assert_eq!((found.size, found.digest), (bytes.len(), plugin::Digest::of(bytes)));
        serde_json::to_string(&found).unwrap();
    }
});
