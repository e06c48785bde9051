//! Links the binary with packed relative relocations. Unpacked they are megabytes that the dynamic
//! linker reads at the start of every command.

use std::env::var;
use std::process::Command;

/// The first glibc whose dynamic linker supports them.
const KNOWN_SINCE: (u32, u32) = (2, 36);

/// Packs them if the binary runs with this machine's glibc and that is new enough.
pub fn pack_relocations() {
    let is = |name: &str, value: &str| var(name).is_ok_and(|found| found == value);
    let here = var("HOST") == var("TARGET")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu");
    if here && glibc().is_some_and(|version| version >= KNOWN_SINCE) {
        println!("cargo::rustc-link-arg=-Wl,-z,pack-relative-relocs");
    }
}

fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
