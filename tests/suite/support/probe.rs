//! The probe: a real component that does at each hook what its configuration says.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::toolchain::{TARGET, Toolchain};

/// Its file, built once.
pub fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/Cargo.toml");
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let target = scratch.parent().unwrap().join("test-plugins");
        let mut cargo = Toolchain::found().unwrap().cargo(scratch).unwrap();
        let cargo = cargo
            .arg("--quiet")
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target);
        assert!(cargo.status().unwrap().success(), "the probe could not be built");
        target.join(TARGET).join("release/probe.wasm")
    })
}

/// Its bytes, with a section behind them that changes nothing but the digest.
pub fn another_probe(what: &str) -> Vec<u8> {
    let (name, content) = (b"note", what.as_bytes());
    let length = |length: usize| u8::try_from(length).unwrap();
    let section =
        [&[0, length(1 + name.len() + content.len()), length(name.len())], &name[..], content]
            .concat();
    [std::fs::read(probe()).unwrap(), section].concat()
}
