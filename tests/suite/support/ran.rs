//! A command that was run, and what can be demanded of it.

use std::io::{PipeReader, PipeWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::terminal::Terminal;
use super::world;

/// The binary, in surroundings of the suite's own, about to be run.
pub struct Cowhand {
    command: Command,
    line: String,
    input: &'static str,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    line: String,
    code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Cowhand {
    /// `cowhand ARGUMENTS`, without an engine unless [`Cowhand::env`] names one.
    pub fn new<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        Self::of(binary(), arguments)
    }

    /// Another program, that starts it.
    pub fn of<'a>(
        program: impl AsRef<std::ffi::OsStr>,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let mut command = Command::new(program);
        command.args(&arguments).env_clear();
        for name in ["PATH", "TMPDIR", "DOCKER_CONFIG"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("COWHAND_CACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache/cowhand"));
        command.env("COWHAND_STATE", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
        command.env("HOME", world::home()).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("COLUMNS", "80").current_dir("/");
        let program = Path::new(command.get_program());
        let program = program.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{program} {}", arguments.join(" "));
        Self { command, line, input: "" }
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub fn folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// The text on standard input, through a pipe.
    pub fn input(mut self, text: &'static str) -> Self {
        self.input = text;
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Ran {
        self.start().ends()
    }

    /// Starts it and kills it after a time, if it has not ended by then.
    pub fn kill_after(self, moment: Duration) -> Ran {
        let running = self.start();
        std::thread::sleep(moment);
        running.signal(Signal::KILL);
        running.ends()
    }

    /// Runs it to its end while nobody reads its standard output, a pipe that is full from the
    /// beginning.
    pub fn run_unread(self) -> Ran {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        fcntl_setfl(&writer, OFlags::NONBLOCK).expect("the pipe's flags");
        while writer.write(b"\n").is_ok() {}
        fcntl_setfl(&writer, OFlags::empty()).expect("the pipe's flags");
        let ran = self.into(writer);
        drop(reader);
        ran
    }

    /// Runs it to its end, with something else to read its standard output.
    pub fn run_read_by<T: Send + 'static>(
        self,
        read: impl FnOnce(PipeReader) -> T + Send + 'static,
    ) -> (Ran, T) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let read = std::thread::spawn(|| read(reader));
        let ran = self.into(writer);
        (ran, read.join().expect("the reader ends"))
    }

    fn into(mut self, out: PipeWriter) -> Ran {
        self.command.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
        let child = self.command.spawn().expect("the binary starts");
        // The command has the pipe too.
        let Self { command, line, .. } = self;
        drop(command);
        Running { line, child }.ends()
    }

    /// Starts it at a terminal.
    pub fn at_a_terminal(self) -> Terminal {
        let known = self.command.get_envs().any(|(name, _)| name == "TERM");
        let command = if known { self } else { self.env("TERM", "xterm-256color") };
        Terminal::with(&command.command, command.line)
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the binary starts");
        // A program that does not read its input may have ended before it is written.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(self.input.as_bytes()));
        Running { line: self.line, child }
    }
}

/// A command under way.
pub struct Running {
    line: String,
    child: Child,
}

impl Running {
    /// Waits until it has stopped itself, as the fault `stop` does.
    pub fn stops(&self) {
        let stat = format!("/proc/{}/stat", self.child.id());
        let begun = Instant::now();
        loop {
            let state = std::fs::read_to_string(&stat).unwrap_or_default();
            if state.contains(") T ") {
                return;
            }
            let waits = !state.contains(") Z ") && begun.elapsed() < Duration::from_mins(10);
            assert!(waits, "`{}` did not stop", self.line);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Lets it go on.
    pub fn goes_on(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end.
    pub fn ends(self) -> Ran {
        let output = self.child.wait_with_output().expect("the binary ends");
        Ran {
            line: self.line,
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program under test.
pub fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cowhand"))
}

impl Ran {
    /// Returns the exit code. `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// Demands that a signal ended it.
    pub fn was_killed(self) -> Self {
        assert_eq!(self.code, None, "it was to be killed: {self}");
        self
    }

    /// Demands an exit code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Demands that standard output or standard error contains this.
    pub fn says(self, text: &str) -> Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`{text}` is not said by {self}"
        );
        self
    }

    /// Demands that neither standard output nor standard error contains this.
    pub fn keeps_quiet_about(self, text: &str) -> Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "`{text}` is said by {self}"
        );
        self
    }

    /// Demands that standard output contains this.
    pub fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "`{text}` is not on standard output of {self}");
        self
    }

    /// The events on standard output, which must be JSON Lines and nothing else, the first with the
    /// schema.
    pub fn events(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}: {self}"))
        };
        let events: Vec<Value> = self.stdout.lines().map(parse).collect();
        assert_eq!(
            events.first().map(|event| &event["schema"]),
            Some(&Value::from(1)),
            "the first event of {self}"
        );
        events
    }

    /// The command line, the output and the exit code, as an operator sees them.
    pub fn transcript(&self) -> String {
        let Self { line, code, stdout, stderr } = self;
        let mut text = format!("$ {}\n{stdout}", line.trim_end());
        if !stderr.is_empty() {
            text.push_str("[standard error]\n");
            text.push_str(stderr);
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("{text}{end}[exit code: {code}]\n")
    }

    /// The last event of a kind.
    pub fn event(&self, kind: &str) -> Value {
        let found = self.events().into_iter().rfind(|event| event["event"] == kind);
        found.unwrap_or_else(|| panic!("no event `{kind}` from {self}"))
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(
            f,
            "`{line}` (exit code {code:?})\n--- standard output\n{stdout}--- standard error\n{stderr}---"
        )
    }
}
