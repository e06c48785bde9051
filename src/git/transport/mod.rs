//! The transports. libgit2 speaks git's protocol over this program's TLS and the machine's `ssh`.
//! With OpenSSL, libgit2's start alone takes longer than a `check`.

mod http;
mod ssh;

use std::cell::RefCell;
use std::sync::Once;

use git2::transport::{Transport, register};
use git2::{Config, Remote};
use reqwest::Url;

thread_local! {
    /// The proxy in the clone's configuration, which libgit2 does not pass to transports.
    static PROXY: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Registers the transports with libgit2. `config` gives the proxy for `remote` at `url` in this
/// thread.
pub(super) fn prepare(config: Option<&Config>, remote: &str, url: &str) {
    static ONCE: Once = Once::new();
    PROXY.set(config.and_then(|config| configured_proxy(config, remote, url)));
    ONCE.call_once(|| {
        for scheme in ["https", "http"] {
            add(scheme, |remote| {
                Transport::smart(remote, true, http::Http::new(PROXY.with_borrow(Clone::clone)))
            });
        }
        // URLs like `git@host:path` count as ssh too.
        for scheme in ["ssh", "git+ssh", "ssh+git"] {
            add(scheme, |remote| Transport::smart(remote, false, ssh::Ssh));
        }
    });
}

/// Returns the remote's own proxy, that of the longest matching URL (`http.URL.proxy`), or the
/// general one.
fn configured_proxy(config: &Config, remote: &str, url: &str) -> Option<String> {
    let parts = parts(url)
        .into_iter()
        .flat_map(|part| [format!("http.{part}.proxy"), format!("http.{part}/.proxy")]);
    let mut keys = [format!("remote.{remote}.proxy")]
        .into_iter()
        .chain(parts)
        .chain(["http.proxy".to_owned()]);
    keys.find_map(|key| config.get_string(&key).ok())
}

/// Returns a URL without its login, and ever shorter prefixes of it down to `SCHEME://HOST`,
/// without trailing slashes.
fn parts(url: &str) -> Vec<String> {
    let Ok(mut url) = Url::parse(url) else { return Vec::new() };
    let _ = (url.set_username(""), url.set_password(None));
    let whole = url.as_str().trim_end_matches('/').to_owned();
    let shorter = |part: &String| {
        Some(part.rsplit_once('/')?.0.to_owned()).filter(|part| !part.ends_with('/'))
    };
    std::iter::successors(Some(whole), shorter).collect()
}

#[expect(unsafe_code, reason = "libgit2's list of transports has no lock of its own")]
fn add(
    scheme: &str,
    transport: impl Fn(&Remote<'_>) -> Result<Transport, git2::Error> + Send + Sync + 'static,
) {
    // SAFETY: called once, and before any connection to a remote. After a failure the URL is
    // unsupported, which the fetch reports.
    let _ = unsafe { register(scheme, transport) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxy_of_the_longest_part_counts() {
        let whole = ["https://host:1/a/b.git", "https://host:1/a", "https://host:1"];
        assert_eq!(parts("https://me:pass@host:1/a/b.git/"), whole);
        assert!(parts("git@host:path").is_empty());
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::open(&folder.path().join("config")).unwrap();
        let mut proxy = |key: &str| {
            config.set_str(key, key).unwrap();
            configured_proxy(&config, "origin", "https://host/a/b.git").unwrap()
        };
        for key in [
            "http.proxy",
            "http.https://host/.proxy",
            "http.https://host/a.proxy",
            "remote.origin.proxy",
        ] {
            assert_eq!(proxy(key), key);
        }
        assert_eq!(proxy("http.https://other.proxy"), "remote.origin.proxy");
    }
}
