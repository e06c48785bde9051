//! The one program in all images of the demo and the tests: static, without dependencies, told by
//! its environment how to behave. `build.rs` compiles it by itself; it is no part of the library.
//!
//! | variable | meaning |
//! |---|---|
//! | `LISTEN` | `PORT=GREETING;PORT=GREETING…`: TCP ports, each greeting who connects; the greeting `http` answers requests instead |
//! | `START_DELAY` | milliseconds before it listens and is healthy |
//! | `STOP_DELAY` | milliseconds between SIGTERM and its end |
//! | `READ` | `PATH:PATH…`: files read at the start and written to the log; a missing one, or one with the line `broken`, ends it with 78 |
//! | `NEED` | `NAME,NAME…`: variables without which it ends with 78 |
//! | `WRITE` | a file to which it appends a line at each start: what is kept in a volume |
//! | `UNHEALTHY` | set: `health` says no |
//! | `EXIT` | set: ends with this code instead of running |
//! | `CRASH_AFTER` | milliseconds after which it ends with 1 |
//! | `DUMP_FAILS` | set: `mariadb-dump` breaks off in its middle |
//! | `DATABASE_SIZE` | how many bytes `mariadb` says that the tables hold, when it is asked a question |
//! | `MEDDLE` | `DIR:DIR…`: what is below goes, is a link to `MEDDLE_OUTSIDE` for a moment, and comes back |
//! | `DUMP_SIZE` | how many bytes of rows `mariadb-dump` adds |
//!
//! Under the names `mariadb-dump` and `mariadb` it stands in for MariaDB's: with the root's
//! password it prints the file of `WRITE` as a dump, and writes it from one.
//!
//! As a command: `service health` (for a `HEALTHCHECK`), `service cat PATH` (what the container
//! sees).

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::exit;
use std::thread;
use std::time::Duration;

/// The exit code for a configuration that it cannot use (`EX_CONFIG`).
const BAD_CONFIGURATION: i32 = 78;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.first().map_or("", |name| name.rsplit('/').next().unwrap_or("")) {
        "mariadb-dump" => return dump(),
        "mariadb" if arguments.iter().any(|one| one == "--execute") => return tell_size(),
        "mariadb" => return read_dump(),
        _ => {}
    }
    match arguments.get(1).map(String::as_str) {
        None => serve(),
        Some("health") => exit(i32::from(!healthy())),
        Some("cat") => cat(arguments.get(2).map_or("", String::as_str)),
        Some(other) => {
            eprintln!("service: unknown command {other}");
            exit(2);
        }
    }
}

fn serve() -> ! {
    let stop = signals::hold();
    check_environment();
    read_configuration();
    if let Some(code) = number("EXIT") {
        eprintln!("service: told to end with {code}");
        exit(i32::try_from(code).unwrap_or(1));
    }
    note_start();
    thread::spawn(listen_everywhere);
    thread::spawn(meddling::meddle);
    if let Some(after) = number("CRASH_AFTER") {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(after));
            eprintln!("service: told to crash");
            exit(1);
        });
    }
    stop.wait();
    pause("STOP_DELAY");
    println!("stopped");
    exit(0);
}

fn check_environment() {
    for name in list("NEED", ',') {
        if env::var_os(&name).is_none_or(|value| value.is_empty()) {
            eprintln!("service: {name} is not set");
            exit(BAD_CONFIGURATION);
        }
    }
}

fn read_configuration() {
    for path in list("READ", ':') {
        match fs::read_to_string(&path) {
            Err(error) => {
                eprintln!("service: {path}: {error}");
                exit(BAD_CONFIGURATION);
            }
            Ok(text) if text.lines().any(|line| line.trim() == "broken") => {
                eprintln!("service: {path}: unknown directive `broken`");
                exit(BAD_CONFIGURATION);
            }
            Ok(text) => text.lines().for_each(|line| println!("{path}: {line}")),
        }
    }
}

fn note_start() {
    let Ok(path) = env::var("WRITE") else { return };
    let written = fs::OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = written.and_then(|mut file| writeln!(file, "started")) {
        eprintln!("service: {path}: {error}");
        exit(1);
    }
}

fn listen_everywhere() {
    pause("START_DELAY");
    for (port, greeting) in ports() {
        match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            Ok(listener) => {
                thread::spawn(move || {
                    for stream in listener.incoming().flatten() {
                        let greeting = greeting.clone();
                        thread::spawn(move || talk(stream, &greeting));
                    }
                });
            }
            Err(error) => {
                eprintln!("service: port {port}: {error}");
                exit(1);
            }
        }
    }
    println!("ready");
}

/// Greets, then answers each line as little as a client needs to go away in order.
fn talk(mut stream: TcpStream, greeting: &str) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut buffer = [0; 4096];
    if greeting == "http" {
        if matches!(stream.read(&mut buffer), Ok(1..)) {
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n",
            );
        }
        return;
    }
    let _ = stream.write_all(format!("{greeting}\r\n").as_bytes());
    while let Ok(1..) = stream.read(&mut buffer) {
        let _ = stream.write_all(b"221 bye\r\n");
    }
}

fn healthy() -> bool {
    let listening = |(port, _)| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
    env::var_os("UNHEALTHY").is_none() && ports().into_iter().all(listening)
}

fn cat(path: &str) {
    match fs::read(path) {
        Ok(bytes) => {
            let _ = std::io::stdout().write_all(&bytes);
        }
        Err(error) => {
            eprintln!("service: {path}: {error}");
            exit(1);
        }
    }
}

/// The file in which the stand-in for a database keeps its lines; whoever has not its root's
/// password gets nothing.
fn database() -> String {
    if env::var("MYSQL_PWD").ok() != env::var("MYSQL_ROOT_PASSWORD").ok() {
        eprintln!("ERROR 1045 (28000): Access denied for user 'root'@'localhost'");
        exit(1);
    }
    env::var("WRITE").unwrap_or_default()
}

fn dump() {
    let lines = fs::read_to_string(database()).unwrap_or_default();
    println!("-- MariaDB dump of a stand-in");
    lines.lines().for_each(|line| println!("INSERT INTO lines VALUES ('{line}');"));
    let row = "-- a row\n".repeat(8192);
    (0..number("DUMP_SIZE").unwrap_or(0) / row.len() as u64).for_each(|_| print!("{row}"));
    if env::var_os("DUMP_FAILS").is_some() {
        eprintln!("mariadb-dump: Error 2013: Lost connection to server during query");
        exit(3);
    }
    println!("-- Dump completed on 2026-01-01  0:00:00");
}

fn tell_size() {
    database();
    println!("{}", number("DATABASE_SIZE").unwrap_or(0));
}

fn read_dump() {
    let path = database();
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    let lines =
        text.lines().filter_map(|line| line.split('\'').nth(1)).map(|line| format!("{line}\n"));
    if let Err(error) = read.and_then(|_| fs::write(&path, lines.collect::<String>())) {
        eprintln!("ERROR: {path}: {error}");
        exit(1);
    }
}

fn ports() -> Vec<(u16, String)> {
    let pairs = list("LISTEN", ';');
    pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(port, greeting)| Some((port.trim().parse().ok()?, greeting.to_owned())))
        .collect()
}

fn list(name: &str, separator: char) -> Vec<String> {
    let value = env::var(name).unwrap_or_default();
    value.split(separator).filter(|part| !part.trim().is_empty()).map(str::to_owned).collect()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

fn pause(name: &str) {
    thread::sleep(Duration::from_millis(number(name).unwrap_or(0)));
}

/// A container that an attacker controls: it swaps what it may write to for links.
mod meddling {
    use std::ffi::{CString, c_char, c_int, c_uint};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    use std::{env, fs, thread};

    use super::list;

    /// The end of the name under which the real entry waits.
    const AWAY: &str = ".away";

    unsafe extern "C" {
        fn mkfifo(path: *const c_char, mode: c_uint) -> c_int;
    }

    /// A xorshift generator.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap_or(0) % bound.max(1)
        }
    }

    pub fn meddle() {
        let folders = list("MEDDLE", ':');
        let outside = PathBuf::from(env::var_os("MEDDLE_OUTSIDE").unwrap_or_default());
        folders.iter().for_each(|folder| restore(Path::new(folder)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut random = Random(now.map_or(1, |now| u64::from(now.subsec_nanos()) | 1));
        while !folders.is_empty() {
            let mut entries = Vec::new();
            folders.iter().for_each(|folder| collect(Path::new(folder), &mut entries));
            if let Some(entry) = entries.get(random.below(entries.len())) {
                swap(entry, &outside, &mut random);
            }
            thread::sleep(Duration::from_micros(random.below(30_000) as u64));
        }
    }

    /// Puts back what an end in the middle left away.
    fn restore(folder: &Path) {
        let mut entries = Vec::new();
        collect(folder, &mut entries);
        for away in entries.iter().rev() {
            if let Some(name) = away.to_str().and_then(|name| name.strip_suffix(AWAY)) {
                let _ = fs::remove_file(name);
                let _ = fs::rename(away, name);
            }
        }
    }

    fn collect(folder: &Path, entries: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            entries.push(entry.path());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                collect(&entry.path(), entries);
            }
        }
    }

    fn swap(entry: &Path, outside: &Path, random: &mut Random) {
        let mut away = entry.as_os_str().to_owned();
        away.push(AWAY);
        let is_folder = entry.is_dir();
        if fs::rename(entry, &away).is_err() {
            return;
        }
        let put = match (is_folder, random.below(4)) {
            (true, _) => symlink(outside, entry),
            (false, 0) => make_fifo(entry),
            (false, 1) => fs::create_dir(entry),
            (false, _) => symlink(outside.join("secret"), entry),
        };
        thread::sleep(Duration::from_micros(random.below(20_000) as u64));
        let _ = put;
        let _ = fs::remove_file(entry).or_else(|_| fs::remove_dir(entry));
        let _ = fs::rename(&away, entry);
    }

    fn make_fifo(path: &Path) -> std::io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the path ends with a zero byte and outlives the call.
        match unsafe { mkfifo(path.as_ptr(), 0o644) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

/// Waiting for SIGTERM: process 1 of a container gets no default action for it, and the standard
/// library has no signals.
mod signals {
    use std::ffi::c_int;

    const SIG_BLOCK: c_int = 0;
    const SIGINT: c_int = 2;
    const SIGTERM: c_int = 15;

    /// Linux's set of signals, with room for what the C library declares.
    #[repr(C, align(8))]
    pub struct Set([u8; 128]);

    unsafe extern "C" {
        fn sigemptyset(set: *mut Set) -> c_int;
        fn sigaddset(set: *mut Set, signal: c_int) -> c_int;
        fn pthread_sigmask(how: c_int, set: *const Set, old: *mut Set) -> c_int;
        fn sigwait(set: *const Set, signal: *mut c_int) -> c_int;
    }

    /// Holds back the signals that ask for an end, in this thread and those it starts.
    pub fn hold() -> Set {
        let mut set = Set([0; 128]);
        // SAFETY: the set is as large and as aligned as the C library's; the old mask is not asked
        // for.
        unsafe {
            sigemptyset(&raw mut set);
            sigaddset(&raw mut set, SIGINT);
            sigaddset(&raw mut set, SIGTERM);
            pthread_sigmask(SIG_BLOCK, &raw const set, std::ptr::null_mut());
        }
        set
    }

    impl Set {
        /// Returns when one of them arrives.
        pub fn wait(&self) {
            let mut signal = 0;
            // SAFETY: both pointers are to values that outlive the call.
            unsafe { sigwait(self, &raw mut signal) };
        }
    }
}
