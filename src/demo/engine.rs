//! The running engine, or a private one if there is none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::wait;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::process::{self, Command, Daemon, Output};

/// A Docker engine: a running one, or a private one that is removed with its data when dropped.
#[derive(Debug)]
pub struct Engine {
    host: Option<String>,
    interrupted: Arc<AtomicBool>,
    folder: PathBuf,
    _daemon: Option<Daemon>,
}

impl Engine {
    /// Returns the engine that `docker` uses, if it answers. An engine on another machine does not
    /// count: it could reach neither the fixture's files nor its registry.
    pub fn answering() -> Option<Self> {
        let engine = Self::new(None);
        let ask = ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"];
        let local = engine
            .lines(&ask)
            .is_ok_and(|host| host.iter().any(|host| host.starts_with("unix://")));
        (local && engine.answers()).then_some(engine)
    }

    /// Starts a private engine. It shares nothing with others: no default bridge, no firewall
    /// rules.
    pub fn private() -> Result<Self> {
        let program = program()?;
        Self::start(|_| Command::new(program, Duration::MAX), &[])
    }

    /// Starts a private engine with more options, in its own network namespace. It is restarted
    /// when it ends, as by a service manager, unless its directory has the file [`AWAY`].
    pub fn supervised(options: &[&str]) -> Result<Self> {
        let program = program()?;
        let bash =
            Command::new("bash", Duration::MAX).args(["-c", SUPERVISOR, "cowhand-supervisor"]);
        Self::start(
            |folder| bash.env("HTTPS_PROXY", NOWHERE).arg(folder.join(AWAY)).arg(program),
            options,
        )
    }

    fn start(command: impl FnOnce(&Path) -> Command, options: &[&str]) -> Result<Self> {
        let folder = super::folder("engine")?;
        let host = format!("unix://{}", folder.join("sock").display());
        let command = command(&folder)
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
                "--shutdown-timeout=2",
            ])
            .arg(format!("--data-root={}", folder.join("data").display()))
            .arg(format!("--exec-root={}", folder.join("exec").display()))
            .arg(format!("--pidfile={}", folder.join("pid").display()))
            .arg(format!("--host={host}"))
            .args(options);
        let mut daemon = command.start(&folder, &folder.join("log"))?;
        let engine = Self::new(Some(host));
        daemon.wait_until(Duration::from_mins(1), || engine.answers())?;
        Ok(Self { folder, _daemon: Some(daemon), ..engine })
    }

    /// Uses the engine at this address, which the caller ends.
    pub fn at(host: &str) -> Self {
        Self::new(Some(host.to_owned()))
    }

    fn new(host: Option<String>) -> Self {
        Self { host, interrupted: Arc::default(), folder: PathBuf::new(), _daemon: None }
    }

    /// Sets the flag that ends commands of [`Engine::run`] once it is true. Clean-up continues.
    pub fn interrupted_by(self, flag: Arc<AtomicBool>) -> Self {
        Self { interrupted: flag, ..self }
    }

    /// Returns the value for `DOCKER_HOST`. `None` leaves it unchanged.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Returns a private engine's directory: its data in `data`, its process id in `pid`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns a `docker` command for this engine.
    pub fn docker(&self) -> Command {
        self.reach(Command::new("docker", Duration::from_mins(5)))
    }

    /// Makes a command use this engine.
    pub fn reach(&self, command: Command) -> Command {
        match &self.host {
            Some(host) => command.env("DOCKER_HOST", host).without_env("DOCKER_CONTEXT"),
            None => command,
        }
    }

    /// Waits for a command or for the interruption.
    pub fn run<T>(&self, running: impl Future<Output = Result<T>>) -> Result<T> {
        wait(async {
            let mut running = std::pin::pin!(running);
            while !self.interrupted.load(Ordering::Relaxed) {
                if let Ok(done) =
                    tokio::time::timeout(Duration::from_millis(50), &mut running).await
                {
                    return done;
                }
            }
            Err(Error::new("interrupted").exit(Exit::Interrupted))
        })
    }

    /// Runs `docker ARGUMENTS` and returns its output, line by line.
    pub fn lines(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let output = wait(self.docker().args(arguments).run_ok())?;
        Ok(output.text().lines().map(str::to_owned).collect())
    }

    /// Returns true if the engine answers.
    pub fn answers(&self) -> bool {
        let ask = self.reach(Command::new("docker", Duration::from_secs(10))).args([
            "version",
            "--format",
            "{{.Server.Version}}",
        ]);
        wait(ask.run()).is_ok_and(|output: Output| output.success())
    }
}

/// The file in a supervised engine's directory that prevents a restart.
pub const AWAY: &str = "stays-away";
/// An address without a listener.
const NOWHERE: &str = "http://127.0.0.1:9";

/// Runs a daemon and restarts it whenever it ends.
const SUPERVISOR: &str = r#"
away=$1; shift
trap 'kill $daemon; wait $daemon; exit' TERM
while :; do
  "$@" & daemon=$!
  wait $daemon
  while [ -e "$away" ]; do sleep 0.1; done
done
"#;

/// Finds dockerd, first in `PATH`, so that another version can be tried. A user's `PATH` may lack
/// root's directories.
fn program() -> Result<PathBuf> {
    let places = ["/usr/sbin/dockerd", "/usr/local/bin/dockerd"].map(PathBuf::from);
    process::find("dockerd").or_else(|| places.into_iter().find(|place| place.exists())).ok_or_else(
        || {
            Error::new("no Docker engine is running, and dockerd is not installed")
                .hint("Run scripts/setup as root.")
        },
    )
}
