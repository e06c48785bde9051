//! The `docker compose` command: resolves configurations, and brings the stack up and down.

mod plugin;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::remembered::{Key, Remembered};
use super::resolved::Resolved;
use super::start::Turn;
use crate::error::{Error, Result};
use crate::process::{Command, Output};

/// The time limit for commands that only read files.
const QUESTION: Duration = Duration::from_mins(1);
/// The time limit for `up`: 18 services in order, some of which need minutes to become healthy.
const UP: Duration = Duration::from_mins(45);
/// The time limit for `down`: services may have minutes to stop.
const DOWN: Duration = Duration::from_mins(15);
/// The first version whose `up` knows `--pull`.
const KNOWS_PULL: (u32, u32) = (2, 5);

/// A compose command of major version 2 or later that talks to the same engine as
/// [`super::Engine`].
#[derive(Clone, Debug)]
pub struct Compose {
    program: Program,
    version: String,
    number: (u32, u32),
    endpoint: Endpoint,
    remembered: Remembered,
}

/// A configuration. Paths in the files are relative to `project_directory`, wherever the files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeFiles {
    /// The site's directory.
    pub project_directory: PathBuf,
    /// The compose file and its overrides, in this order.
    pub files: Vec<PathBuf>,
    /// The file with the variables; `None` for `.env` in the project's directory.
    pub env_file: Option<PathBuf>,
    /// The project's name; `None` if the files decide it.
    pub project_name: Option<String>,
}

/// The program that runs compose.
#[derive(Clone, Debug)]
enum Program {
    /// The program behind `docker compose`.
    Plugin(PathBuf),
    /// `docker compose`.
    Docker,
    /// `docker-compose`.
    Standalone,
}

impl Program {
    /// Returns the candidates, the best one first.
    fn all() -> impl Iterator<Item = Self> {
        plugin::find().map(Self::Plugin).into_iter().chain([Self::Docker, Self::Standalone])
    }

    /// Returns the command that a person would type.
    fn name(&self) -> &'static str {
        match self {
            Self::Plugin(_) | Self::Docker => "docker compose",
            Self::Standalone => "docker-compose",
        }
    }

    fn command(&self, limit: Duration) -> Command {
        match self {
            Self::Plugin(file) => {
                let (variable, value) = plugin::CALLED_BY;
                Command::new(file, limit)
                    .called("docker")
                    .arg(plugin::ARGUMENT)
                    .env(variable, value)
            }
            Self::Docker => Command::new("docker", limit).arg("compose"),
            Self::Standalone => Command::new("docker-compose", limit),
        }
    }
}

impl Compose {
    /// Finds compose. Fails if it is missing or too old.
    pub async fn detect(endpoint: &Endpoint) -> Result<Self> {
        let mut too_old = None;
        for program in Program::all() {
            let Some(version) = version_of(&program).await else { continue };
            match parse_version(&version) {
                Some(number) if number.0 >= 2 => {
                    let (endpoint, remembered) = (endpoint.clone(), Remembered::default());
                    return Ok(Self { program, version, number, endpoint, remembered });
                }
                _ => too_old = Some(format!("`{}` is version {version}", program.name())),
            }
        }
        Err(match too_old {
            Some(found) => Error::new("docker compose is too old")
                .because(format!("{found}; Cowhand needs version 2 or later")),
            None => Error::new("docker compose is not installed"),
        }
        .hint(
            "Install the package docker-compose-plugin (Docker's repository) or docker-compose \
             (your distribution's, version 2 or later).",
        ))
    }

    /// Returns its version, such as `2.26.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns `native` for docker's plugin or `standalone` for `docker-compose`.
    pub fn kind(&self) -> &'static str {
        if matches!(self.program, Program::Standalone) { "standalone" } else { "native" }
    }

    /// Resolves a configuration: merges files, replaces variables, validates. Needs no engine.
    pub async fn resolve(&self, files: &ComposeFiles) -> Result<Resolved> {
        let key = Key::of(files);
        if let Some(known) = key.as_ref().and_then(|key| self.remembered.find(key)) {
            return Ok(known);
        }
        let resolved = self.resolve_anew(files).await?;
        if let Some(key) = key {
            self.remembered.add(key, &resolved);
        }
        Ok(resolved)
    }

    /// Without the services' hashes every container would look as if it had to be replaced, so they
    /// are demanded.
    async fn resolve_anew(&self, files: &ComposeFiles) -> Result<Resolved> {
        let config = self.command(files, QUESTION).args(["config", "--format", "json"]);
        let hash = self.command(files, QUESTION).args(["config", "--hash", "*"]);
        let (config, hash) = tokio::join!(config.run(), hash.run());
        let (config, hash) = (config?, hash?);
        if !config.success() {
            return Err(invalid(files, &config));
        }
        if !hash.success() {
            return Err(invalid(files, &hash));
        }
        let warnings = warnings(&config);
        Ok(Resolved { warnings, ..Resolved::parse(&config.text(), &hash.text())? })
    }

    /// Returns the services that the files name, even if the configuration is inconsistent.
    pub async fn services(&self, files: &ComposeFiles) -> Result<Vec<String>> {
        let output = self
            .command(files, QUESTION)
            .args(["config", "--no-consistency", "--services"])
            .run()
            .await?;
        if !output.success() {
            return Err(invalid(files, &output));
        }
        let mut services: Vec<String> = output.text().lines().map(str::to_owned).collect();
        services.sort();
        Ok(services)
    }

    /// Brings the configuration up: recreates what differs and removes orphans, without pulling or
    /// building. Returns when everything is started.
    pub async fn up(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let up = self.making("up", files).args(["--detach", "--remove-orphans"]);
        carry_out(&up, turn, "could not start the stack").await
    }

    /// Brings one service up to date, and nothing else, if its dependencies are up to date. Compose
    /// does not consider the dependents, so no version of it stops them. It does consider the
    /// dependencies, so the container's record of them is right.
    pub async fn up_alone(&self, files: &ComposeFiles, service: &str, turn: &Turn) -> Result<()> {
        let up = self.making("up", files).args(["--detach", "--", service]);
        carry_out(&up, turn, &format!("could not start {service}")).await
    }

    /// Does the same as [`Compose::up_alone`], but leaves a new container unstarted: compose checks
    /// the health of direct and indirect dependencies only every half second, and never at once.
    pub async fn create_alone(
        &self,
        files: &ComposeFiles,
        service: &str,
        turn: &Turn,
    ) -> Result<()> {
        let create = self.making("create", files).args(["--", service]);
        carry_out(&create, turn, &format!("could not create {service}")).await
    }

    /// Creates missing networks, volumes and containers, without starting, stopping or replacing
    /// any.
    pub async fn create(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let create = self.making("create", files).arg("--no-recreate");
        carry_out(&create, turn, "could not create the new containers, networks and volumes").await
    }

    /// Stops and removes the project's containers and networks, and never a volume.
    pub async fn down(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let down = self.command(files, DOWN).args(["down", "--remove-orphans"]);
        carry_out(&down, turn, "could not take the stack down").await
    }

    /// Returns a command that may create containers, but neither pulls nor builds images.
    fn making(&self, what: &str, files: &ComposeFiles) -> Command {
        let command = self.command(files, UP).args([what, "--no-build"]);
        if self.number >= KNOWS_PULL { command.args(["--pull", "never"]) } else { command }
    }

    fn command(&self, files: &ComposeFiles, limit: Duration) -> Command {
        let mut command = self.program.command(limit).folder(&files.project_directory);
        for (name, value) in self.endpoint.variables() {
            command = match value {
                Some(value) => command.env(name, value),
                None => command.without_env(name),
            };
        }
        command =
            command.args(["--ansi", "never", "--project-directory"]).arg(&files.project_directory);
        if let Some(name) = &files.project_name {
            command = command.arg("--project-name").arg(name);
        }
        if let Some(file) = &files.env_file {
            command = command.arg("--env-file").arg(file);
        }
        files.files.iter().fold(command, |command, file| command.arg("--file").arg(file))
    }
}

/// Runs a command that changes containers. If this process is killed, the command still finishes;
/// the next [`Turn`] waits for it.
async fn carry_out(command: &Command, turn: &Turn, what: &str) -> Result<()> {
    let output = command
        .run_through(turn.file())
        .await
        .map_err(|error| Error::new(what).because(error.summary()))?;
    if output.success() {
        return Ok(());
    }
    let hint = format!("To run it by hand: `{}`.", command.line());
    Err(Error::new(what).because(complaint(&output)).hint(hint))
}

async fn version_of(program: &Program) -> Option<String> {
    let output = program
        .command(QUESTION)
        .args(["version", "--short"])
        .run()
        .await
        .ok()
        .filter(Output::success)?;
    // Without the plugin, `docker` itself answers, with its help.
    Some(output.text().trim_start_matches('v').to_owned())
        .filter(|text| text.starts_with(|first: char| first.is_ascii_digit()))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '-', '+']);
    Some((
        parts.next()?.parse().ok()?,
        parts.next().and_then(|minor| minor.parse().ok()).unwrap_or(0),
    ))
}

fn invalid(files: &ComposeFiles, output: &Output) -> Error {
    let names: Vec<_> = files
        .files
        .iter()
        .map(|file| file.file_name().unwrap_or(OsStr::new("?")).to_string_lossy())
        .collect();
    let names =
        if names.is_empty() { "the compose files".to_owned() } else { names.join(" with ") };
    let complaint = complaint(output);
    let error = Error::new(format!("{names} cannot be resolved"));
    let error = match hint(&complaint) {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.because(complaint)
}

/// Returns the remedy for errors that an update can cause; `None` for others.
pub(crate) fn hint(complaint: &str) -> Option<String> {
    let quoted = || complaint.split('"').nth(1).unwrap_or("it");
    if complaint.contains("has neither an image nor a build context") {
        return Some(format!(
            "Upstream dropped the service {}: remove it from docker-compose.override.yml.",
            quoted()
        ));
    }
    if complaint.contains("undefined service") {
        return Some(
            "Upstream dropped the service: remove it from docker-compose.override.yml.".to_owned(),
        );
    }
    None
}

/// Returns compose's error output without its warnings.
fn complaint(output: &Output) -> String {
    let tail = output.tail();
    let lines: Vec<&str> = tail.lines().filter(|line| warning(line).is_none()).collect();
    lines.join("\n")
}

fn warnings(output: &Output) -> Vec<String> {
    let mut warnings: Vec<String> =
        String::from_utf8_lossy(&output.stderr).lines().filter_map(warning).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

/// Returns the message of a line such as `time="…" level=warning msg="…"`; `None` for other lines.
pub(crate) fn warning(line: &str) -> Option<String> {
    let message = line.split_once("level=warning msg=")?.1;
    serde_json::from_str(message).ok().or_else(|| Some(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let cases = [
            ("2.26.1-4", (2, 26)),
            ("2.40.3", (2, 40)),
            ("5.0.1", (5, 0)),
            ("1.29.2", (1, 29)),
            ("2.3.3+ds1", (2, 3)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_version(text), Some(expected), "{text}");
        }
        assert_eq!(parse_version("unknown"), None);
    }

    #[test]
    fn warnings_are_told_apart_from_complaints() {
        let stderr = "time=\"2026-01-01T00:00:00Z\" level=warning msg=\"The \\\"A\\\" variable is not set.\"\n\
                      service \"solr-mailcow\" has neither an image nor a build context \
                      specified: invalid compose project\n";
        let output = Output {
            code: Some(15),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
            lost: 0,
        };
        assert_eq!(warnings(&output), ["The \"A\" variable is not set."]);
        let files = ComposeFiles {
            files: vec!["/s/a.yml".into(), "/s/b.yml".into()],
            ..ComposeFiles::default()
        };
        let error = invalid(&files, &output);
        assert_eq!(error.headline(), "a.yml with b.yml cannot be resolved");
        assert!(error.causes()[0].starts_with("service \"solr-mailcow\" has neither"), "{error}");
        assert!(error.hints()[0].contains("solr-mailcow"));
    }
}
