//! The requests in a component's custom section: everything that is taken shows as one plain line.
#![no_main]

use cowhand::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(requests) = fuzzing::requests(bytes) else { return };
    for request in &requests {
        for text in [&request.value, &request.reason] {
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
    let written = serde_json::to_vec(&requests).unwrap();
    assert_eq!(fuzzing::requests(&written).unwrap(), requests);
});
