//! Makes what is embedded in the binary and built from source: the program in the demo's images.

#[path = "build/service.rs"]
mod service;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    match service::compile(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={}", why.replace('\n', "\ncargo::error="));
            ExitCode::FAILURE
        }
    }
}
