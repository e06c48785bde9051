//! Builds what the binary embeds: the stock plugins and, with the feature `demo`, the program in
//! the demo's images. Sets how the binary is linked.

#![allow(clippy::disallowed_methods, reason = "a build opens its own files")]

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
    let mut built = plugins::build(&folder);
    if std::env::var_os("CARGO_FEATURE_DEMO").is_some() {
        built = built.and_then(|()| service::compile(&folder));
    }
    match built {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("cargo::error={}", why.replace('\n', "\ncargo::error="));
            ExitCode::FAILURE
        }
    }
}
