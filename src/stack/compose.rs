//! The `docker compose` command, for what only compose knows: resolving a configuration, bringing it up, taking it down.

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

/// For questions that need nothing but files.
const QUESTION: Duration = Duration::from_mins(1);
/// For `up`: 18 services in order, some of which may take minutes until they are healthy.
const UP: Duration = Duration::from_mins(45);
/// For `down`: services may be given minutes to stop.
const DOWN: Duration = Duration::from_mins(15);
/// The first version whose `up` knows `--pull`.
const KNOWS_PULL: (u32, u32) = (2, 5);

/// A compose command of major version 2 or later that talks to the same engine as [`super::Engine`].
#[derive(Clone, Debug)]
pub struct Compose {
    program: Program,
    version: String,
    number: (u32, u32),
    endpoint: Endpoint,
    remembered: Remembered,
}

/// Which configuration is meant. Every path in the files is relative to `project_directory`, wherever the files lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComposeFiles {
    /// The site's folder.
    pub project_directory: PathBuf,
    /// The compose file and what is laid over it, in this order.
    pub files: Vec<PathBuf>,
    /// The file with the values of variables; without it, `.env` in the project's folder.
    pub env_file: Option<PathBuf>,
    /// The project's name, where the files shall not decide it.
    pub project_name: Option<String>,
}

/// The program that is compose here.
#[derive(Clone, Debug)]
enum Program {
    /// The program behind `docker compose`.
    Plugin(PathBuf),
    /// `docker compose`.
    Docker,
    /// A program of its own.
    Standalone,
}

impl Program {
    /// Those that may work here, the best one first.
    fn all() -> impl Iterator<Item = Self> {
        plugin::find().map(Self::Plugin).into_iter().chain([Self::Docker, Self::Standalone])
    }

    /// How a person calls it.
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
    /// Finds compose. The error says whether it is missing or too old.
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
            Some(found) => Error::new("docker compose is too old").because(format!("{found}; version 2 or later is needed")),
            None => Error::new("docker compose is not installed"),
        }
        .hint("Install the package docker-compose-plugin (Docker's repository) or docker-compose (your distribution's, version 2 or later)."))
    }

    /// Its version, such as `2.26.1`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How it is called: `native` for the plugin of docker, `standalone` for a command of its own.
    pub fn kind(&self) -> &'static str {
        if matches!(self.program, Program::Standalone) { "standalone" } else { "native" }
    }

    /// Resolves a configuration: merges, replaces variables, checks. Needs no engine.
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

    /// The services that the files name, whether or not the configuration would work.
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

    /// Brings the configuration up: makes what differs anew, removes orphans, pulls and builds nothing. Ends when all is started.
    pub async fn up(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let up = self.making("up", files).args(["--detach", "--remove-orphans"]);
        carry_out(&up, turn, "could not start the stack").await
    }

    /// Brings one service up to date, and nothing else, where all that it depends on is up to date: what depends on it is not in sight,
    /// so no version of compose stops it. The service's own dependencies are, so what is written of them in its container is right.
    pub async fn up_alone(&self, files: &ComposeFiles, service: &str, turn: &Turn) -> Result<()> {
        let up = self.making("up", files).args(["--detach", "--", service]);
        carry_out(&up, turn, &format!("could not start {service}")).await
    }

    /// As [`Compose::up_alone`], and leaves a container that it made for others to start: compose itself looks only every half a second,
    /// and never at once, whether each dependency near and far is healthy.
    pub async fn create_alone(
        &self,
        files: &ComposeFiles,
        service: &str,
        turn: &Turn,
    ) -> Result<()> {
        let create = self.making("create", files).args(["--", service]);
        carry_out(&create, turn, &format!("could not make {service}")).await
    }

    /// Makes what is missing, networks, volumes and containers, and starts, stops and replaces nothing.
    pub async fn create(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let create = self.making("create", files).arg("--no-recreate");
        carry_out(&create, turn, "could not make what the new stack adds").await
    }

    /// Stops and removes the project's containers and networks, and never a volume.
    pub async fn down(&self, files: &ComposeFiles, turn: &Turn) -> Result<()> {
        let down = self.command(files, DOWN).args(["down", "--remove-orphans"]);
        carry_out(&down, turn, "could not take the stack down").await
    }

    /// A command that may make containers: of the images that are here.
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

/// Runs a command that changes containers. Whoever is killed meanwhile leaves it to finish what it does, which [`Turn`] waits for.
async fn carry_out(command: &Command, turn: &Turn, what: &str) -> Result<()> {
    let output = command
        .run_through(turn.file())
        .await
        .map_err(|error| Error::new(what).because(error.summary()))?;
    if output.success() {
        return Ok(());
    }
    Err(Error::new(what).because(complaint(&output)).hint(format!("By hand: {}", command.line())))
}

async fn version_of(program: &Program) -> Option<String> {
    let output = program
        .command(QUESTION)
        .args(["version", "--short"])
        .run()
        .await
        .ok()
        .filter(Output::success)?;
    // The plugin that is missing makes `docker` itself answer, with its own help.
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

/// What to do about the mistakes that an update brings about.
pub(crate) fn hint(complaint: &str) -> Option<String> {
    let quoted = || complaint.split('"').nth(1).unwrap_or("it");
    if complaint.contains("has neither an image nor a build context") {
        return Some(format!(
            "Upstream no longer has the service {}: take it out of docker-compose.override.yml.",
            quoted()
        ));
    }
    if complaint.contains("undefined service") {
        return Some(
            "A service that was named there is gone: take it out of docker-compose.override.yml."
                .to_owned(),
        );
    }
    None
}

/// What compose complained of, without its warnings.
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

/// The message of a line such as `time="…" level=warning msg="…"`.
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
                      service \"solr-mailcow\" has neither an image nor a build context specified: invalid compose project\n";
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
