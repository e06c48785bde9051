//! An OCI manifest, of which one layer would be fetched.
#![no_main]

use cowhand::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = fuzzing::layer(bytes);
});
