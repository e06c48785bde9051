//! git's protocol over ssh, through the machine's own `ssh` with its configuration, keys, agent and
//! known hosts.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use git2::{ErrorClass, ErrorCode};
use percent_encoding::percent_decode_str;

use crate::process::{self, Command, Dialogue};

/// ssh must not ask for passphrases or about hosts, and must not share a connection, whose end
/// would affect others.
const OPTIONS: [&str; 5] = [
    "BatchMode=yes",
    "ControlPath=none",
    "ConnectTimeout=30",
    "ServerAliveInterval=20",
    "ServerAliveCountMax=3",
];
/// The time limit for a silent server.
const SILENCE: Duration = Duration::from_mins(1);

/// One remote.
pub(super) struct Ssh;

impl SmartSubtransport for Ssh {
    fn action(
        &self,
        url: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        // Later parts use the same stream, without another request.
        if action != Service::UploadPackLs {
            return Err(wrong(ErrorCode::GenericError, "nothing is ever pushed"));
        }
        let place = Place::of(url).ok_or_else(|| {
            let why = "this is no address that ssh could be given (a folder with a colon in its name is file:///…)";
            wrong(ErrorCode::InvalidSpec, why)
        })?;
        let ssh = process::find("ssh")
            .ok_or_else(|| wrong(ErrorCode::NotFound, "there is no `ssh` here"))?;
        let dialogue = place
            .command(&ssh)
            .talk()
            .map_err(|error| wrong(ErrorCode::GenericError, error.summary()))?;
        let mut stream = Stream(BufReader::new(dialogue));
        match stream.0.fill_buf() {
            Ok([]) => Err(stream.refused()),
            Ok(_) => Ok(Box::new(stream)),
            Err(error) => Err(wrong(ErrorCode::GenericError, error.to_string())),
        }
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// Both directions of the connection.
struct Stream(BufReader<Dialogue>);

impl Stream {
    /// Returns the error for a connection without a single byte.
    fn refused(&mut self) -> git2::Error {
        let told = self.last_words();
        let code = if told.contains("Permission denied") {
            ErrorCode::Auth
        } else if told.contains("Host key verification failed") {
            ErrorCode::Certificate
        } else {
            ErrorCode::GenericError
        };
        wrong(code, told)
    }

    /// Returns the messages of ssh and of the server's git.
    fn last_words(&mut self) -> String {
        let ended = self.0.get_mut().end();
        let told: String =
            ended.tail().chars().filter(|char| *char == '\n' || !char.is_control()).collect();
        let code =
            ended.code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        if told.is_empty() { format!("ssh ended {code} and said nothing") } else { told }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // libgit2 reads only if more data must follow.
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::Error::other(self.last_words())),
            read => Ok(read),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.get_mut().write(bytes);
        written.map_err(|_| io::Error::other(self.last_words()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// A repository's location and login.
#[derive(Debug, PartialEq)]
struct Place {
    /// `USER@HOST` or `HOST`
    host: String,
    port: Option<String>,
    path: String,
}

impl Place {
    /// Parses `ssh://[USER@]HOST[:PORT]/PATH` or `[USER@]HOST:PATH` as git does. `None` for
    /// anything else, and for text that ssh would take for an option.
    fn of(url: &str) -> Option<Self> {
        let place = match url.split_once("://") {
            Some((_, rest)) => Self::of_url(rest),
            None => Self::of_short(url),
        };
        let fit = |word: &str| !word.is_empty() && !word.starts_with('-');
        place.filter(|place| {
            place.host.rsplit('@').all(fit) && !place.host.contains('/') && fit(&place.path)
        })
    }

    fn of_url(rest: &str) -> Option<Self> {
        let (place, path) = rest.split_once('/')?;
        // `/~user/path` is below a home directory; other paths begin at the root.
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let path = if path.starts_with('~') { path.into_owned() } else { format!("/{path}") };
        let (user, host) =
            place.rsplit_once('@').map_or((None, place), |(user, host)| (Some(user), host));
        let user = user.map(|user| user.split_once(':').map_or(user, |(user, _)| user));
        let (host, port) = match host.strip_prefix('[').and_then(|six| six.split_once(']')) {
            Some((six, port)) => (six, port.strip_prefix(':')),
            None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let user = user.map(|user| percent_decode_str(user).decode_utf8()).transpose().ok()?;
        Some(Self::new(user.as_deref(), host, port, path))
    }

    /// The host may be in brackets, with a port or as an IPv6 address.
    fn of_short(url: &str) -> Option<Self> {
        let (user, rest) = match url.split_once('@') {
            Some((user, rest)) if !user.contains([':', '/']) => (Some(user), rest),
            _ => (None, url),
        };
        let Some((inside, path)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("]:"))
        else {
            let (host, path) = rest.split_once(':')?;
            return Some(Self::new(user, host, None, path.to_owned()));
        };
        let with_port = inside
            .split_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let (host, port) = with_port.map_or((inside, None), |(host, port)| (host, Some(port)));
        Some(Self::new(user, host, port, path.to_owned()))
    }

    fn new(user: Option<&str>, host: &str, port: Option<&str>, path: String) -> Self {
        let host = user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"));
        Self { host, port: port.filter(|port| !port.is_empty()).map(str::to_owned), path }
    }

    fn command(&self, ssh: &Path) -> Command {
        let mut command = Command::new(ssh, SILENCE).called("ssh").arg("-T");
        for option in OPTIONS {
            command = command.args(["-o", option]);
        }
        if let Some(port) = &self.port {
            command = command.args(["-p", port]);
        }
        // The server's shell parses the path, so it is quoted, with `!` for csh.
        let path = self.path.replace('\'', r"'\''").replace('!', r"'\!'");
        command.arg(&self.host).arg(format!("git-upload-pack '{path}'"))
    }
}

fn wrong(code: ErrorCode, what: impl AsRef<str>) -> git2::Error {
    git2::Error::new(code, ErrorClass::Ssh, what)
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[track_caller]
    fn is_read_as(url: &str, host: &str, port: Option<&str>, path: &str) {
        let place =
            Place { host: host.to_owned(), port: port.map(str::to_owned), path: path.to_owned() };
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
        is_read_as("me@[host:2222]:a/b", "me@host", Some("2222"), "a/b");
        is_read_as("[::1]:a/b@c", "::1", None, "a/b@c");
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
            "/srv/up:stream",
            "host",
            "ssh://host",
        ] {
            assert_eq!(Place::of(url), None, "{url}");
        }
    }
}
