//! A run's journal: what is written of it is read again, and nothing is read of a damaged one.
#![no_main]

use cowhand::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert!(fuzzing::journal(text).is_err(), "nobody guesses a checksum");
    let Ok(record) = fuzzing::journal(&format!("{text}\n{}\n", fuzzing::seal(text))) else {
        return;
    };
    let written = fuzzing::journal_text(&record);
    let again = fuzzing::journal(&written).unwrap();
    assert_eq!(fuzzing::journal_text(&again), written);
    for (at, _) in written.trim_end().char_indices().step_by(97) {
        assert!(fuzzing::journal(&written[..at]).is_err());
    }
});
