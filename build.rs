//! Makes what is embedded in the binary and built from source: the stock plugins, and the program in the demo's images. Says how the binary
//! is linked.

#[path = "build/link.rs"]
mod link;
#[path = "build/plugins.rs"]
mod plugins;
#[path = "build/service.rs"]
mod service;
#[path = "build/toolchain.rs"]
mod toolchain;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    link::pack_relocations();
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    match plugins::build(&folder).and_then(|()| service::compile(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={}", why.replace('\n', "\ncargo::error="));
            ExitCode::FAILURE
        }
    }
}
