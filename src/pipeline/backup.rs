//! On request, a dump of the database in the last moment in which the site is untouched: what new containers do to it, no rollback undoes.

use std::io::Write;
use std::path::Path;

use super::{Run, facts};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::files::Growing;
use crate::site::journal::Record;
use crate::site::mailcow::{self, Dumper};
use crate::site::store::RunFolder;
use crate::stack::container::{Container, State};
use crate::stack::exec::Ended;

/// The dump's name in the run's folder.
const DUMP: &str = "database.sql";

/// Makes the dump, where the site asked for one. Without it, nothing goes on.
pub async fn database(run: &mut Run) -> Result<()> {
    if !run.site.config().backup.database || !run.options.goal.applies() {
        return Ok(());
    }
    let (container, stack) = (database_container(run).await?, run.stack().await?.clone());
    let conf = run.site.conf();
    let option = |name: &str| conf.get(name).unwrap_or_default().to_owned();
    let (name, password) = (option(mailcow::DATABASE_NAME), format!("MYSQL_PWD={}", option(mailcow::DATABASE_ROOT)));
    for dumper in mailcow::DUMPERS {
        let mut dump = Dump::begin(&run.folder.path().join(DUMP))?;
        let command = dumper.command(&name);
        match stack
            .engine
            .exec(&container, &command, &[password.as_str()], &mut dump)
            .await
            .map_err(|why| refused(&why))?
        {
            Ended::Missing => {}
            Ended::Badly(complaint) => {
                return Err(refused(&Error::new(format!("{} ended with an error", dumper.program)).because(complaint)));
            }
            Ended::Well => {
                let size = dump.finish()?;
                run.journal.set(facts::DUMPED, &dumper.client)?;
                run.events.info(format!("database dumped into the run: {}", bytesize::ByteSize::b(size)));
                return Ok(());
            }
        }
    }
    Err(refused(&Error::new(format!("{} has no program that makes one", mailcow::DATABASE))))
}

async fn database_container(run: &mut Run) -> Result<Container> {
    let project: String = run.journal.record().need(facts::PROJECT)?;
    let containers = run.stack().await?.engine.containers(&project).await?;
    let found = containers.into_iter().find(|one| one.service == mailcow::DATABASE && one.state == State::Running);
    found.ok_or_else(|| refused(&Error::new(format!("{} does not run", mailcow::DATABASE))))
}

fn refused(why: &Error) -> Error {
    let causes =
        why.causes().iter().fold(Error::new("could not dump the database").because(why.headline()), Error::because);
    causes
        .exit(Exit::Prepare)
        .hint("Without `database = true` below [backup] in cowhand.toml the update goes on without a dump.")
}

/// What brings the dumped database back, as a command for the site's folder; none where the run made no dump.
pub fn restore(record: &Record, folder: &RunFolder) -> Option<String> {
    let client = record.fact::<String>(facts::DUMPED).ok().flatten()?;
    let dump = folder.path().join(DUMP);
    dump.is_file().then(|| mailcow::restore_command(&client, &dump))
}

/// A dump on its way into its file, with its end at hand: a whole one says so in its last line.
struct Dump {
    file: Growing,
    size: u64,
    end: Vec<u8>,
}

impl Dump {
    fn begin(path: &Path) -> Result<Self> {
        Ok(Self { file: Growing::begin(path, 0o600)?, size: 0, end: Vec::new() })
    }

    fn finish(self) -> Result<u64> {
        let end = String::from_utf8_lossy(&self.end);
        if !end.lines().any(|line| line.starts_with(Dumper::LAST_LINE)) {
            return Err(refused(&Error::new("it is not whole: its last line is missing")));
        }
        self.file.finish().map(|()| self.size)
    }
}

impl Write for Dump {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        const KEPT: usize = 256;
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        self.end.extend_from_slice(&bytes[..written]);
        self.end.drain(..self.end.len().saturating_sub(KEPT));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
