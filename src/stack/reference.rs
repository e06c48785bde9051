//! References to images, as compose files have them: registry, repository, and tag or digest.

use std::fmt;

use crate::error::{Error, Result};

/// The registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// A parsed reference. Displays as it was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Parses a reference. Names that only a registry can judge are accepted.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::new(format!("`{text}` is not a valid image reference"));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(wrong()),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.to_owned())),
            _ => (rest, None),
        };
        let valid =
            !name.is_empty() && !name.contains(char::is_whitespace) && tag.as_deref() != Some("");
        if valid { Ok(Self { name: name.to_owned(), tag, digest }) } else { Err(wrong()) }
    }

    /// Returns everything before tag and digest, as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the tag; `latest` if neither tag nor digest is written.
    pub fn tag(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, None) => Some("latest"),
            (None, Some(_)) => None,
        }
    }

    /// Returns the digest; `None` if the reference is not pinned.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns `name@digest`: pulling it moves no tag.
    pub fn at(&self, digest: &str) -> String {
        format!("{}@{digest}", self.name)
    }

    /// Returns the registry, recognised in the first part of the name by Docker's rules.
    pub fn registry(&self) -> &str {
        match self.name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => DEFAULT_REGISTRY,
        }
    }

    /// Returns true if the engine asks its mirrors for this registry.
    pub fn may_be_mirrored(&self) -> bool {
        self.registry() == DEFAULT_REGISTRY
    }

    /// Returns the name with its registry and, for Docker's own images, `library/`: the same for
    /// all spellings of a repository.
    pub fn repository(&self) -> String {
        let registry = self.registry();
        let path = self
            .name
            .strip_prefix(registry)
            .map_or(self.name.as_str(), |path| path.trim_start_matches('/'));
        if registry == DEFAULT_REGISTRY && !path.contains('/') {
            format!("{registry}/library/{path}")
        } else {
            format!("{registry}/{path}")
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty()
            && digits.len() >= 32
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_are_taken_apart() {
        let cases = [
            ("redis", "docker.io/library/redis", Some("latest"), None),
            ("mailcow/postfix:1.80", "docker.io/mailcow/postfix", Some("1.80"), None),
            ("docker.io/mariadb:10.11", "docker.io/library/mariadb", Some("10.11"), None),
            ("ghcr.io/mailcow/nginx:1.03", "ghcr.io/mailcow/nginx", Some("1.03"), None),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b", Some("latest"), None),
            ("localhost/a:1", "localhost/a", Some("1"), None),
            (&format!("a/b@{DIGEST}"), "docker.io/a/b", None, Some(DIGEST)),
            (&format!("[::1]:5000/b:2@{DIGEST}"), "[::1]:5000/b", Some("2"), Some(DIGEST)),
        ];
        for (text, repository, tag, digest) in cases {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(
                (reference.repository().as_str(), reference.tag(), reference.digest()),
                (repository, tag, digest)
            );
            assert_eq!(reference.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", ":tag", "a b", "a@sha256", "a@sha256:short", "a:"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }
}
