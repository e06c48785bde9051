//! A real registry on loopback.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Context, Result};
use crate::process::{Command, Daemon};

/// A registry with its own directory, both removed when dropped.
#[derive(Debug)]
pub struct Registry {
    address: String,
    folder: PathBuf,
    _daemon: Daemon,
}

impl Registry {
    /// Starts one on a free port.
    pub fn start() -> Result<Self> {
        let port = free_port()?;
        Self::start_at(port)
    }

    /// Starts one on this port, for instance again after one was dropped.
    pub fn start_at(port: u16) -> Result<Self> {
        let folder = super::folder("registry")?;
        let settings = folder.join("config.yml");
        std::fs::write(&settings, configuration(&folder.join("data").display().to_string(), port))
            .what("could not write the registry's configuration")?;
        let command = Command::new("docker-registry", Duration::MAX).arg("serve").arg(&settings);
        let mut daemon =
            command.without_env("OTEL_TRACES_EXPORTER").start(&folder, &folder.join("log"))?;
        daemon.wait_until(Duration::from_secs(20), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        })?;
        Ok(Self { address: format!("127.0.0.1:{port}"), folder, _daemon: daemon })
    }

    /// `HOST:PORT`, as references to images begin.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The requests it answered so far, as it logs them.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

fn free_port() -> Result<u16> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).what("could not find a free port")?;
    Ok(listener.local_addr().what("could not find a free port")?.port())
}

fn configuration(data: &str, port: u16) -> String {
    format!(
        "version: 0.1\nlog: {{ level: info }}\nstorage:\n  filesystem: {{ rootdirectory: {data} }}\n  delete: {{ enabled: true }}\n\
         http: {{ addr: '127.0.0.1:{port}' }}\n"
    )
}
