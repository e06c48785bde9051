//! The one place that spawns processes: with time limits, without standard input unless requested,
//! and with errors that quote the command's output.

#![expect(clippy::disallowed_methods, reason = "programs of the host, and logs of their own")]

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Context, Error, Result};
use crate::failpoint;

/// The part of a failed command's standard error that an error quotes.
const TAIL_LINES: usize = 12;
/// The most standard output that is kept of a command, in bytes; beyond it the command's result
/// cannot be used. Compose's whole configuration has some hundred kilobytes.
const MOST_OUTPUT: usize = 64 << 20;
/// The most standard error that is kept, in bytes: its end.
const MOST_ERRORS: usize = 128 << 10;
/// The time limit for a program to end after it has closed its output.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Returns a program's path: as given, or else from the directories in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&folders).map(|folder| folder.join(program));
    places.into_iter().find(|place| place.is_file())
}

/// A command to run. Nothing is started before [`Command::run`].
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    name: Option<&'static str>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    folder: Option<OsString>,
    limit: Duration,
    input: Option<Arc<File>>,
    most_output: usize,
    confined: Option<Confinement>,
}

/// The limits of an untrusted program.
#[derive(Clone, Copy, Debug)]
pub struct Confinement {
    /// Processes and threads of the user that it runs as. `None` if that user has other processes.
    pub processes: Option<u64>,
    /// Bytes of memory of each process.
    pub memory: u64,
    /// Bytes of each file that it writes.
    pub file: u64,
    /// Seconds of processor time of each process.
    pub seconds: u64,
}

impl Confinement {
    /// Called between fork and exec.
    fn enter(self) -> std::io::Result<()> {
        const OPEN_FILES: u64 = 256;
        let limits = [
            (Resource::Nproc, self.processes),
            (Resource::As, Some(self.memory)),
            (Resource::Fsize, Some(self.file)),
            (Resource::Cpu, Some(self.seconds)),
            (Resource::Nofile, Some(OPEN_FILES)),
            (Resource::Core, Some(0)),
        ];
        for (resource, most) in limits.into_iter().filter(|(_, most)| most.is_some()) {
            setrlimit(resource, Rlimit { current: most, maximum: most })?;
        }
        // If the host runs out of memory, the kernel kills this program first.
        let score = rustix::fs::open(c"/proc/self/oom_score_adj", OFlags::WRONLY, Mode::empty());
        let _ = score.and_then(|score| rustix::io::write(score, b"1000"));
        // A session without a terminal: the program cannot type into the caller's.
        rustix::process::setsid()?;
        Ok(())
    }
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code. `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
    /// Bytes of standard output beyond the limit, which are lost.
    pub lost: u64,
}

impl Output {
    /// Returns true if it ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns standard output as text, without the final newline.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Returns the last lines of standard error, or of standard output if that is empty.
    pub fn tail(&self) -> String {
        let bytes = if self.stderr.iter().all(u8::is_ascii_whitespace) {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Command {
    /// Returns a command that may run for `limit`.
    pub fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            name: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            limit,
            input: None,
            most_output: MOST_OUTPUT,
            confined: None,
        }
    }

    /// Sets the program's name in messages.
    pub fn called(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Removes an environment variable.
    pub fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// Sets the working directory.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.as_os_str().to_owned());
        self
    }

    /// Sets a file as standard input.
    pub fn stdin(mut self, file: File) -> Self {
        self.input = Some(Arc::new(file));
        self
    }

    /// Sets the most standard output that is kept, in bytes.
    pub fn most_output(mut self, bytes: usize) -> Self {
        self.most_output = bytes;
        self
    }

    /// Runs it with limits, in its own session, and with only the environment variables that this
    /// command sets.
    pub fn confined(mut self, confinement: Confinement) -> Self {
        self.confined = Some(confinement);
        self
    }

    /// Returns the command line, for messages.
    pub fn line(&self) -> String {
        let program = self.name.map_or(self.program.as_os_str(), OsStr::new);
        let words = std::iter::once(program).chain(self.arguments.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Runs the command and returns its result, whatever the exit code. An error means that it did
    /// not start or did not end in time.
    pub async fn run(&self) -> Result<Output> {
        self.in_time(self.collect()).await
    }

    async fn collect(&self) -> std::io::Result<Output> {
        let mut command = self.bound();
        if let Some(input) = &self.input {
            command.stdin(input.try_clone()?);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut kept = Start { bytes: Vec::new(), most: self.most_output, lost: 0 };
        let mut end = End { bytes: Vec::new(), most: MOST_ERRORS };
        let (out, err, status) = tokio::join!(
            drain(stdout, |bytes| kept.add(bytes)),
            drain(stderr, |bytes| end.add(bytes)),
            child.wait(),
        );
        out.and(err)?;
        let (stdout, stderr) = (kept.bytes, end.bytes);
        Ok(Output { code: status?.code(), stdout, stderr, lost: kept.lost })
    }

    /// Runs the command with this process's outputs and returns its exit code. `None` if a signal
    /// ended it.
    pub async fn show(&self) -> Result<Option<i32>> {
        let mut command = self.bound();
        let running = command.stdout(Stdio::inherit()).stderr(Stdio::inherit()).status();
        Ok(self.in_time(running).await?.code())
    }

    /// Runs the command and fails unless it ends with 0. The error quotes the end of its output.
    pub async fn run_ok(&self) -> Result<Output> {
        let output = self.run().await?;
        if output.success() && output.lost == 0 {
            return Ok(output);
        }
        if output.success() {
            let most = bytesize::ByteSize::b(self.most_output as u64);
            return Err(Error::new(format!("`{}` printed more than {most}", self.line())));
        }
        let ended = output.code.map_or_else(
            || "was killed by a signal".to_owned(),
            |code| format!("ended with {code}"),
        );
        Err(Error::new(format!("`{}` {ended}", self.line())).because(output.tail()))
    }

    /// Runs the command so that it completes even if this process is killed. Its output goes to
    /// files, because a broken pipe would kill it. Until its end it holds `lock`, its standard
    /// input.
    pub async fn run_through(&self, lock: &File) -> Result<Output> {
        let doing = || format!("could not run `{}`", self.line());
        let mut said =
            [tempfile::tempfile().what_with(doing)?, tempfile::tempfile().what_with(doing)?];
        let mut command = self.prepared();
        command.stdin(lock.try_clone().what_with(doing)?);
        command
            .stdout(said[0].try_clone().what_with(doing)?)
            .stderr(said[1].try_clone().what_with(doing)?);
        let status = self.in_time(bounded(command.status(), &said)).await?;
        let [stdout, stderr] = &mut said;
        let (stdout, stderr) = (end_of(stdout).what_with(doing)?, end_of(stderr).what_with(doing)?);
        Ok(Output { code: status.code(), stdout, stderr, lost: 0 })
    }

    /// Builds a command that ends with this process, whatever kills it: the next run must not find
    /// it still running.
    fn bound(&self) -> tokio::process::Command {
        let mut command = self.prepared();
        let confined = self.confined;
        #[expect(
            unsafe_code,
            reason = "no safe interface sets what a child does when its parent dies"
        )]
        // SAFETY: system calls between fork and exec, which allocate nothing.
        unsafe {
            command.pre_exec(move || {
                let kill = Some(rustix::process::Signal::KILL);
                rustix::process::set_parent_process_death_signal(kill)?;
                confined.map_or(Ok(()), Confinement::enter)
            });
        }
        command
    }

    fn prepared(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).kill_on_drop(true);
        // Its own process group: Cowhand handles ^C itself, at the next safe point. A new session
        // implies a new group.
        if self.confined.is_some() {
            command.env_clear();
        } else {
            command.process_group(0);
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    async fn in_time<T>(&self, running: impl Future<Output = std::io::Result<T>>) -> Result<T> {
        let limit = if failpoint::timeouts_expire() { Duration::ZERO } else { self.limit };
        let begun = Instant::now();
        let ended = tokio::time::timeout(limit, running).await;
        tracing::debug!(command = self.line(), took = ?begun.elapsed(), "process ended");
        ended
            .map_err(|_| {
                Error::new(format!(
                    "`{}` did not end within {} s",
                    self.line(),
                    self.limit.as_secs()
                ))
            })?
            .what_with(|| format!("could not run `{}`", self.line()))
    }
}

/// The beginning of an output.
struct Start {
    bytes: Vec<u8>,
    most: usize,
    lost: u64,
}

impl Start {
    fn add(&mut self, bytes: &[u8]) {
        let room = bytes.len().min(self.most - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..room]);
        self.lost += (bytes.len() - room) as u64;
    }
}

/// The end of an output.
struct End {
    bytes: Vec<u8>,
    most: usize,
}

impl End {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > 2 * self.most {
            self.bytes.drain(..self.bytes.len() - self.most);
        }
    }
}

/// Reads an output to its end.
async fn drain(
    output: Option<impl AsyncRead + Unpin>,
    mut add: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let Some(mut output) = output else { return Ok(()) };
    let mut buffer = vec![0; 16 << 10];
    loop {
        match output.read(&mut buffer).await? {
            0 => return Ok(()),
            read => add(&buffer[..read]),
        }
    }
}

/// Waits for a program that writes to files and truncates those that grow too large. The program
/// continues at its offset, so that a hole and the end remain.
async fn bounded<T>(
    running: impl Future<Output = std::io::Result<T>>,
    said: &[File],
) -> std::io::Result<T> {
    const LOOK: Duration = Duration::from_millis(100);
    let mut running = std::pin::pin!(running);
    loop {
        if let Ok(ended) = tokio::time::timeout(LOOK, &mut running).await {
            return ended;
        }
        for file in said {
            if file.metadata()?.blocks() * 512 > MOST_OUTPUT as u64 {
                file.set_len(0)?;
            }
        }
    }
}

/// Reads the end of a program's output file.
fn end_of(file: &mut File) -> std::io::Result<Vec<u8>> {
    let from = file.metadata()?.len().saturating_sub(MOST_OUTPUT as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    file.take(MOST_OUTPUT as u64).read_to_end(&mut text)?;
    Ok(text)
}

/// A child process behind pipes: writes go to its standard input, reads come from its standard
/// output. It ends when this value is dropped, or with this process.
#[derive(Debug)]
pub struct Dialogue {
    child: std::process::Child,
    errors: File,
    limit: Timespec,
}

impl Command {
    /// Starts the command behind pipes. Each read may wait for as long as the limit.
    pub fn talk(&self) -> Result<Dialogue> {
        let doing = || format!("could not run `{}`", self.line());
        let errors = tempfile::tempfile().what_with(doing)?;
        let mut command = self.bound();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().what_with(doing)?);
        let limit = Timespec::try_from(self.limit).what_with(doing)?;
        Ok(Dialogue { child: command.as_std_mut().spawn().what_with(doing)?, errors, limit })
    }
}

impl Dialogue {
    /// Returns the result after the end of its output, and kills the program if it does not end.
    pub fn end(&mut self) -> Output {
        drop(self.child.stdin.take());
        let since = std::time::Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && since.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let code = self.child.wait().ok().and_then(|status| status.code());
        let stderr = end_of(&mut self.errors).unwrap_or_default();
        Output { code, stdout: Vec::new(), stderr, lost: 0 }
    }
}

impl Read for Dialogue {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(output) = &mut self.child.stdout else { return Ok(0) };
        if poll(&mut [PollFd::new(output, PollFlags::IN)], Some(&self.limit))? == 0 {
            return Err(std::io::Error::new(
                ErrorKind::TimedOut,
                format!("no output for {} s", self.limit.tv_sec),
            ));
        }
        if self.errors.metadata()?.len() > MOST_OUTPUT as u64 {
            return Err(std::io::Error::other("too much on standard error"));
        }
        output.read(buffer)
    }
}

impl Write for Dialogue {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.child
            .stdin
            .as_mut()
            .map_or_else(|| Err(ErrorKind::BrokenPipe.into()), |input| input.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program with a directory until standard input ends, which is when the caller has finished
/// or died; then ends the program, unmounts everything below the directory and removes it.
const GUARD: &str = r#"
folder=$1; shift
"$@" </dev/null & program=$!
while kill -0 $program 2>/dev/null; do
  read -r -t 0.5 _
  [ $? -gt 128 ] || break
done
kill $program 2>/dev/null
wait $program
awk -v below="$folder/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf --one-file-system -- "$folder"
"#;

/// A program in the background with its own directory. When this value is dropped, and also when
/// this process is killed, the program ends and the directory is removed.
#[derive(Debug)]
pub struct Daemon {
    guard: std::process::Child,
    log: std::path::PathBuf,
}

impl Command {
    /// Starts the command in the background. `folder` is removed at its end; output goes to `log`.
    pub fn start(&self, folder: &Path, log: &Path) -> Result<Daemon> {
        let doing = || format!("could not start `{}`", self.line());
        let output = std::fs::File::create(log).what_with(doing)?;
        let mut guard = std::process::Command::new("bash");
        guard
            .args(["-c", GUARD, "cowhand-guard"])
            .arg(folder)
            .arg(&self.program)
            .args(&self.arguments);
        guard.stdin(Stdio::piped()).stdout(output.try_clone().what_with(doing)?).stderr(output);
        std::os::unix::process::CommandExt::process_group(&mut guard, 0);
        for (name, value) in &self.environment {
            match value {
                Some(value) => guard.env(name, value),
                None => guard.env_remove(name),
            };
        }
        Ok(Daemon { guard: guard.spawn().what_with(doing)?, log: log.to_owned() })
    }
}

impl Daemon {
    /// Returns once `ready` returns true. Fails if the program ends first or is not ready in time.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let since = std::time::Instant::now();
        while !ready() {
            let ended = matches!(self.guard.try_wait(), Ok(Some(_)));
            if ended || since.elapsed() > limit {
                let how = if ended {
                    "it ended".to_owned()
                } else {
                    format!("not ready within {} s", limit.as_secs())
                };
                return Err(Error::new("a background program did not start")
                    .because(how)
                    .because(self.tail()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Returns the last lines of its log.
    fn tail(&self) -> String {
        let stderr = std::fs::read(&self.log).unwrap_or_default();
        Output { code: None, stdout: Vec::new(), stderr, lost: 0 }.tail()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new("sh", Duration::from_mins(1)).args(["-c", script])
    }

    #[tokio::test]
    async fn output_without_bounds_costs_neither_memory_nor_the_result() {
        let loud = sh("head -c 3000000 /dev/zero; yes complaint | head -c 3000000 >&2; exit 3");
        let output = loud.most_output(1_000_000).run().await.unwrap();
        assert_eq!(
            (output.code, output.stdout.len(), output.lost),
            (Some(3), 1_000_000, 2_000_000)
        );
        assert!(output.stderr.len() <= 2 * MOST_ERRORS && output.tail().contains("complaint"));
        let error = sh("head -c 2000 /dev/zero").most_output(1000).run_ok().await.unwrap_err();
        assert!(error.headline().ends_with("printed more than 1000 B"), "{error}");
    }

    #[tokio::test]
    async fn a_file_of_output_is_bounded_too() {
        let lock = tempfile::tempfile().unwrap();
        let loud = sh("head -c 300000000 /dev/zero; sleep 0.3; echo the end");
        let output = loud.run_through(&lock).await.unwrap();
        assert!(output.stdout.len() <= MOST_OUTPUT && output.text().ends_with("the end"));
    }

    #[tokio::test]
    async fn a_confined_program_has_limits_a_session_and_no_environment() {
        let limits =
            Confinement { processes: Some(99), memory: 1 << 30, file: 1 << 20, seconds: 9 };
        let command =
            sh("ulimit -u 2>/dev/null; ulimit -t; ulimit -f; env; ps -o sid= -p $$; echo $$")
                .confined(limits)
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("MINE", "1");
        let text = command.run_ok().await.unwrap().text();
        assert!(text.contains("MINE=1") && !text.contains("HOME="), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.contains(&"9") && words.contains(&"2048"), "{text}");
        assert_eq!(words[words.len() - 1], words[words.len() - 2], "its session is its own");
    }

    #[test]
    fn a_conversation_ends_when_the_other_side_is_silent_or_gone() {
        let mut cat = Command::new("cat", Duration::from_mins(1)).talk().unwrap();
        cat.write_all(b"there").unwrap();
        let mut heard = [0; 5];
        cat.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"there");
        let mut silent = Command::new("sleep", Duration::from_millis(1)).arg("600").talk().unwrap();
        assert_eq!(silent.read(&mut heard).unwrap_err().kind(), ErrorKind::TimedOut);
        let mut gone = Command::new("sh", Duration::from_mins(1))
            .args(["-c", "echo why >&2; exit 3"])
            .talk()
            .unwrap();
        assert_eq!(gone.read(&mut heard).unwrap(), 0);
        let left = gone.end();
        assert_eq!((left.code, left.tail().as_str()), (Some(3), "why"));
    }
}
