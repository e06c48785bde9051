//! The one place that spawns processes: with a time limit, no standard input, and errors that carry what the command said.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::error::{Context, Error, Result};

/// How much of a failed command's standard error an error carries.
const TAIL_LINES: usize = 12;

/// A command to run. Nothing is started before [`Command::run`].
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    folder: Option<OsString>,
    limit: Duration,
}

/// What a command that was run left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Standard output as text, without the line end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// The last lines of standard error, or of standard output where that is empty.
    pub fn tail(&self) -> String {
        let bytes = if self.stderr.iter().all(u8::is_ascii_whitespace) { &self.stdout } else { &self.stderr };
        let text = String::from_utf8_lossy(bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Command {
    /// A command that may run for `limit`.
    pub fn new(program: impl AsRef<OsStr>, limit: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            limit,
        }
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

    /// Takes an environment variable away.
    pub fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// Runs in this folder.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.as_os_str().to_owned());
        self
    }

    /// The command line, for messages.
    pub fn line(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Runs it and gives what came out, whatever its exit code. An error means that it did not start or did not end in time.
    pub async fn run(&self) -> Result<Output> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).kill_on_drop(true);
        // Its own process group: a ^C at the terminal is Cowhand's to handle, at the next safe point.
        command.process_group(0);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let output = tokio::time::timeout(self.limit, command.output())
            .await
            .map_err(|_| Error::new(format!("`{}` did not end within {} s", self.line(), self.limit.as_secs())))?
            .what_with(|| format!("could not run `{}`", self.line()))?;
        Ok(Output { code: output.status.code(), stdout: output.stdout, stderr: output.stderr })
    }

    /// Runs it and demands that it ends with 0; the error carries the end of what it said.
    pub async fn run_ok(&self) -> Result<Output> {
        let output = self.run().await?;
        if output.success() {
            return Ok(output);
        }
        let ended =
            output.code.map_or_else(|| "was killed by a signal".to_owned(), |code| format!("ended with {code}"));
        Err(Error::new(format!("`{}` {ended}", self.line())).because(output.tail()))
    }
}
