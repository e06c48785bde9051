//! What compiles guests for `wasm32-wasip2` on this machine; used by the crate's build and by the tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of guests.
pub const TARGET: &str = "wasm32-wasip2";

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

/// What compiles for the guests' target.
pub enum Toolchain {
    /// The one that builds the crate: rustup has added the target to it.
    Own,
    /// Debian's, which brings the standard library as source.
    Debian,
}

impl Toolchain {
    /// The one that is there, or what to do where none is.
    pub fn found() -> Result<Self, String> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let asked =
            Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        let library =
            asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
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

    /// The command that builds guests, still without a manifest; what it needs made is made in `folder`.
    pub fn cargo(&self, folder: &Path) -> Result<Command, String> {
        let mut cargo = match self {
            Self::Own => Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())),
            Self::Debian => Command::new("/usr/bin/cargo"),
        };
        for name in OUTER {
            cargo.env_remove(name);
        }
        cargo.args(["build", "--release", "--locked", "--target", TARGET]);
        if matches!(self, Self::Debian) {
            let host = host()?;
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC", "/usr/bin/rustc")
                .env("RUSTC_BOOTSTRAP", "1");
            cargo
                .env("RUSTFLAGS", format!("-L native={C_LIBRARY}"))
                .env("PATH", path_with_linker(folder)?);
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
    std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path)))
        .map_err(|error| error.to_string())
}

/// This machine's own target, as rustc names it.
fn host() -> Result<String, String> {
    let output = Command::new("/usr/bin/rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("could not run rustc: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say which machine this is".to_owned())
}
