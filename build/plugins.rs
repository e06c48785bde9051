//! Builds the stock plugins from source, as components for `wasm32-wasip2`, and writes the list of them that the crate includes.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const WORKSPACE: &str = "plugins";
const WIT: &str = "wit";
const TARGET: &str = "wasm32-wasip2";
const STOCK: [&str; 5] = ["stock-conflicts", "certificates", "release-gate", "keep-images", "notify"];
/// What they share.
const SHARED: &str = "guest";

/// What the outer build says about itself and the guests must not hear.
const OUTER: [&str; 8] = [
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// Puts the plugins and `stock.rs`, which includes them, into `folder`, or says why not.
pub fn build(folder: &Path) -> Result<(), String> {
    println!("cargo::rerun-if-changed={WIT}");
    for part in STOCK.iter().chain(&[SHARED, "Cargo.toml", "Cargo.lock"]) {
        println!("cargo::rerun-if-changed={WORKSPACE}/{part}");
    }
    let target = target_folder(folder);
    run(Toolchain::found()?.cargo(folder)?.arg("--target-dir").arg(&target))?;
    for name in STOCK {
        let made = target.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
        let kept = folder.join(format!("{name}.wasm"));
        std::fs::copy(&made, kept).map_err(|error| format!("could not copy {}: {error}", made.display()))?;
    }
    std::fs::write(folder.join("stock.rs"), list()).map_err(|error| format!("could not write stock.rs: {error}"))
}

/// One folder for all profiles, below the outer build's but not the same: cargo holds a lock on that one.
fn target_folder(out: &Path) -> PathBuf {
    let outer = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    outer.unwrap_or(out).join("plugins")
}

fn list() -> String {
    let mut text = "/// Name and bytes of each stock plugin.\npub const STOCK: &[(&str, &[u8])] = &[\n".to_owned();
    for name in STOCK {
        let _ = writeln!(text, r#"    ("{name}", include_bytes!("{name}.wasm")),"#);
    }
    text + "];\n"
}

/// What compiles for the guests' target.
enum Toolchain {
    /// The one that builds the crate: rustup has added the target to it.
    Own,
    /// Debian's, which brings the standard library as source.
    Debian,
}

impl Toolchain {
    fn found() -> Result<Self, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let asked = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        let library = asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        let debian = ["/usr/bin/cargo", "/usr/bin/rustc", LINKER, C_LIBRARY];
        if library.is_ok_and(|folder| folder.is_dir()) {
            Ok(Self::Own)
        } else if debian.iter().all(|path| Path::new(path).exists()) {
            Ok(Self::Debian)
        } else {
            Err(format!(
                "the plugins are built for {TARGET}, and this Rust lacks it.\n\
                 Run `rustup target add {TARGET}`, or `scripts/setup`, which also knows what to do where rustup cannot add it."
            ))
        }
    }

    /// The command that builds the plugins; what it needs made is made in `folder`.
    fn cargo(&self, folder: &Path) -> Result<Command, String> {
        let mut cargo = match self {
            Self::Own => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Self::Debian => Command::new("/usr/bin/cargo"),
        };
        for name in OUTER {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--release", "--locked", "--target", TARGET, "--manifest-path"]);
        cargo.arg(Path::new(WORKSPACE).join("Cargo.toml"));
        if matches!(self, Self::Debian) {
            let host = std::env::var("HOST").map_err(|error| format!("HOST: {error}"))?;
            cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
            cargo.env("RUSTFLAGS", format!("-L native={C_LIBRARY}")).env("PATH", path_with_linker(folder)?);
            let component_linker = format!("/usr/lib/rustlib/{host}/bin/wasm-component-ld");
            cargo.env("CARGO_TARGET_WASM32_WASIP2_LINKER", component_linker);
        }
        Ok(cargo)
    }
}

const LINKER: &str = "/usr/bin/wasm-ld-16";
const C_LIBRARY: &str = "/usr/lib/wasm32-wasi";

/// The search path with Debian's linker under the name that is looked for.
fn path_with_linker(folder: &Path) -> Result<OsString, String> {
    let (bin, error) = (folder.join("bin"), |error| format!("could not link {LINKER}: {error}"));
    std::fs::create_dir_all(&bin).map_err(error)?;
    let link = bin.join("wasm-ld");
    if !link.exists() {
        std::os::unix::fs::symlink(LINKER, link).map_err(error)?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).map_err(|error| error.to_string())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("could not start cargo for the plugins: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("could not build the plugins:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}
