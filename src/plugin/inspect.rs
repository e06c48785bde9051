//! What a component says about itself, read from its bytes: nothing of it is run or compiled.

use serde::Serialize;
use wasmparser::{Encoding, Parser, Payload};

use super::digest::Digest;
use super::request::{Request, SECTION};
use super::spec::Hook;
use crate::error::{Context, Error, Result};

/// The WIT package of the hooks.
const PACKAGE: &str = "cowhand:hooks/";
/// The version of the hooks that this Cowhand offers; plugins for any `0.1.x` work.
pub const HOOKS_VERSION: &str = "0.1";

/// What a component says about itself.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// Of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: usize,
    /// The hooks that it exports, in the pipeline's order.
    pub hooks: Vec<Hook>,
    /// The version of the hooks that it is made for: `0.1.0`.
    pub version: String,
    /// What it requests, with its reasons.
    pub requests: Vec<Request>,
    /// The interfaces that it imports. An import alone gives nothing: what a guest language always imports is denied.
    pub imports: Vec<String>,
}

/// Reads what a component says about itself. The errors say why the bytes are no plugin; the caller says which file they are.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    inspect_known(bytes, Digest::of(bytes))
}

/// The same for bytes whose digest is known.
pub(super) fn inspect_known(bytes: &[u8], digest: Digest) -> Result<Inspection> {
    let parts = parts(bytes)?;
    let (hooks, version) = hooks(&parts.exports)?;
    let requests = parts.requests.iter().map(|section| requests(section)).collect::<Result<Vec<_>>>()?.concat();
    Ok(Inspection { digest, size: bytes.len(), hooks, version, requests, imports: parts.imports })
}

#[derive(Default)]
struct Parts {
    exports: Vec<String>,
    imports: Vec<String>,
    requests: Vec<Vec<u8>>,
}

fn parts(bytes: &[u8]) -> Result<Parts> {
    let mut parts = Parts::default();
    // Modules and components inside have imports and exports of their own, which are nobody's business here.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.what("it is not WebAssembly, or damaged")? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                let hint = "Build it for `wasm32-wasip2`, or turn it into a component with the tools of its language.";
                return Err(Error::new("it is a core module, not a component").hint(hint));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    parts.exports.push(export.what("its exports are damaged")?.name.name.to_owned());
                }
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    parts.imports.push(import.what("its imports are damaged")?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                parts.requests.push(section.data().to_vec());
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// The hooks among the exports, and the version they are for.
fn hooks(exports: &[String]) -> Result<(Vec<Hook>, String)> {
    let mut hooks = Vec::new();
    let mut found = None;
    for (name, version) in exports.iter().filter_map(|export| export.strip_prefix(PACKAGE)?.split_once('@')) {
        if !is_ours(version) {
            let what = format!("it is for version {version} of the hooks, and this Cowhand has {HOOKS_VERSION}");
            return Err(
                Error::new(what).hint("Use a build of the plugin for these hooks, or a Cowhand that has its own.")
            );
        }
        let hook = Hook::from_name(name)
            .ok_or_else(|| Error::new(format!("it exports `{name}`, which is no hook of version {HOOKS_VERSION}")))?;
        hooks.push(hook);
        found = Some(version.to_owned());
    }
    hooks.sort_unstable();
    let names = Hook::ALL.map(Hook::name).join(", ");
    let none = || Error::new("it exports no hook").hint(format!("A plugin exports one or more of: {names}."));
    Ok((hooks, found.ok_or_else(none)?))
}

/// Versions that share their first number that is not zero fit, as for every WIT package.
fn is_ours(version: &str) -> bool {
    version.strip_prefix(HOOKS_VERSION).is_some_and(|rest| rest.starts_with('.'))
}

fn requests(section: &[u8]) -> Result<Vec<Request>> {
    serde_json::from_slice(section).what_with(|| format!("its section `{SECTION}` is not understood"))
}
