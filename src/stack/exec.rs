//! Runs commands in the project's containers and streams their output.

use std::io::Write;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as EngineError;
use bollard::exec::{CreateExecOptions, StartExecResults};
use futures_util::StreamExt;

use super::container::Container;
use super::engine::Engine;
use super::failure::words;
use crate::error::{Context, Error, Result};

/// The time that a command may stay silent.
const SILENCE: Duration = Duration::from_mins(15);
/// The exit codes for a command that does not exist or cannot be run.
const NO_COMMAND: [i64; 2] = [126, 127];
/// The number of bytes of error output that an error carries.
const COMPLAINT: usize = 4096;

/// The end of a command in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The container has no such command.
    Missing,
    /// It exited with 0.
    Well,
    /// It failed, with this error output.
    Badly(String),
}

impl Engine {
    /// Runs a command with these variables (`NAME=value`) in a container and writes its output to
    /// `to`.
    pub async fn exec(
        &self,
        container: &Container,
        command: &[&str],
        variables: &[&str],
        to: &mut impl Write,
    ) -> Result<Ended> {
        let doing =
            || format!("could not run {} in {}", command.first().unwrap_or(&""), container.service);
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            env: Some(variables.to_vec()),
            ..CreateExecOptions::default()
        };
        let failed = |error: EngineError| self.failed(&doing(), &error);
        let id = self.docker().create_exec(&container.id, options).await.map_err(failed)?.id;
        let mut output = match self.docker().start_exec(&id, None).await {
            Ok(StartExecResults::Attached { output, .. }) => output,
            Ok(StartExecResults::Detached) => return Err(Error::new(doing())),
            Err(error) if words(&error).contains("executable file not found") => {
                return Ok(Ended::Missing);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut complaint = Vec::new();
        while let Some(part) =
            tokio::time::timeout(SILENCE, output.next()).await.what_with(doing)?
        {
            match part.map_err(failed)? {
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    to.write_all(&message).what_with(doing)?;
                }
                LogOutput::StdErr { message } if complaint.len() < COMPLAINT => {
                    complaint.extend_from_slice(&message);
                }
                LogOutput::StdErr { .. } | LogOutput::StdIn { .. } => {}
            }
        }
        let code = self.docker().inspect_exec(&id).await.map_err(failed)?.exit_code;
        Ok(match code {
            Some(0) => Ended::Well,
            Some(code) if NO_COMMAND.contains(&code) => Ended::Missing,
            _ => Ended::Badly(String::from_utf8_lossy(&complaint).trim().to_owned()),
        })
    }
}
