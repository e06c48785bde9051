//! The certificates that an https upstream is checked against: read where one is asked, not at the start of every command.

#![expect(
    unsafe_code,
    reason = "libgit2 takes their place from the environment and from settings of the whole process"
)]

use std::env;
use std::ffi::OsString;
use std::sync::Once;

use openssl_probe::{ENV_CERT_DIR, ENV_CERT_FILE};

/// Keeps libgit2 from reading every certificate that this machine trusts (some 40 ms) before anybody wants them: [`load`] does it
/// for the remotes that need them. Without this call, libgit2 reads them at its start.
///
/// # Safety
///
/// Changes the environment for a moment: to be called before any other thread is started.
pub unsafe fn defer() {
    let set = |name, value: Option<OsString>| match value {
        // SAFETY: the caller's promise: there is no other thread.
        Some(value) => unsafe { env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { env::remove_var(name) },
    };
    let chosen = [ENV_CERT_FILE, ENV_CERT_DIR].map(|name| (name, env::var_os(name)));
    set(ENV_CERT_FILE, Some("/dev/null".into()));
    // Anything that needs libgit2 starts it.
    let _ = git2::message_prettify("", None);
    for (name, value) in chosen {
        set(name, value);
    }
}

/// Reads the machine's certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, for a remote at `url`.
pub(super) fn load(url: &[u8]) {
    static ONCE: Once = Once::new();
    if !url.starts_with(b"http") {
        return;
    }
    ONCE.call_once(|| {
        let found = openssl_probe::probe();
        // SAFETY: made once, before a server is asked. A place that cannot be read leaves the server untrusted, which the fetch then says.
        unsafe {
            if let Some(file) = found.cert_file {
                let _ = git2::opts::set_ssl_cert_file(file);
            }
            for folder in found.cert_dir {
                let _ = git2::opts::set_ssl_cert_dir(folder);
            }
        }
    });
}
