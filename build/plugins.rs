//! Builds the stock plugins as components for `wasm32-wasip2` and writes the list that the crate
//! includes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use super::toolchain::{TARGET, Toolchain};

const WORKSPACE: &str = "plugins";
const WIT: &str = "wit";
/// The plugins that every site has, in this order.
const EVERYWHERE: [&str; 5] =
    ["stock-conflicts", "certificates", "release-gate", "keep-images", "notify"];
/// The plugins that a site has if it names them.
const ON_REQUEST: [&str; 4] = ["keep-local", "key-value", "compose-pins", "union"];
/// The libraries of the plugins.
const SHARED: [&str; 2] = ["guest", "resolver"];

/// Builds the plugins and `stock.rs`, which includes them, into `folder`.
pub fn build(folder: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={WIT}");
    for part in
        EVERYWHERE.iter().chain(&ON_REQUEST).chain(&SHARED).chain(&["Cargo.toml", "Cargo.lock"])
    {
        println!("cargo::rerun-if-changed={WORKSPACE}/{part}");
    }
    let target = target_folder(folder);
    let manifest = Path::new(WORKSPACE).join("Cargo.toml");
    let mut cargo = Toolchain::found()?.cargo(folder)?;
    run(cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&target))?;
    let mut list = "pub const STOCK: &[Stock] = &[\n".to_owned();
    let everywhere = EVERYWHERE.map(|name| (name, true));
    for (name, everywhere) in everywhere.into_iter().chain(ON_REQUEST.map(|name| (name, false))) {
        let made =
            target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
        let kept = folder.join(format!("{name}.wasm"));
        let copied =
            std::fs::read(&made).and_then(|bytes| std::fs::write(kept, &bytes).map(|()| bytes));
        let bytes =
            copied.map_err(|error| format!("could not copy {}: {error}", made.display()))?;
        let sha256: [u8; 32] = Sha256::digest(&bytes).into();
        let _ = writeln!(
            list,
            r#"    Stock {{ name: "{name}", everywhere: {everywhere}, bytes: include_bytes!("{name}.wasm"), sha256: {sha256:?} }},"#
        );
    }
    std::fs::write(folder.join("stock.rs"), list + "];\n")
        .map_err(|error| format!("could not write stock.rs: {error}"))
}

/// Returns one directory for all profiles, below the outer build's: cargo locks that one itself.
fn target_folder(out: &Path) -> PathBuf {
    let outer = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    outer.unwrap_or(out).join("plugins")
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("could not start cargo for the plugins: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("could not build the plugins:\n{}", String::from_utf8_lossy(&output.stderr)))
}
