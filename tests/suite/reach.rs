//! Reaching upstream: https with certificates, logins, redirects and proxies; and ssh, by a real
//! `sshd`.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cowhand::demo::http::{self, Request};
use cowhand::demo::https::Https;

use crate::support::ran::{Cowhand, Ran};
use crate::support::site::Site;
use crate::support::{outside, tests};

tests! {
    Nothing: over_https,
    a_certificate_that_nobody_trusts_is_refused,
    through_the_proxy_of_the_environment_or_of_the_clone,
    a_login_in_the_address_is_used_and_never_shown,
    a_login_is_for_the_server_that_it_was_given_for,
    redirects_are_followed,
    what_is_no_git_server_is_named,
    a_server_that_is_not_there;
    Ssh: over_ssh,
    a_key_that_the_server_does_not_know,
    a_server_that_ssh_does_not_know,
    a_server_whose_git_breaks_off,
    a_machine_without_ssh,
    a_repository_that_is_not_there,
}

/// A site one release behind, whose upstream is served at some address.
struct Served {
    site: Site,
    folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let site = Site::without_engine().behind_one_release();
        let folder = tempfile::tempdir().unwrap();
        let upstream = site.upstream.folder().display().to_string();
        site.git([
            "clone",
            "--quiet",
            "--bare",
            &upstream,
            &folder.path().join("upstream.git").display().to_string(),
        ]);
        Self { site, folder }
    }

    /// The site's upstream is now at this address.
    fn at(&self, url: &str) {
        self.site.git(["remote", "set-url", "origin", url]);
    }

    /// An update up to the merge, which fetches.
    fn fetches(&self, environment: &[(&str, &str)]) -> Ran {
        run_in(self.site.prepared(["update", "--until", "merge", "--yes"]), environment)
    }

    /// `check`, which looks only.
    fn looks(&self, environment: &[(&str, &str)]) -> Ran {
        run_in(self.site.prepared(["check"]), environment)
    }
}

fn run_in(asked: Cowhand, environment: &[(&str, &str)]) -> Ran {
    environment.iter().fold(asked, |asked, (name, value)| asked.env(name, value)).run()
}

fn over_https() {
    let served = Served::new();
    let server = Https::serve(served.folder.path()).unwrap();
    served.at(&format!("{}/upstream.git", server.url));
    let trusted = [("SSL_CERT_FILE", server.trusted.to_str().unwrap())];
    let before = served.site.state();
    served.looks(&trusted).exits(0).says("Release 2026-03");
    served.site.is_untouched_since(&before);
    served.fetches(&trusted).exits(0);
    assert_eq!(
        served.site.git(["rev-parse", "origin/master"]),
        served.site.upstream.tip().unwrap().to_string()
    );
}

fn a_certificate_that_nobody_trusts_is_refused() {
    let served = Served::new();
    let server = Https::serve(served.folder.path()).unwrap();
    served.at(&format!("{}/upstream.git", server.url));
    let before = served.site.state();
    served.looks(&[]).exits(99).says("certificate").says("not trusted here");
    served.site.is_untouched_since(&before);
}

fn through_the_proxy_of_the_environment_or_of_the_clone() {
    let served = Served::new();
    let server = Https::serve(served.folder.path()).unwrap();
    let front = Front::serve(Answers::Connect);
    served.at(&format!("{}/upstream.git", server.url));
    let trusted = ("SSL_CERT_FILE", server.trusted.to_str().unwrap());
    served.looks(&[trusted, ("https_proxy", &front.url)]).exits(0);
    let seen = front.seen();
    assert!(seen > 0, "the proxy of the environment was not asked");
    served.looks(&[trusted, ("https_proxy", &front.url), ("no_proxy", "localhost")]).exits(0);
    assert_eq!(front.seen(), seen, "the proxy was asked for a host that needs none");
    served.site.git(["config", "http.proxy", &front.url.replace("http://127.0.0.1", "localhost")]);
    served.looks(&[trusted]).exits(0);
    assert!(front.seen() > seen, "the proxy of the clone was not asked");
    served.site.git(["config", "http.proxy", "http://127.0.0.1:1"]);
    served.looks(&[trusted]).exits(99).says("refused");
    served.site.git(["config", "http.proxy", "gopher://me:hidden@127.0.0.1:1"]);
    served.looks(&[trusted]).exits(99).says("`gopher` is none of http").keeps_quiet_about("hidden");
    served.site.git(["config", "http.proxy", ""]);
    served.looks(&[trusted, ("https_proxy", "http://127.0.0.1:1")]).exits(0);
    served.site.git(["config", "http.proxy", "http://127.0.0.1:1"]);
    served.site.git(["config", "remote.origin.proxy", &front.url]);
    served.looks(&[trusted]).exits(0);
}

fn a_login_in_the_address_is_used_and_never_shown() {
    let served = Served::new();
    let front = Front::serve(Answers::Login(served.folder.path().to_owned()));
    served.at(&format!("{}/upstream.git", front.url));
    served.looks(&[]).exits(99).says("401").says("login may stand in the address");
    served.at(&format!("{}/upstream.git", front.url.replace("://", "://site:se%3Akret7@")));
    served.fetches(&[]).exits(0).keeps_quiet_about("kret7");
    let mut search = Command::new("grep");
    search
        .args(["--recursive", "--files-with-matches", "--exclude-dir=.git", "kret7"])
        .arg(served.site.root());
    let kept = search.output().unwrap();
    assert_eq!(
        kept.status.code(),
        Some(1),
        "the login is kept in {}",
        String::from_utf8_lossy(&kept.stdout)
    );
    served.at(&format!("{}/upstream.git", front.url.replace("://", "://site:wrong-one@")));
    served.looks(&[]).exits(99).says("401").keeps_quiet_about("wrong-one");
}

fn a_login_is_for_the_server_that_it_was_given_for() {
    let served = Served::new();
    let other = Front::serve(Answers::Login(served.folder.path().to_owned()));
    let front = Front::serve(Answers::Redirect(other.url.clone()));
    served.at(&format!("{}/upstream", front.url.replace("://", "://site:se%3Akret7@")));
    served.looks(&[]).exits(99).says(&format!("{}/upstream.git", other.url)).says("401");
}

fn redirects_are_followed() {
    let served = Served::new();
    let server = http::serve(served.folder.path()).unwrap();
    let front = Front::serve(Answers::Redirect(server));
    served.at(&format!("{}/upstream", front.url));
    served.fetches(&[]).exits(0);
    assert_eq!(
        served.site.git(["rev-parse", "origin/master"]),
        served.site.upstream.tip().unwrap().to_string()
    );
}

fn what_is_no_git_server_is_named() {
    let served = Served::new();
    let front = Front::serve(Answers::Page);
    served.at(&format!("{}/upstream.git", front.url));
    served.looks(&[]).exits(99).says("text/html").says("git ls-remote");
    served.at(&format!("{}/nothing.git", http::serve(served.folder.path()).unwrap()));
    let before = served.site.state();
    served.looks(&[]).exits(99).says("404");
    served.site.is_untouched_since(&before);
}

fn a_server_that_is_not_there() {
    let served = Served::new();
    served.at("https://127.0.0.1:1/upstream.git");
    served.looks(&[]).exits(99).says("refused").says("Check the network");
    served.at("https://nowhere.invalid/upstream.git");
    served.looks(&[]).exits(99).says("lookup").says("Check the network");
}

/// A server in front of another one, or in its place.
enum Answers {
    /// It is a proxy.
    Connect,
    /// It serves this folder's repositories to who says `site` and `se:kret7`.
    Login(PathBuf),
    /// It sends everybody to this address, where the name ends with `.git`.
    Redirect(String),
    /// It answers with a page.
    Page,
}

/// A small server on loopback, until the test's process ends.
struct Front {
    url: String,
    seen: Arc<AtomicUsize>,
}

impl Front {
    fn serve(answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<AtomicUsize>::default();
        let (counter, answers) = (seen.clone(), Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                let answers = answers.clone();
                std::thread::spawn(move || answers.answer(stream));
            }
        });
        Self { url, seen }
    }

    /// Returns the number of connections.
    fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Answers {
    /// Answers one connection's requests, each on its own.
    fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream) {
            let answer = match self {
                Self::Connect => {
                    stream
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                        .unwrap();
                    return relay(stream, &request.path);
                }
                // site:se:kret7
                Self::Login(folder)
                    if request.header("authorization") == Some("Basic c2l0ZTpzZTprcmV0Nw==") =>
                {
                    request.ask_git(folder).unwrap()
                }
                Self::Login(_) => {
                    empty("401 Unauthorized", "WWW-Authenticate: Basic realm=\"upstream\"")
                }
                Self::Redirect(to) => {
                    let path = request.path.replacen("/upstream/", "/upstream.git/", 1);
                    empty(
                        "301 Moved Permanently",
                        &format!("Location: {to}{path}?{}", request.query),
                    )
                }
                Self::Page => empty("200 OK", "Content-Type: text/html"),
            };
            stream.get_mut().write_all(&answer).unwrap();
        }
    }
}

fn empty(status: &str, header: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{header}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// Carries everything to `to` and back.
fn relay(mut stream: BufReader<TcpStream>, to: &str) {
    let mut there = TcpStream::connect(to.replace("localhost", "127.0.0.1")).unwrap();
    let (mut back, mut answers) =
        (stream.get_ref().try_clone().unwrap(), there.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut stream, &mut there);
    let _ = there.shutdown(Shutdown::Both);
}

/// An ssh server on loopback that lets one key in, and an `ssh` that is pointed to a configuration
/// of the test's own.
struct Sshd {
    server: std::process::Child,
    folder: tempfile::TempDir,
    port: u16,
}

/// Debian's sshd wants a folder that it makes only where it is started as a service: here it has a
/// `/run` of its own. It ends with the test.
const ALONE: [&str; 7] = ["--mount", "setpriv", "--pdeathsig", "KILL", "sh", "-c", START];
const START: &str = "mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec /usr/sbin/sshd -D -e -f \"$0/sshd_config\" 2>\"$0/log\"";

impl Sshd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "site", "stranger"] {
            runs(Command::new("ssh-keygen").args([
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                &at(key),
            ]));
        }
        std::fs::copy(at("site.pub"), at("authorized")).unwrap();
        let (server, port) = (0..5).find_map(|_| serve(folder.path())).expect("sshd starts");
        let known = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let sshd = Self { server, folder, port };
        sshd.is_asked_with("site", "known");
        sshd
    }

    /// `ssh`, as Cowhand finds it, uses this key and these known hosts. The real one reads root's
    /// own files, wherever `HOME` is.
    fn is_asked_with(&self, key: &str, known: &str) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let config = [
            format!("IdentityFile {}", at(key)),
            format!("UserKnownHostsFile {}", at(known)),
            "IdentitiesOnly yes\nIdentityAgent none\nGlobalKnownHostsFile /dev/null".to_owned(),
        ];
        std::fs::write(at("ssh_config"), config.join("\n") + "\n").unwrap();
        let bin = self.folder.path().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("ssh_config"));
        outside::program(&bin.join("ssh"), script.as_bytes());
    }

    /// Returns the number of logins.
    fn logins(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("log"))
            .unwrap()
            .matches("Accepted publickey")
            .count()
    }

    fn path(&self) -> String {
        format!("{}:{}", self.folder.path().join("bin").display(), std::env::var("PATH").unwrap())
    }

    fn url(&self, repository: &Path) -> String {
        format!("ssh://root@127.0.0.1:{}{}", self.port, repository.display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Starts it on a port that was free a moment ago. `None` if another process was faster.
fn serve(folder: &Path) -> Option<(std::process::Child, u16)> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    // Without PAM, whose password is locked as some systems lock it is let in by no key either.
    let locked =
        std::fs::read_to_string("/etc/shadow").is_ok_and(|shadow| shadow.contains("root:!"));
    let config = [
        format!("ListenAddress 127.0.0.1:{port}"),
        format!("HostKey {}", folder.join("host").display()),
        format!("AuthorizedKeysFile {}", folder.join("authorized").display()),
        format!("UsePAM {}", if locked { "yes" } else { "no" }),
        "PidFile none\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n".to_owned(),
    ];
    std::fs::write(folder.join("sshd_config"), config.join("\n")).unwrap();
    let mut server = Command::new("unshare").args(ALONE).arg(folder).spawn().unwrap();
    while server.try_wait().unwrap().is_none() {
        let greeted = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.read_exact(&mut [0; 4])
        });
        if greeted.is_ok() {
            return Some((server, port));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    eprintln!("sshd: {}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
    None
}

fn runs(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn over_ssh() {
    let (served, sshd) = (Served::new(), Sshd::start());
    // The path is the other side's shell's to read.
    let odd = served.folder.path().join("it's up!stream.git");
    std::fs::rename(served.folder.path().join("upstream.git"), &odd).unwrap();
    served.at(&sshd.url(&odd).replace(' ', "%20"));
    let path = sshd.path();
    let before = served.site.state();
    served.looks(&[("PATH", &path)]).exits(0).says("Release 2026-03");
    served.site.is_untouched_since(&before);
    assert_eq!(sshd.logins(), 1, "what lists the refs brings the commits, too");
    served.fetches(&[("PATH", &path)]).exits(0);
    assert_eq!(
        served.site.git(["rev-parse", "origin/master"]),
        served.site.upstream.tip().unwrap().to_string()
    );
}

fn a_key_that_the_server_does_not_know() {
    let (served, sshd) = (Served::new(), Sshd::start());
    sshd.is_asked_with("stranger", "known");
    served.at(&sshd.url(&served.folder.path().join("upstream.git")));
    served.looks(&[("PATH", &sshd.path())]).exits(99).says("Permission denied").says("BatchMode");
}

fn a_server_that_ssh_does_not_know() {
    let (served, sshd) = (Served::new(), Sshd::start());
    sshd.is_asked_with("site", "nobody");
    served.at(&sshd.url(&served.folder.path().join("upstream.git")));
    served
        .looks(&[("PATH", &sshd.path())])
        .exits(99)
        .says("Host key verification failed")
        .says("not trusted here");
}

fn a_repository_that_is_not_there() {
    let (served, sshd) = (Served::new(), Sshd::start());
    served.at(&sshd.url(&served.folder.path().join("nothing.git")));
    served
        .looks(&[("PATH", &sshd.path())])
        .exits(99)
        .says("does not appear to be a git repository");
    served.at("ssh://-oProxyCommand=true/path");
    served.looks(&[("PATH", &sshd.path())]).exits(99).says("no address");
}

fn a_server_whose_git_breaks_off() {
    let (served, sshd) = (Served::new(), Sshd::start());
    let upstream = served.folder.path().join("upstream.git");
    served.at(&sshd.url(&upstream));
    // The refs are there, the pack cannot be made.
    let tree = Command::new("git")
        .arg("-C")
        .arg(&upstream)
        .args(["rev-parse", "master^{tree}"])
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    std::fs::remove_file(upstream.join("objects").join(&tree[..2]).join(tree[2..].trim())).unwrap();
    let before = served.site.state();
    served
        .looks(&[("PATH", &sshd.path())])
        .exits(99)
        .says("possible repository corruption on the remote side");
    served.site.is_untouched_since(&before);
}

fn a_machine_without_ssh() {
    let served = Served::new();
    served.at("git@mail.example.org:upstream.git");
    let nothing = served.folder.path().display().to_string();
    served
        .looks(&[("PATH", &nothing)])
        .exits(99)
        .says("no `ssh`")
        .says("apt install openssh-client");
}
