//! What is outside the program and misbehaves: old engines, broken registries, full disks, other tools in the path.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

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
                    answer(&mut stream, "200 OK\r\nApi-Version: 1.29\r\nContent-Type: application/json", body);
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

/// A registry that answers every request with 500.
pub struct BrokenRegistry {
    port: u16,
}

impl BrokenRegistry {
    /// Answers until the suite ends.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("a port").port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || answer(&mut stream, "500 Internal Server Error", "out of order"));
            }
        });
        Self { port }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// One answer to whatever is asked; the connection ends with it.
fn answer(stream: &mut (impl Read + Write), status: &str, body: &str) {
    let mut asked = Vec::new();
    let mut buffer = [0; 1024];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => asked.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
}

/// A folder for `PATH` with these scripts and otherwise the tools that every machine has, but no docker.
pub fn path_with(scripts: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for tool in ["bash", "sh", "git", "env", "cat"] {
        let places = ["/usr/local/bin", "/usr/bin", "/bin"].map(|place| Path::new(place).join(tool));
        let found = places.iter().find(|place| place.exists()).expect("a tool of every machine");
        std::os::unix::fs::symlink(found, folder.path().join(tool)).expect("a link");
    }
    for (name, text) in scripts {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    folder
}

/// A file system of a few kilobytes in a folder, until dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it; the folder is made where it is missing.
    pub fn mount(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8k,mode=0700", "tmpfs"]).arg(folder).status();
        assert!(mounted.expect("mount starts").success(), "a small file system is mounted");
        Self { folder: folder.to_owned() }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
