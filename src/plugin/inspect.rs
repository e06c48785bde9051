//! A component's description of itself, read from its bytes without running or compiling it.

use serde::Serialize;
use wasmparser::{Chunk, Encoding, Parser, Payload};

use super::request::{Request, SECTION};
use super::spec::Hook;
use crate::digest::Digest;
use crate::error::{Context, Error, Result};
use crate::printable;

/// The WIT package of the hooks.
const PACKAGE: &str = "cowhand:hooks/";
/// The version of the hooks that this Cowhand offers. Plugins for any `0.1.x` work.
pub const HOOKS_VERSION: &str = "0.1";
/// The message for bytes that cannot be parsed.
const DAMAGED: &str = "it is damaged or not WebAssembly";
/// The limit for nested components. Nesting is cheap in a file, and compilers do not produce it.
const DEEPEST: usize = 100;
/// The most requests that an operator would read before approving.
const MOST_REQUESTS: usize = 64;
/// The longest value or reason.
const LONGEST_TEXT: usize = 500;

/// A component's description of itself.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: usize,
    /// The hooks that it exports, in the pipeline's order.
    pub hooks: Vec<Hook>,
    /// The version of the hooks that it was built for: `0.1.0`.
    pub version: String,
    /// Its requests, with reasons.
    pub requests: Vec<Request>,
    /// The interfaces that it imports. An import alone grants nothing: what a guest language always
    /// imports is denied.
    pub imports: Vec<String>,
}

/// Reads a component's description. The error says why the bytes are not a plugin; the caller adds
/// the file.
pub fn inspect(bytes: &[u8]) -> Result<Inspection> {
    inspect_known(bytes, Digest::of(bytes))
}

/// Reads bytes whose digest is known.
pub(super) fn inspect_known(bytes: &[u8], digest: Digest) -> Result<Inspection> {
    let parts = parts(bytes)?;
    let (hooks, version) = hooks(&parts.exports)?;
    let requests = requests(&parts.requests)?;
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
    let (mut parser, mut rest) = (Parser::new(0), bytes);
    // Nested modules and components have imports and exports of their own, which do not count.
    let mut outside: Vec<Parser> = Vec::new();
    loop {
        let Chunk::Parsed { payload, consumed } = parser.parse(rest, true).what(DAMAGED)? else {
            return Err(Error::new(DAMAGED));
        };
        rest = &rest[consumed..];
        let whole = outside.is_empty();
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } if whole => {
                let hint = "Build it for `wasm32-wasip2`, or convert it into a component with its language's tools.";
                return Err(Error::new("it is a core module, not a component").hint(hint));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. }
                if outside.len() == DEEPEST =>
            {
                return Err(Error::new(format!(
                    "its components are nested more than {DEEPEST} levels deep"
                )));
            }
            Payload::ModuleSection { parser: inner, .. }
            | Payload::ComponentSection { parser: inner, .. } => {
                outside.push(std::mem::replace(&mut parser, inner));
            }
            Payload::End(_) => match outside.pop() {
                Some(outer) => parser = outer,
                None => return Ok(parts),
            },
            // Code, which is nearly all of a component, is skipped.
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = rest.get(size as usize..).ok_or_else(|| Error::new(DAMAGED))?;
            }
            Payload::ComponentExportSection(section) if whole => {
                for export in section {
                    parts
                        .exports
                        .push(export.what("its exports are damaged")?.name.name.to_owned());
                }
            }
            Payload::ComponentImportSection(section) if whole => {
                for import in section {
                    parts
                        .imports
                        .push(import.what("its imports are damaged")?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                parts.requests.push(section.data().to_vec());
            }
            _ => {}
        }
    }
}

/// Returns the hooks among the exports, and their version.
fn hooks(exports: &[String]) -> Result<(Vec<Hook>, String)> {
    let mut hooks = Vec::new();
    let mut found = None;
    for (name, version) in
        exports.iter().filter_map(|export| export.strip_prefix(PACKAGE)?.split_once('@'))
    {
        if !is_ours(version) {
            let what = format!(
                "it is for version {version} of the hooks, but this Cowhand has {HOOKS_VERSION}"
            );
            return Err(Error::new(what).hint(
                "Use a build of the plugin for this version, or a Cowhand with that version.",
            ));
        }
        let hook = Hook::from_name(name).ok_or_else(|| {
            Error::new(format!(
                "it exports `{name}`, which is not a hook of version {HOOKS_VERSION}"
            ))
        })?;
        hooks.push(hook);
        found = Some(version.to_owned());
    }
    hooks.sort_unstable();
    let names = Hook::ALL.map(Hook::name).join(", ");
    let none = || {
        Error::new("it exports no hook").hint(format!("A plugin exports one or more of: {names}."))
    };
    Ok((hooks, found.ok_or_else(none)?))
}

/// Returns true if a version is compatible: as for every WIT package, the first number that is not
/// zero must be equal.
fn is_ours(version: &str) -> bool {
    let plain = |rest: &str| {
        rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
    };
    version.strip_prefix(HOOKS_VERSION).is_some_and(|rest| rest.starts_with('.') && plain(rest))
}

/// Returns the requests of all sections. Operators read them on a terminal, so only plain lines are
/// accepted.
pub(crate) fn requests(sections: &[Vec<u8>]) -> Result<Vec<Request>> {
    let mut all = Vec::new();
    for section in sections {
        let some: Vec<Request> = serde_json::from_slice(section)
            .what_with(|| format!("its section `{SECTION}` is not valid"))?;
        all.extend(some);
    }
    if all.len() > MOST_REQUESTS {
        return Err(Error::new(format!("it has more than {MOST_REQUESTS} requests")));
    }
    let wrong = |text: &&String| !is_plain(text);
    if let Some(text) = all.iter().flat_map(|request| [&request.value, &request.reason]).find(wrong)
    {
        let shown = format!("{text:?}");
        return Err(Error::new(format!("it has a request that is not a plain line: {shown:.60}")));
    }
    Ok(all)
}

/// Returns true if a text is printable and not too long.
fn is_plain(text: &str) -> bool {
    text.len() <= LONGEST_TEXT && text.chars().all(printable::is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(reason: &str, count: usize) -> Result<Vec<Request>> {
        let one = serde_json::json!({ "capability": "env", "value": "HOME", "reason": reason });
        requests(&vec![serde_json::to_vec(&[one]).unwrap(); count])
    }

    #[test]
    fn only_plain_lines_are_requested() {
        assert_eq!(requested("to greet", MOST_REQUESTS).unwrap().len(), MOST_REQUESTS);
        assert!(requested("to greet", MOST_REQUESTS + 1).is_err());
        assert!(requested(&"x".repeat(LONGEST_TEXT), 1).is_ok());
        assert!(requested(&"x".repeat(LONGEST_TEXT + 1), 1).is_err());
        for bad in ["a\nb", "a\u{1b}[2K", "a\u{9b}", "a\u{202e}b", "a\u{2066}b", "a\u{200f}b"] {
            let error = requested(bad, 1).unwrap_err().summary();
            assert!(
                error.contains("not a plain line") && !error.chars().any(char::is_control),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        const HEAD: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];
        let seven_bits = |number: usize| u8::try_from(number % 128).unwrap();
        let size = |length: usize| [seven_bits(length) | 0x80, seven_bits(length / 128)];
        // Section 4 of a component holds a component.
        let around = |inner: Vec<u8>, _| [&HEAD[..], &[4], &size(inner.len()), &inner].concat();
        let nested = |depth: usize| (0..depth).fold(HEAD.to_vec(), around);
        assert!(parts(&nested(DEEPEST)).is_ok());
        assert!(parts(&nested(DEEPEST + 1)).is_err());
        assert!(parts(&nested(3)[..25]).is_err(), "cut off");
    }

    #[test]
    fn a_version_is_a_version() {
        assert!(is_ours("0.1.0") && is_ours("0.1.7-rc.1+b"));
        assert!(
            !is_ours("0.1") && !is_ours("0.10.0") && !is_ours("0.1.0\n") && !is_ours("0.1.\u{1b}")
        );
    }
}
