//! `cowhand.lock`: what is written of it is read again.
#![no_main]

use cowhand::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(lock) = fuzzing::lock_file(text) {
        let written = fuzzing::lock_file_text(&lock).unwrap();
        assert_eq!(fuzzing::lock_file(&written).unwrap(), lock, "{written}");
    }
});
