//! The stock plugins: components inside this binary, which its build compiles from `plugins/`.

/// A stock plugin.
pub struct Stock {
    /// Its name: `certificates`.
    pub name: &'static str,
    /// True if every site has it. Otherwise a site has it if it names it as a source.
    pub everywhere: bool,
    /// The component.
    pub bytes: &'static [u8],
    /// The digest of its bytes, computed by the build: commands without plugins must not hash them
    /// all.
    pub sha256: [u8; 32],
}

include!(concat!(env!("OUT_DIR"), "/stock.rs"));
