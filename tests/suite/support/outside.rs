//! The misbehaving world outside: old engines, broken registries, full disks, other tools in the
//! path.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use cowhand::site::mailcow::host::TOOLS;
use tempfile::TempDir;

/// An engine of a version before what Cowhand needs, as far as a client gets with it.
pub struct OldEngine {
    folder: TempDir,
}

impl OldEngine {
    /// Answers until the suite ends.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let body = r#"{"Version":"17.05.0-ce","ApiVersion":"1.29","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;
                    answer(
                        &mut stream,
                        "200 OK\r\nApi-Version: 1.29\r\nContent-Type: application/json",
                        body,
                    );
                });
            }
        });
        Self { folder }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }
}

/// The first byte of who wants to speak TLS.
const TLS_HANDSHAKE: u8 = 0x16;

/// Stands before a registry and answers some requests itself: each connection's first request is
/// shown to what decides that.
pub struct Gate {
    port: u16,
}

impl Gate {
    /// Before the registry at `HOST:PORT` until the suite ends. `refuses` gets the head of a
    /// request, and gives the status line and more headers of the answer where it is not let
    /// through.
    pub fn before(
        registry: &str,
        refuses: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        Self::new(registry, refuses, std::io::copy)
    }

    fn new(
        registry: &str,
        refuses: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
        speaks: impl Fn(&mut TcpStream, &mut TcpStream) -> std::io::Result<u64> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let (before, registry) = (Arc::new((refuses, speaks)), registry.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (before, registry) = (Arc::clone(&before), registry.clone());
                thread::spawn(move || serve(client, &before.0, &before.1, &registry));
            }
        });
        Self { port }
    }

    /// The same that lets everything through, but of what it says on a connection no more than so
    /// many bytes while `held` is true.
    pub fn holding(registry: &str, bytes: u64, held: Arc<AtomicBool>) -> Self {
        let speaks = move |server: &mut TcpStream, client: &mut TcpStream| {
            std::io::copy(&mut server.take(bytes), client)?;
            while held.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(20));
            }
            std::io::copy(server, client)
        };
        Self::new(registry, |_| None, speaks)
    }

    /// A registry that answers every request with 500.
    pub fn broken() -> Self {
        Self::before("127.0.0.1:9", |_| Some("500 Internal Server Error"))
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn serve(
    mut client: TcpStream,
    refuses: &dyn Fn(&str) -> Option<&'static str>,
    speaks: &dyn Fn(&mut TcpStream, &mut TcpStream) -> std::io::Result<u64>,
    registry: &str,
) -> Option<()> {
    let mut first = [0];
    client.peek(&mut first).ok()?;
    // Engines try TLS first; who hangs up on them is tried without.
    if first[0] == TLS_HANDSHAKE {
        return None;
    }
    let head = head(&mut client)?;
    if let Some(status) = refuses(&String::from_utf8_lossy(&head)) {
        return say(
            &mut client,
            status,
            r#"{"errors": [{"code": "DENIED", "message": "denied by the test"}]}"#,
        );
    }
    let mut server = TcpStream::connect(registry).ok()?;
    server.write_all(&head).ok()?;
    let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let up = thread::spawn(move || {
        std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write))
    });
    speaks(&mut server, &mut client).ok()?;
    client.shutdown(Shutdown::Both).ok()?;
    up.join().ok().map(drop)
}

/// Stands before an engine and, at the first request that has these words in it, does something or
/// goes away with all its connections.
pub struct Relay {
    folder: TempDir,
}

/// The shared state of the relay's connections.
struct Relayed {
    engine: String,
    words: &'static str,
    /// The relay's behaviour then.
    act: Box<dyn Fn() + Send + Sync>,
    /// For how long it is away, once.
    away: Duration,
    gone: Mutex<Option<Instant>>,
    open: Mutex<Vec<UnixStream>>,
}

impl Relay {
    /// Before the engine at this address until the suite ends.
    pub fn before(engine: &str, words: &'static str, away: Duration) -> Self {
        Self::new(engine, words, away, Box::new(|| ()))
    }

    /// The same, but it stays and does this before it hands that request on.
    pub fn doing(
        engine: &str,
        words: &'static str,
        act: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self::new(engine, words, Duration::ZERO, Box::new(act))
    }

    fn new(
        engine: &str,
        words: &'static str,
        away: Duration,
        act: Box<dyn Fn() + Send + Sync>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket");
        let engine = engine.strip_prefix("unix://").expect("an engine on this machine").to_owned();
        let shared =
            Relayed { engine, words, act, away, gone: Mutex::default(), open: Mutex::default() };
        let shared = Arc::new(shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(client));
            }
        });
        Self { folder }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }
}

impl Relayed {
    fn is_away(&self) -> bool {
        self.gone.lock().unwrap().is_some_and(|since| since.elapsed() < self.away)
    }

    fn serve(&self, mut client: UnixStream) -> Option<()> {
        if self.is_away() {
            return None;
        }
        let mut server = UnixStream::connect(&self.engine).ok()?;
        self.open.lock().unwrap().extend([client.try_clone().ok()?, server.try_clone().ok()?]);
        let (mut from, mut to) = (server.try_clone().ok()?, client.try_clone().ok()?);
        thread::spawn(move || {
            // Also where the engine died over a request that it had not read.
            let _ = std::io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Both)
        });
        let mut buffer = [0; 16384];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let asked = String::from_utf8_lossy(&buffer[..count]);
            let mut gone = self.gone.lock().unwrap();
            if gone.is_none() && asked.contains(self.words) {
                *gone = Some(Instant::now());
                drop(gone);
                (self.act)();
                if self.away.is_zero() {
                    server.write_all(&buffer[..count]).ok()?;
                    continue;
                }
                for stream in self.open.lock().unwrap().drain(..) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                return None;
            }
            drop(gone);
            server.write_all(&buffer[..count]).ok()?;
        }
        server.shutdown(Shutdown::Both).ok()
    }
}

/// An engine that takes connections and says nothing.
pub fn silent_engine(folder: &Path) -> String {
    let socket = folder.join("sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    thread::spawn(move || {
        let mut held = Vec::new();
        for client in listener.incoming().flatten() {
            held.push(client);
        }
    });
    format!("unix://{}", socket.display())
}

/// One answer to whatever is asked; the connection ends with it.
fn answer(stream: &mut (impl Read + Write), status: &str, body: &str) {
    if head(stream).is_some() {
        say(stream, status, body);
    }
}

/// The head of a request, and what came with it.
fn head(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut asked = Vec::new();
    let mut buffer = [0; 1024];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => asked.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
    Some(asked)
}

fn say(stream: &mut impl Write, status: &str, body: &str) -> Option<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .ok()
}

/// A folder for `PATH` with these scripts and otherwise the tools that every machine has, but no
/// docker.
pub fn path_with(scripts: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for tool in ["sh", "git", "env", "cat"].into_iter().chain(TOOLS) {
        let places =
            ["/usr/local/bin", "/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
        let found = places.iter().find(|place| place.exists()).expect("a tool of every machine");
        std::os::unix::fs::symlink(found, folder.path().join(tool)).expect("a link");
    }
    for (name, text) in scripts {
        program(&folder.path().join(name), text.as_bytes());
    }
    folder
}

/// Puts a program there. A process without threads writes it: whatever another test starts
/// meanwhile would inherit a file that this one holds open for writing, and what somebody writes
/// cannot be started ("Text file busy").
pub fn program(path: &Path, content: &[u8]) {
    let mut install = Command::new("install")
        .arg("/dev/stdin")
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("install starts");
    install.stdin.take().expect("a pipe").write_all(content).expect("a program is taken");
    assert!(install.wait().expect("install ends").success(), "{} is not installed", path.display());
}

/// A small file system in a folder, until dropped.
pub struct SmallDisk {
    folder: PathBuf,
    size: String,
}

impl SmallDisk {
    /// Mounts one of a few kilobytes; the folder is made where it is missing.
    pub fn mount(folder: &Path) -> Self {
        let disk = Self { folder: folder.to_owned(), size: "8k".to_owned() };
        std::fs::create_dir_all(folder).expect("a folder");
        mount(&["-t", "tmpfs", "-o", "size=8k,mode=0700", "tmpfs"], folder);
        disk
    }

    /// Mounts an empty one with so much room.
    pub fn empty(folder: &Path, megabytes: u32) -> Self {
        let disk = Self { folder: folder.to_owned(), size: format!("{megabytes}m") };
        mount(&["-t", "tmpfs", "-o", &format!("size={},mode=0711", disk.size), "tmpfs"], folder);
        disk
    }

    /// Puts what is in a folder on a file system of its own, with so much room.
    pub fn under(folder: &Path, megabytes: u32) -> Self {
        let disk = Self { folder: folder.to_owned(), size: format!("{megabytes}m") };
        let beside = folder.with_extension("moved");
        std::fs::rename(folder, &beside)
            .and_then(|()| std::fs::create_dir(folder))
            .expect("a folder is moved");
        mount(&["-t", "tmpfs", "-o", &format!("size={},mode=0755", disk.size), "tmpfs"], folder);
        let copied = Command::new("cp").arg("--archive").arg(beside.join(".")).arg(folder).status();
        assert!(copied.expect("cp starts").success(), "the folder is copied");
        std::fs::remove_dir_all(&beside).expect("the original goes");
        disk
    }

    /// Leaves no room.
    pub fn fill(&self) {
        self.leave(0);
    }

    /// Leaves so many bytes of room.
    pub fn leave(&self, bytes: u64) {
        let found = rustix::fs::statvfs(&self.folder).expect("a file system");
        self.resize(&((found.f_blocks - found.f_bfree) * found.f_frsize + bytes).to_string());
    }

    /// Gives the room back.
    pub fn make_room(&self) {
        self.resize(&self.size);
    }

    fn resize(&self, size: &str) {
        mount(&["-o", &format!("remount,size={size}")], &self.folder);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.folder);
        // The site's drop could not remove a mount point.
        let _ = std::fs::remove_dir(&self.folder);
        let _ = self.folder.parent().map(std::fs::remove_dir);
    }
}

/// A folder that can be read and not written, until dropped.
pub struct ReadOnly(PathBuf);

impl ReadOnly {
    /// Makes it so.
    pub fn mount(folder: &Path) -> Self {
        mount(&["--bind", &folder.display().to_string()], folder);
        mount(&["-o", "remount,bind,ro"], folder);
        Self(folder.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        unmount(&self.0);
    }
}

fn mount(arguments: &[&str], folder: &Path) {
    let mounted = Command::new("mount").args(arguments).arg(folder).status();
    assert!(mounted.expect("mount starts").success(), "mount {arguments:?} {}", folder.display());
}

fn unmount(folder: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(folder).status();
}
