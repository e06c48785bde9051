//! git's protocol over ssh, through the machine's own `ssh`: with the configuration, keys, agent and known hosts that it has there.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use git2::{ErrorClass, ErrorCode};
use percent_encoding::percent_decode_str;

use crate::process::{Command, Dialogue};

/// Nobody is asked for a passphrase or about a host; who is silent for a minute is given up.
const OPTIONS: [&str; 4] = ["BatchMode=yes", "ConnectTimeout=30", "ServerAliveInterval=20", "ServerAliveCountMax=3"];
/// How long ssh may take to end after the other side has said its last.
const END: Duration = Duration::from_secs(10);

/// One remote.
pub(super) struct Ssh;

impl SmartSubtransport for Ssh {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        // What follows the refs goes through the same stream, and is not asked for here.
        if action != Service::UploadPackLs {
            return Err(wrong("nothing is ever pushed"));
        }
        let place = Place::of(url).ok_or_else(|| wrong("this is no address that ssh could be given"))?;
        let dialogue = place.command().talk().map_err(|error| wrong(error.summary()))?;
        let mut stream = Stream(BufReader::new(dialogue));
        match stream.0.fill_buf() {
            Ok([]) => Err(stream.refused()),
            Ok(_) => Ok(Box::new(stream)),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// Both directions of what is spoken with the other side.
struct Stream(BufReader<Dialogue>);

impl Stream {
    /// Why there is not a single byte: what ssh or the other side's git said.
    fn refused(&mut self) -> git2::Error {
        let told = self.0.get_mut().end(END);
        let code = match &told {
            told if told.contains("Permission denied") => ErrorCode::Auth,
            told if told.contains("Host key verification failed") => ErrorCode::Certificate,
            _ => ErrorCode::GenericError,
        };
        git2::Error::new(code, ErrorClass::Ssh, told)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// Where a repository is, and as whom it is asked for.
#[derive(Debug, PartialEq)]
struct Place {
    /// `USER@HOST` or `HOST`
    host: String,
    port: Option<String>,
    path: String,
}

impl Place {
    /// `ssh://[USER@]HOST[:PORT]/PATH` or `[USER@]HOST:PATH`, as git reads them. None for what is neither, or what ssh would take for an option.
    fn of(url: &str) -> Option<Self> {
        let place = if let Some((_, rest)) = url.split_once("://") {
            Self::of_url(rest)?
        } else {
            let (host, path) = url.split_once(':')?;
            Self { host: host.to_owned(), port: None, path: path.to_owned() }
        };
        let fit = |word: &str| !word.is_empty() && !word.starts_with('-');
        (place.host.rsplit('@').all(fit) && fit(&place.path)).then_some(place)
    }

    fn of_url(rest: &str) -> Option<Self> {
        let (place, path) = rest.split_once('/')?;
        let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
        // `/~user/path` is below a home folder, every other path begins at the root.
        let path = decoded(path)?;
        let path = if path.starts_with('~') { path } else { format!("/{path}") };
        let (user, host) = place.rsplit_once('@').map_or((None, place), |(user, host)| (Some(user), host));
        let (host, port) = match host.strip_prefix('[').and_then(|six| six.split_once(']')) {
            Some((six, port)) => (six, port.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let host = match user.map(|user| user.split_once(':').map_or(user, |(user, _)| user)) {
            Some(user) => format!("{}@{host}", decoded(user)?),
            None => host.to_owned(),
        };
        Some(Self { host, port: port.filter(|port| !port.is_empty()).map(str::to_owned), path })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ssh", Duration::MAX).arg("-T");
        for option in OPTIONS {
            command = command.args(["-o", option]);
        }
        if let Some(port) = &self.port {
            command = command.args(["-p", port]);
        }
        // The other side's shell reads the path: it is quoted for it, `!` too, for those whose shell is csh.
        let path = self.path.replace('\'', r"'\''").replace('!', r"'\!'");
        command.arg(&self.host).arg(format!("git-upload-pack '{path}'"))
    }
}

fn wrong(what: impl AsRef<str>) -> git2::Error {
    git2::Error::new(ErrorCode::GenericError, ErrorClass::Ssh, what)
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[track_caller]
    fn is_read_as(url: &str, host: &str, port: Option<&str>, path: &str) {
        let place = Place { host: host.to_owned(), port: port.map(str::to_owned), path: path.to_owned() };
        assert_eq!(Place::of(url), Some(place));
    }

    #[test]
    fn addresses_are_read_as_git_reads_them() {
        is_read_as("ssh://host/a/b.git", "host", None, "/a/b.git");
        is_read_as("ssh://me@host:2222/a%20b", "me@host", Some("2222"), "/a b");
        is_read_as("git+ssh://me%2B1:ignored@[::1]:22/~you/b", "me+1@::1", Some("22"), "~you/b");
        is_read_as("ssh://[::1]/b", "::1", None, "/b");
        is_read_as("git@host:a/b.git", "git@host", None, "a/b.git");
        is_read_as("host:/a/b", "host", None, "/a/b");
    }

    #[test]
    fn nothing_becomes_an_option_of_ssh() {
        for url in [
            "ssh://-oProxyCommand=x/b",
            "ssh://-x@host/b",
            "me@-x:b",
            "-x:b",
            "host:-x",
            "ssh:///b",
            "host:",
            "host",
            "ssh://host",
        ] {
            assert_eq!(Place::of(url), None, "{url}");
        }
    }
}
