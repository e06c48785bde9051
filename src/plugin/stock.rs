//! The stock plugins: components inside this binary, which its build compiles from `plugins/`.

/// One of them.
pub struct Stock {
    /// Its name: `certificates`.
    pub name: &'static str,
    /// Whether every site has it; otherwise a site has it if it names it as a source, and nothing is done for it before.
    pub everywhere: bool,
    /// The component.
    pub bytes: &'static [u8],
    /// Of its bytes; known since the build, because a command that needs no plugin shall not hash them all.
    pub sha256: [u8; 32],
}

include!(concat!(env!("OUT_DIR"), "/stock.rs"));
