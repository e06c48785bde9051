//! How upstream is reached: https with certificates, logins, redirects and proxies; and ssh, by a real `sshd`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cowhand::demo::http;
use cowhand::demo::https::Https;

use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: over_https,
    a_certificate_that_nobody_trusts_is_refused,
    through_the_proxy_of_the_environment_or_of_the_clone,
    a_login_in_the_address_is_used_and_never_shown,
    redirects_are_followed,
    what_is_no_git_server_is_named,
    a_server_that_is_not_there;
    Ssh: over_ssh,
    a_key_that_the_server_does_not_know,
    a_server_that_ssh_does_not_know,
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
        site.git(["clone", "--quiet", "--bare", &upstream, &folder.path().join("upstream.git").display().to_string()]);
        Self { site, folder }
    }

    /// The site's upstream is now at this address.
    fn at(&self, url: &str) {
        self.site.git(["remote", "set-url", "origin", url]);
    }

    /// An update up to the merge, which fetches.
    fn fetches(&self, environment: &[(&str, &str)]) -> Ran {
        let asked = self.site.prepared(["update", "--until", "merge", "--yes"]);
        environment.iter().fold(asked, |asked, (name, value)| asked.env(name, value)).run()
    }

    /// `check`, which looks only.
    fn looks(&self, environment: &[(&str, &str)]) -> Ran {
        let asked = self.site.prepared(["check"]);
        environment.iter().fold(asked, |asked, (name, value)| asked.env(name, value)).run()
    }
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
    assert_eq!(served.site.git(["rev-parse", "origin/master"]), served.site.upstream.tip().unwrap().to_string());
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
    served.looks(&[trusted]).exits(99).says("proxy");
    served.site.git(["config", "http.proxy", ""]);
    served.looks(&[trusted, ("https_proxy", "http://127.0.0.1:1")]).exits(0);
    served.site.git(["config", "http.proxy", "http://127.0.0.1:1"]);
    served.site.git(["config", "remote.origin.proxy", &front.url]);
    served.looks(&[trusted]).exits(0);
}

fn a_login_in_the_address_is_used_and_never_shown() {
    let served = Served::new();
    let front = Front::serve(Answers::Login(http::serve(served.folder.path()).unwrap()));
    served.at(&format!("{}/upstream.git", front.url));
    served.looks(&[]).exits(99).says("401").says("login may stand in the address");
    served.at(&format!("{}/upstream.git", front.url.replace("://", "://site:se%3Acret@")));
    served.fetches(&[]).exits(0).keeps_quiet_about("cret@");
    served.at(&format!("{}/upstream.git", front.url.replace("://", "://site:wrong-one@")));
    served.looks(&[]).exits(99).says("401").keeps_quiet_about("wrong-one");
}

fn redirects_are_followed() {
    let served = Served::new();
    let server = http::serve(served.folder.path()).unwrap();
    let front = Front::serve(Answers::Redirect(server));
    served.at(&format!("{}/upstream", front.url));
    served.fetches(&[]).exits(0);
    assert_eq!(served.site.git(["rev-parse", "origin/master"]), served.site.upstream.tip().unwrap().to_string());
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
    served.looks(&[]).exits(99).says("nowhere.invalid").says("Check the network");
}

/// What stands before a server, or in its place.
enum Answers {
    /// It is a proxy.
    Connect,
    /// It lets through, to this address, who says `site` and `se:cret`.
    Login(String),
    /// It sends everybody to this address, where the name ends with `.git`.
    Redirect(String),
    /// It answers with a page.
    Page,
}

/// A small server on loopback, until the test's process ends.
struct Front {
    url: String,
    seen: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Front {
    fn serve(answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let (counter, answers) = (seen.clone(), std::sync::Arc::new(answers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let answers = answers.clone();
                std::thread::spawn(move || answers.answer(stream));
            }
        });
        Self { url, seen }
    }

    /// How many have connected.
    fn seen(&self) -> usize {
        self.seen.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Answers {
    fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).unwrap() == 0 {
                return;
            }
        }
        let target = head.split_whitespace().nth(1).unwrap().to_owned();
        match self {
            Self::Connect => {
                stream.get_mut().write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                relay(stream, &target, "");
            }
            // site:se:cret
            Self::Login(to) if head.contains("c2l0ZTpzZTpjcmV0") => {
                relay(stream, to.trim_start_matches("http://"), &head);
            }
            Self::Login(_) => say(stream, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"upstream\"\r\n"),
            Self::Redirect(to) => {
                let place = format!("{to}{}", target.replacen("/upstream/", "/upstream.git/", 1));
                say(stream, "301 Moved Permanently", &format!("Location: {place}\r\n"));
            }
            Self::Page => say(stream, "200 OK", "Content-Type: text/html\r\n"),
        }
    }
}

fn say(mut stream: BufReader<TcpStream>, status: &str, headers: &str) {
    let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.get_mut().write_all(answer.as_bytes()).unwrap();
}

/// Carries everything to `to` and back, this first.
fn relay(mut stream: BufReader<TcpStream>, to: &str, first: &str) {
    let mut there = TcpStream::connect(to.replace("localhost", "127.0.0.1")).unwrap();
    there.write_all(first.as_bytes()).unwrap();
    let (mut back, mut answers) = (stream.get_ref().try_clone().unwrap(), there.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let _ = std::io::copy(&mut stream, &mut there);
    let _ = there.shutdown(Shutdown::Both);
}

/// An ssh server on loopback that lets one key in, and an `ssh` that is pointed to a configuration of the test's own.
struct Sshd {
    server: std::process::Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Sshd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "site", "stranger"] {
            runs(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]));
        }
        // Who asks for no port gets one that is free: taken, and let go of for the server.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        std::fs::copy(at("site.pub"), at("authorized")).unwrap();
        let known = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known"), format!("[127.0.0.1]:{port} {known}")).unwrap();
        let server = [
            format!("ListenAddress 127.0.0.1:{port}"),
            format!("HostKey {}", at("host")),
            format!("AuthorizedKeysFile {}", at("authorized")),
            "PidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin prohibit-password\nPasswordAuthentication no"
                .to_owned(),
        ];
        std::fs::write(at("sshd_config"), server.join("\n") + "\n").unwrap();
        // Debian's sshd wants this folder, and makes it only where it is started as a service.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f", &at("sshd_config")]).stderr(log);
        let server = command.spawn().unwrap();
        let sshd = Self { server, folder, port };
        sshd.is_asked_with("site", "known");
        sshd.answers();
        sshd
    }

    /// `ssh`, as Cowhand finds it, uses this key and these known hosts. The real one reads root's own files, wherever `HOME` is.
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
        cowhand::files::write(&bin.join("ssh"), script.as_bytes(), 0o755).unwrap();
    }

    fn answers(&self) {
        let since = Instant::now();
        loop {
            let greeted = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.read_exact(&mut [0; 4])
            });
            if greeted.is_ok() {
                return;
            }
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(since.elapsed() < Duration::from_mins(1), "sshd does not answer: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
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
    served.fetches(&[("PATH", &path)]).exits(0);
    assert_eq!(served.site.git(["rev-parse", "origin/master"]), served.site.upstream.tip().unwrap().to_string());
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
    served.looks(&[("PATH", &sshd.path())]).exits(99).says("Host key verification failed").says("not trusted here");
}

fn a_repository_that_is_not_there() {
    let (served, sshd) = (Served::new(), Sshd::start());
    served.at(&sshd.url(&served.folder.path().join("nothing.git")));
    served.looks(&[("PATH", &sshd.path())]).exits(99).says("does not appear to be a git repository");
    served.at("ssh://-oProxyCommand=true/path");
    served.looks(&[("PATH", &sshd.path())]).exits(99).says("no address");
}
