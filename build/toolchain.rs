//! The compiler for `wasm32-wasip2` on this machine, for the crate's build and for the tests.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target of guests.
pub const TARGET: &str = "wasm32-wasip2";

/// The variables of the outer build that the guests' build must not inherit.
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

/// A compiler for the guests' target.
pub enum Toolchain {
    /// The compiler that builds the crate, with the target added by rustup.
    Own,
    /// Debian's compiler, with the standard library as source.
    Debian,
}

impl Toolchain {
    /// Returns the compiler that is installed. The error says how to install one.
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
                "the plugins need the target {TARGET}, which this Rust lacks.\n\
                 Run `rustup target add {TARGET}`, or `scripts/setup`, which also works without \
                 rustup."
            ))
        }
    }

    /// Returns the command that builds guests, without a manifest. Creates the files that it needs
    /// in `folder`.
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

/// Returns the search path with Debian's linker under the name that rustc expects.
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

/// Returns this machine's target, as rustc names it.
fn host() -> Result<String, String> {
    let output = Command::new("/usr/bin/rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("could not run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not report its host".to_owned())
}
