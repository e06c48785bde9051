//! How upstream is reached. libgit2 speaks git's protocol and leaves https and ssh to these: the one TLS of this program, and the
//! machine's own `ssh`. libgit2's own would be OpenSSL, whose start alone takes longer than a `check`.

mod http;
mod ssh;

use std::sync::{Mutex, Once, PoisonError};

use git2::transport::{Transport, register};
use git2::{Config, Remote};

/// The proxy that the clone's configuration names: libgit2 offers a transport no way to ask for it.
static PROXY: Mutex<Option<String>> = Mutex::new(None);

/// Makes libgit2 reach its remotes this way; `config` and `remote` say through which proxy from now on.
pub(super) fn prepare(config: Option<&Config>, remote: &str) {
    static ONCE: Once = Once::new();
    let named = |key: &str| config?.get_string(key).ok();
    *PROXY.lock().unwrap_or_else(PoisonError::into_inner) =
        named(&format!("remote.{remote}.proxy")).or_else(|| named("http.proxy"));
    ONCE.call_once(|| {
        for scheme in ["https", "http"] {
            add(scheme, http);
        }
        // An address like `git@host:path` counts as ssh, too.
        for scheme in ["ssh", "git+ssh", "ssh+git"] {
            add(scheme, |remote| Transport::smart(remote, false, ssh::Ssh));
        }
    });
}

fn http(remote: &Remote<'_>) -> Result<Transport, git2::Error> {
    let proxy = PROXY.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Transport::smart(remote, true, http::Http::new(remote.url_bytes(), proxy.as_deref())?)
}

#[expect(unsafe_code, reason = "libgit2's list of transports has no lock of its own")]
fn add(scheme: &str, transport: impl Fn(&Remote<'_>) -> Result<Transport, git2::Error> + Send + Sync + 'static) {
    // SAFETY: called once, and before anything here connects to a remote. Failing leaves the address unsupported, which the fetch then says.
    let _ = unsafe { register(scheme, transport) };
}
