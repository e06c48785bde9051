//! Plugins can reach only what was granted, judged by what they see and by what arrives outside.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cowhand::plugin::Plugins;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::kit::{Site, every_probe, update};

/// Lets a probe do this with these grants and returns what it saw. The result must be the same for
/// every version of the WIT.
async fn probe_sees(site: &Site, does: &str, grants: &str) -> String {
    let toml = format!(
        "[[plugin]]\nname = \"probe\"\nPROBE\non-failure = \"skip\"\n\
         config.pre-merge = \"{does}\"\n{grants}"
    );
    let mut all: Vec<String> = Vec::new();
    for component in every_probe() {
        let mut plugins: Plugins = site.load_from(&component, &toml).await.unwrap();
        plugins.pre_merge(&update()).await.unwrap();
        all.push(site.failure("probe").1);
    }
    let first = all.swap_remove(0);
    assert!(all.iter().all(|other| *other == first), "{first}, but with another version {all:?}");
    first
}

#[tokio::test]
async fn without_a_grant_no_file_can_be_read() {
    let site = Site::new();
    let conf = site.path().join("mailcow.conf");
    for path in [conf.to_str().unwrap(), "mailcow.conf", "/etc/passwd", "../etc/passwd", "."] {
        assert!(probe_sees(&site, &format!("read {path}"), "").await.starts_with("Err("), "{path}");
    }
}

#[tokio::test]
async fn a_granted_directory_can_be_read_and_nothing_around_it() {
    let (site, outside) = (Site::new(), tempfile::tempdir().unwrap());
    let folder = outside.path().join("certs");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.pem"), "a certificate").unwrap();
    std::fs::write(outside.path().join("secret"), "a secret").unwrap();
    std::os::unix::fs::symlink("a.pem", folder.join("inner")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret", folder.join("relative")).unwrap();
    let (shown, grants) = (folder.display(), format!("grant.read = [\"{}\"]\n", folder.display()));
    for name in ["a.pem", "inner"] {
        assert_eq!(
            probe_sees(&site, &format!("read {shown}/{name}"), &grants).await,
            "Ok(\"a certificate\")",
            "{name}"
        );
    }
    for name in ["absolute", "relative", "../secret", "../../../../etc/passwd"] {
        assert!(
            probe_sees(&site, &format!("read {shown}/{name}"), &grants).await.starts_with("Err("),
            "{name}"
        );
    }
    for name in ["a.pem", "new"] {
        assert!(
            probe_sees(&site, &format!("write {shown}/{name}"), &grants).await.starts_with("Err("),
            "{name}"
        );
    }
    assert!(!folder.join("new").exists());
    assert_eq!(std::fs::read_to_string(folder.join("a.pem")).unwrap(), "a certificate");
}

#[tokio::test]
async fn a_granted_directory_stays_the_same_if_its_path_becomes_a_link() {
    let (site, outside) = (Site::new(), tempfile::tempdir().unwrap());
    let at = |name: &str| outside.path().join(name);
    for (folder, content) in [("granted", "a certificate"), ("secret", "a secret")] {
        std::fs::create_dir(at(folder)).unwrap();
        std::fs::write(at(folder).join("a.pem"), content).unwrap();
    }
    let folder = at("granted");
    let toml = format!(
        "[[plugin]]\nname = \"probe\"\nPROBE\non-failure = \"skip\"\n\
         config.pre-merge = \"read {0}/a.pem\"\ngrant.read = [\"{0}\"]\n",
        folder.display()
    );
    let mut plugins = site.load(&toml).await.unwrap();
    std::fs::rename(&folder, at("moved")).unwrap();
    std::os::unix::fs::symlink(at("secret"), &folder).unwrap();
    // The probe reports what it saw as a failure, after which the next call gets a new instance.
    for _ in 0..2 {
        plugins.pre_merge(&update()).await.unwrap();
        assert_eq!(site.failure("probe").1, "Ok(\"a certificate\")");
    }
}

#[tokio::test]
async fn a_relative_directory_is_relative_to_the_site() {
    let site = Site::new();
    std::fs::write(site.path().join("data/assets/ssl/cert.pem"), "ours").unwrap();
    let grants = "grant.read = [\"data/assets/ssl\"]\n";
    assert_eq!(probe_sees(&site, "read data/assets/ssl/cert.pem", grants).await, "Ok(\"ours\")");
    assert!(probe_sees(&site, "read mailcow.conf", grants).await.starts_with("Err("));
}

#[tokio::test]
async fn a_failure_for_lack_of_a_grant_names_the_line_to_add() {
    let toml = |grants: &str| {
        format!(
            "[[plugin]]\nname = \"probe\"\nPROBE\n\
             {grants}config.pre-merge = \"error no certificate\"\n"
        )
    };
    let site = Site::new();
    let error = site.load(&toml("")).await.unwrap().pre_merge(&update()).await.unwrap_err();
    assert!(
        error.hints()[0].contains("It requests read `*`") && error.hints()[0].contains("read = ["),
        "{error:?}"
    );
    let error = site
        .load(&toml("grant.read = [\"data\"]\n"))
        .await
        .unwrap()
        .pre_merge(&update())
        .await
        .unwrap_err();
    assert!(error.hints()[0].contains("env = [\"PROBE\"]"), "{error:?}");
}

#[tokio::test]
async fn the_environment_is_empty() {
    assert_eq!(probe_sees(&Site::new(), "env", "").await, "[]");
    // The probe requests only `PROBE`.
    assert_eq!(probe_sees(&Site::new(), "env", "grant.env = [\"PATH\"]\n").await, "[]");
}

/// Starts a server on loopback that counts connections and always gives the same answer.
async fn server(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, visits) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&visits);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, visits)
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

#[tokio::test]
async fn sockets_are_refused_whatever_is_granted() {
    let (port, visits) = server(HELLO).await;
    let grants = format!("grant.http = [\"http://127.0.0.1:{port}\"]\n");
    let site = Site::new();
    assert!(
        probe_sees(&site, &format!("connect 127.0.0.1:{port}"), &grants).await.starts_with("Err(")
    );
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    assert_eq!(site.receipt("probe").refusals, ["a TCP socket"]);
    assert!(
        site.notes()
            .iter()
            .any(|note| note.contains("a TCP socket") && note.contains("WASI's HTTP")),
        "{:?}",
        site.notes()
    );
}

#[tokio::test]
async fn names_are_not_resolved_for_plugins() {
    let grants = "grant.http = [\"http://localhost\"]\n";
    for name in ["localhost", "example.org"] {
        let site = Site::new();
        let seen = probe_sees(&site, &format!("lookup {name}"), grants).await;
        assert!(seen.starts_with("Err("), "{name}: {seen}");
        assert_eq!(site.receipt("probe").refusals, ["the addresses of a name"]);
    }
}

#[tokio::test]
async fn a_redirect_to_an_inner_address_is_refused() {
    let (inner, visits) = server(HELLO).await;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:{inner}/\r\ncontent-length: 0\r\n\r\n"
    );
    let (outer, _) = server(answer.leak()).await;
    let grants = format!("grant.http = [\"http://127.0.0.1:{outer}\"]\n");
    let seen =
        probe_sees(&Site::new(), &format!("follow http://127.0.0.1:{outer}/"), &grants).await;
    assert_eq!(
        (seen.as_str(), visits.load(Ordering::SeqCst)),
        ("Err(\"ErrorCode::HttpRequestDenied\")", 0)
    );
}

#[tokio::test]
async fn http_goes_where_it_is_granted_and_nowhere_else() {
    let (port, visits) = server(HELLO).await;
    let (url, address) =
        (format!("http http://127.0.0.1:{port}/x"), format!("http://127.0.0.1:{port}"));
    let refused = [
        String::new(),
        format!("grant.http = [\"127.0.0.1:{port}\"]\n"),
        "grant.http = [\"http://127.0.0.1\"]\n".to_owned(),
        "grant.http = [\"http://example.org\"]\n".to_owned(),
    ];
    for grants in refused {
        let site = Site::new();
        assert_eq!(
            probe_sees(&site, &url, &grants).await,
            "Err(\"ErrorCode::HttpRequestDenied\")",
            "{grants}"
        );
        assert_eq!(site.receipt("probe").refusals, [format!("a request to `{address}`")]);
        let note = site.notes().pop().unwrap();
        assert!(
            note.contains("add to `[plugin.grant]` of `probe`")
                && note.ends_with(&format!("\"{address}\"]")),
            "{note}"
        );
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0, "no packet leaves");
    let grants = format!("grant.http = [\"{address}\"]\n");
    assert_eq!(probe_sees(&Site::new(), &url, &grants).await, "Ok((200, \"hello\"))");
}

#[tokio::test]
async fn a_name_with_an_inner_address_is_refused_unless_the_address_is_granted_too() {
    let (port, visits) = server(HELLO).await;
    let (site, url) = (Site::new(), format!("http http://localhost:{port}/"));
    let name = format!("grant.http = [\"http://localhost:{port}\"]\n");
    assert_eq!(probe_sees(&site, &url, &name).await, "Err(\"ErrorCode::HttpRequestDenied\")");
    assert!(
        site.receipt("probe").refusals[0].contains("is not public"),
        "{:?}",
        site.receipt("probe").refusals
    );
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    let both = format!(
        "grant.http = [\"http://localhost:{port}\", \"127.0.0.1:{port}\", \"[::1]:{port}\"]\n"
    );
    assert_eq!(probe_sees(&site, &url, &both).await, "Ok((200, \"hello\"))");
}

#[tokio::test]
async fn offline_everything_is_refused() {
    let (port, visits) = server(HELLO).await;
    let site = Site { offline: true, ..Site::new() };
    let grants = format!("grant.http = [\"http://127.0.0.1:{port}\"]\n");
    let seen = probe_sees(&site, &format!("http http://127.0.0.1:{port}/"), &grants).await;
    assert_eq!(
        (seen.as_str(), visits.load(Ordering::SeqCst)),
        ("Err(\"ErrorCode::HttpRequestDenied\")", 0)
    );
}

#[tokio::test]
async fn redirects_are_not_followed_and_bodies_have_a_limit() {
    let (port, _) =
        server("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")
            .await;
    let grants = format!("grant.http = [\"http://127.0.0.1:{port}\"]\n");
    assert_eq!(
        probe_sees(&Site::new(), &format!("http http://127.0.0.1:{port}/"), &grants).await,
        "Ok((302, \"\"))"
    );
    let huge: &'static str =
        format!("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n{}", "x".repeat(9_000_000))
            .leak();
    let (port, _) = server(huge).await;
    let grants = format!("grant.http = [\"http://127.0.0.1:{port}\"]\n");
    let seen = probe_sees(&Site::new(), &format!("http http://127.0.0.1:{port}/"), &grants).await;
    assert!(seen.starts_with("Err(\"StreamError::LastOperationFailed"), "{seen}");
}

/// Checks that TLS uses the machine's roots. They are read once per process, so this test runs
/// itself in another one.
#[tokio::test]
async fn https_is_checked_against_the_machine_s_roots() {
    if std::env::var_os("SSL_CERT_FILE")
        .is_none_or(|file| !Path::new(&file).ends_with("probe-root.pem"))
    {
        return in_a_process_with_its_own_root(
            "reach::https_is_checked_against_the_machine_s_roots",
        );
    }
    let root = std::env::var_os("SSL_CERT_FILE").unwrap();
    let good = tls_server(Path::new(&root).parent().unwrap().join("pair.pem")).await;
    let other = cowhand::demo::certificate::for_name("localhost").unwrap();
    let (folder, site) = (tempfile::tempdir().unwrap(), Site::new());
    let pair = folder.path().join("pair.pem");
    std::fs::write(&pair, other.certificate + &other.key).unwrap();
    let bad = tls_server(pair).await;
    for (port, expected) in
        [(good, "Ok((200, \"hello\"))"), (bad, "Err(\"ErrorCode::TlsProtocolError\")")]
    {
        let grants = format!(
            "grant.http = [\"localhost:{port}\", \"127.0.0.1:{port}\", \"[::1]:{port}\"]\n"
        );
        assert_eq!(
            probe_sees(&site, &format!("http https://localhost:{port}/"), &grants).await,
            expected
        );
    }
}

fn in_a_process_with_its_own_root(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let made = cowhand::demo::certificate::for_name("localhost").unwrap();
    std::fs::write(folder.path().join("probe-root.pem"), &made.certificate).unwrap();
    std::fs::write(folder.path().join("pair.pem"), made.certificate + &made.key).unwrap();
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    let again =
        again.args(["--exact", test]).env("SSL_CERT_FILE", folder.path().join("probe-root.pem"));
    let output = again.env_remove("SSL_CERT_DIR").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Starts a server that answers over TLS with the certificate and key in this file.
async fn tls_server(pair: std::path::PathBuf) -> u16 {
    let certificate = std::fs::read_to_string(pair).unwrap();
    let made = cowhand::demo::certificate::Certificate { key: certificate.clone(), certificate };
    let acceptor = tokio_rustls::TlsAcceptor::from(made.server().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(HELLO.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}
