//! git's conversions between objects and the working tree: line endings and `$Id$`. Other filters
//! are programs and do not run.

use std::path::Path;

use git2::{AttrCheckFlags, AttrValue, Index, Oid, Repository};

use crate::error::{Context, Result};
use crate::git::Repo;
use crate::git::merge::is_binary;
use crate::path::SitePath;

/// Converts contents by the attributes of one tree, independent of the working tree.
pub struct Worktree {
    git: Repository,
    /// `core.autocrlf` and `core.eol`, as far as they ask for CRLF.
    auto_crlf: Option<bool>,
    native_crlf: bool,
}

/// The conversion of line endings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    No,
    /// Convert, unless it looks binary or already has CRLF.
    Auto,
    Yes,
}

impl Worktree {
    /// Returns the conversions for files of `tree`.
    pub fn new(repo: &Repo, tree: Oid) -> Result<Self> {
        let doing = "could not read the merge's .gitattributes";
        // A separate handle whose index, in memory, is the tree, so that attributes come from
        // there.
        let git = Repository::open(repo.git_folder()).what(doing)?;
        let mut index = Index::new().what(doing)?;
        index.read_tree(&git.find_tree(tree).what(doing)?).what(doing)?;
        git.set_index(&mut index).what(doing)?;
        let config = git.config().and_then(|mut config| config.snapshot()).what(doing)?;
        let auto_crlf = match config.get_string("core.autocrlf").as_deref() {
            Ok("input") => Some(false),
            _ => config.get_bool("core.autocrlf").ok().filter(|set| *set),
        };
        let native_crlf = auto_crlf == Some(true)
            || auto_crlf.is_none()
                && config.get_string("core.eol").is_ok_and(|eol| eol.eq_ignore_ascii_case("crlf"));
        Ok(Self { git, auto_crlf, native_crlf })
    }

    /// Returns the file's content on disk.
    pub fn content(&self, path: &SitePath, oid: Oid, content: &[u8]) -> Result<Vec<u8>> {
        let mut out = content.to_vec();
        if self.attribute(path, "ident")? == Some(String::new()) {
            out = expand_ident(&out, oid);
        }
        let (text, crlf) = self.line_ends(path)?;
        if crlf && text != Text::No && lacks_crlf(&out, text) {
            out = to_crlf(&out);
        }
        Ok(out)
    }

    fn line_ends(&self, path: &SitePath) -> Result<(Text, bool)> {
        let text = match self.attribute(path, "text")? {
            Some(set) => Some(set),
            None => self.attribute(path, "crlf")?,
        };
        let eol = self.attribute(path, "eol")?;
        let crlf = eol.as_deref().map(|eol| eol == "crlf");
        Ok(match text.as_deref() {
            Some("-") => (Text::No, false),
            Some("auto") => (Text::Auto, crlf.unwrap_or(self.native_crlf)),
            Some("input") => (Text::Yes, false),
            Some("") => (Text::Yes, crlf.unwrap_or(self.native_crlf)),
            _ => match crlf {
                Some(crlf) => (Text::Yes, crlf),
                None => (
                    if self.auto_crlf.is_some() { Text::Auto } else { Text::No },
                    self.auto_crlf == Some(true),
                ),
            },
        })
    }

    /// Returns an attribute: empty if set, `-` if unset, its value, or `None`.
    fn attribute(&self, path: &SitePath, name: &str) -> Result<Option<String>> {
        let value =
            self.git.get_attr_bytes(Path::new(path.as_path()), name, AttrCheckFlags::INDEX_ONLY);
        let value = value.what_with(|| format!("could not read the attributes of {path}"))?;
        Ok(match AttrValue::from_bytes(value) {
            AttrValue::True => Some(String::new()),
            AttrValue::False => Some("-".to_owned()),
            AttrValue::String(text) => Some(text.to_owned()),
            AttrValue::Bytes(_) | AttrValue::Unspecified => None,
        })
    }
}

/// Returns true if the conversion would change the text without loss.
fn lacks_crlf(text: &[u8], how: Text) -> bool {
    let crlf = text.windows(2).filter(|pair| pair == b"\r\n").count();
    let bare = text.split(|byte| *byte == b'\n').count() - 1 > crlf;
    bare && (how == Text::Yes || !text.contains(&b'\r') && !is_binary(text))
}

fn to_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for (at, byte) in text.iter().enumerate() {
        if *byte == b'\n' && (at == 0 || text[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

/// Expands `$Id$`, or an earlier expansion on one line, with this object's id.
fn expand_ident(text: &[u8], oid: Oid) -> Vec<u8> {
    const START: &[u8] = b"$Id";
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(START.len()).position(|part| part == START) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        let after = &from[START.len()..];
        let end = match after.first() {
            Some(b'$') => Some(0),
            Some(b':') => after
                .iter()
                .position(|byte| *byte == b'$' || *byte == b'\n')
                .filter(|end| after[*end] == b'$'),
            _ => None,
        };
        let Some(end) = end else {
            out.extend_from_slice(START);
            rest = after;
            continue;
        };
        out.extend_from_slice(format!("$Id: {oid} $").as_bytes());
        rest = &after[end + 1..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ident_is_expanded_where_it_is_whole() {
        let oid = Oid::ZERO_SHA1;
        let text = expand_ident(b"a $Id$ b $Id: old $ c $Idx$ d $Id: open\n$", oid);
        let id = format!("$Id: {oid} $");
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!("a {id} b {id} c $Idx$ d $Id: open\n$")
        );
    }

    #[test]
    fn line_ends_are_converted_once() {
        assert_eq!(to_crlf(b"a\nb\r\n\n"), b"a\r\nb\r\n\r\n");
        assert!(!lacks_crlf(b"a\r\n", Text::Yes));
        assert!(!lacks_crlf(b"a\nb\r\n", Text::Auto));
    }
}
