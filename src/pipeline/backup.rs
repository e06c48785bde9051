//! Backup: on request, dumps the database right before the site changes, since no rollback undoes
//! what new containers do to it. The dump leaves room on the disk: a full one stops mail.

#![expect(clippy::disallowed_methods, reason = "these paths are in the run's own directory")]

use std::fs;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};

use super::{Progress, Run, facts};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files::Growing;
use crate::site::journal::Record;
use crate::site::mailcow::{self, Dumper};
use crate::site::store::RunFolder;
use crate::stack::container::{Container, State};
use crate::stack::disk;
use crate::stack::engine::Engine;
use crate::stack::exec::Ended;

/// The dump's name in the run's directory.
const DUMP: &str = "database.sql";
/// The space that a dump leaves free, in bytes: as much as preflight demands for the engine, whose
/// disk it often is.
const RESERVE: u64 = 1 << 30;
/// After so many bytes of a dump the free space is asked for again.
const CHECKED_EVERY: u64 = 8 << 20;

/// Makes the dump if `[backup] database` asks for one. If that fails, the run ends.
pub async fn act(run: &mut Run) -> Result<Progress> {
    if !run.site.config().backup.database {
        return Ok(Progress::Skipped("not configured: [backup] database = false".to_owned()));
    }
    let (container, stack) = (database_container(run).await?, run.stack().await?.clone());
    let conf = run.site.conf();
    let option = |name: &str| conf.get(name).unwrap_or_default().to_owned();
    let (name, password) =
        (option(mailcow::DATABASE_NAME), format!("MYSQL_PWD={}", option(mailcow::DATABASE_ROOT)));
    for dumper in mailcow::DUMPERS {
        let size = size_of(&stack.engine, &container, dumper, &name, &password).await;
        let mut dump = Dump::begin(run.folder.path(), size)?;
        let command = dumper.command(&name);
        match stack
            .engine
            .exec(&container, &command, &[password.as_str()], &mut dump)
            .await
            .map_err(|why| refused(&why))?
        {
            Ended::Missing => {}
            Ended::Badly(complaint) => {
                return Err(refused(
                    &Error::new(format!("{} ended with an error", dumper.program))
                        .because(complaint),
                ));
            }
            Ended::Well => {
                let size = dump.finish()?;
                run.journal.set(facts::DUMPED, &dumper.client)?;
                let size = bytesize::ByteSize::b(size);
                return Ok(Progress::Done(format!("database dumped into the run: {size}")));
            }
        }
    }
    Err(refused(&Error::new(format!("{} has no program that makes one", mailcow::DATABASE))))
}

async fn database_container(run: &mut Run) -> Result<Container> {
    let project: String = run.journal.record().need(facts::PROJECT)?;
    let containers = run.stack().await?.engine.containers(&project).await?;
    let found = containers
        .into_iter()
        .find(|one| one.service == mailcow::DATABASE && one.state == State::Running);
    found.ok_or_else(|| refused(&Error::new(format!("{} does not run", mailcow::DATABASE))))
}

fn refused(why: &Error) -> Error {
    let causes = why
        .causes()
        .iter()
        .fold(Error::new("could not dump the database").because(why.headline()), Error::because);
    let hinted = why.hints().iter().fold(causes, Error::hint);
    hinted
        .exit(Exit::Prepare)
        .hint("To update without a dump, remove `database = true` below [backup] in cowhand.toml.")
}

/// Returns the command, for the site's directory, that restores the dump; `None` if the run made no
/// dump.
pub fn restore(record: &Record, folder: &RunFolder) -> Option<String> {
    let client = record.fact::<String>(facts::DUMPED).ok().flatten()?;
    dump_of(folder).map(|dump| mailcow::restore_command(&client, &dump))
}

/// Returns the path of the run's dump, if it made one.
pub fn dump_of(folder: &RunFolder) -> Option<PathBuf> {
    Some(folder.path().join(DUMP)).filter(|dump| dump.is_file())
}

/// Removes a dump.
pub fn remove(dump: &Path) -> Result<()> {
    fs::remove_file(dump).what_with(|| format!("could not remove {}", dump.display()))
}

/// Asks the database how many bytes its tables hold; `None` if it does not say.
async fn size_of(
    engine: &Engine,
    container: &Container,
    dumper: Dumper,
    name: &str,
    password: &str,
) -> Option<u64> {
    let question = Dumper::size_question(name);
    let mut answer = Cursor::new([0_u8; 64]);
    let command = dumper.size_command(&question);
    let asked = engine.exec(container, &command, &[password], &mut answer).await;
    asked.ok().filter(|ended| *ended == Ended::Well)?;
    let end = usize::try_from(answer.position()).ok()?;
    std::str::from_utf8(&answer.get_ref()[..end]).ok()?.trim().parse().ok()
}

/// A dump on its way into its file, with its end at hand: a whole one says so in its last line.
struct Dump {
    file: Growing,
    folder: PathBuf,
    size: u64,
    end: Vec<u8>,
}

impl Dump {
    /// Begins the dump of a database whose tables hold `data` bytes, where that is known: as text
    /// they take a fifth more, by experience.
    fn begin(folder: &Path, data: Option<u64>) -> Result<Self> {
        let needed = data.map_or(0, |data| data.saturating_add(data / 5));
        let free = disk::free(folder)?;
        if free < needed.saturating_add(RESERVE) {
            let [needed, free, reserve] =
                [needed, free, RESERVE].map(|bytes| bytesize::ByteSize::b(bytes).to_string());
            let error = Error::new("not enough free space")
                .because(format!(
                    "it needs about {needed} plus a reserve of {reserve}; {free} are free at {}",
                    folder.display()
                ))
                .hint("Free some space, for instance by removing old backups or logs, and retry.");
            return Err(refused(&error));
        }
        let file = Growing::begin(&folder.join(DUMP), 0o600)?;
        Ok(Self { file, folder: folder.to_owned(), size: 0, end: Vec::new() })
    }

    /// Fails once less than the reserve is free.
    fn leave_room(&self) -> io::Result<()> {
        let free = disk::free(&self.folder).map_err(|error| io::Error::other(error.to_string()))?;
        if free >= RESERVE {
            return Ok(());
        }
        let reserve = bytesize::ByteSize::b(RESERVE);
        let full = format!("less than {reserve} are free at {}", self.folder.display());
        Err(io::Error::new(io::ErrorKind::StorageFull, full))
    }

    fn finish(self) -> Result<u64> {
        let end = String::from_utf8_lossy(&self.end);
        if !end.lines().any(|line| line.starts_with(Dumper::LAST_LINE)) {
            return Err(refused(&Error::new("it is incomplete: its last line is missing")));
        }
        self.file.finish().map(|()| self.size)
    }
}

impl Write for Dump {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        const KEPT: usize = 256;
        let written = self.file.write(bytes)?;
        let before = self.size;
        self.size += written as u64;
        if before / CHECKED_EVERY != self.size / CHECKED_EVERY {
            self.leave_room()?;
        }
        self.end.extend_from_slice(&bytes[..written]);
        self.end.drain(..self.end.len().saturating_sub(KEPT));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
