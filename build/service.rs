//! Compiles the program in the images of the demo and the tests. It is static, so that an image
//! needs nothing else.

use std::path::Path;
use std::process::Command;

const SOURCE: &str = "src/demo/service.rs";

/// Compiles the program into `folder` as `service`.
pub fn compile(folder: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={SOURCE}");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let target = std::env::var("TARGET").map_err(|error| format!("TARGET: {error}"))?;
    let mut command = Command::new(rustc);
    command.args([
        "--edition=2024",
        "--crate-name=service",
        "--target",
        &target,
        "-Ctarget-feature=+crt-static",
    ]);
    command.args([
        "-Copt-level=z",
        "-Cpanic=abort",
        "-Cstrip=symbols",
        "-Clto=fat",
        "-Ccodegen-units=1",
    ]);
    let output = command.arg("-o").arg(folder.join("service")).arg(SOURCE).output();
    let output = output.map_err(|error| format!("could not start rustc for {SOURCE}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("could not compile {SOURCE}:\n{}", String::from_utf8_lossy(&output.stderr)))
}
