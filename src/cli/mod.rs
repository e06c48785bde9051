//! The command line: arguments become a call, and its result an exit code. One file per command.

mod args;
mod check;
mod history;
mod plugin;
mod prune;
mod recover;
mod status;
mod update;
mod update_sh;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use jiff::Timestamp;

use crate::interrupt::Interrupt;
use crate::person::Person;
pub use args::{Arguments, Command};
use update_sh::Manner;

use crate::error::{Context, Error, Result};
use crate::event::{Event, Events, SCHEMA};
use crate::exit::Exit;
use crate::pipeline::{Company, Finished, Run};
use crate::report::{JsonLines, Paced, Queued, Terminal};
use crate::site::{Site, mailcow};
use crate::trace;

/// Parses the command line, runs the command and reports its outcome.
pub fn main() -> ExitCode {
    let arguments = match update_sh::called() {
        None => Arguments::parse(),
        Some(Ok(arguments)) => arguments,
        Some(Err(code)) => return code,
    };
    // As update.sh does: upstream's containers expect files with these modes.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let runtime = match runtime(&arguments.command) {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("could not start: {error}");
            return Exit::Unexpected.into();
        }
    };
    let code = runtime.block_on(run(arguments));
    // An unanswered read of standard input must not keep the process alive.
    runtime.shutdown_background();
    code
}

/// Returns the runtime. Read-only commands need no threads: a signal may end them at any moment.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    if command.only_looks() {
        return tokio::runtime::Builder::new_current_thread().enable_all().build();
    }
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// The context of a command.
pub struct Call {
    /// The command line.
    pub arguments: Arguments,
    /// Events, the prompt and the interrupt.
    pub company: Company,
    /// The run, if there is one. Its observers get the outcome before the process ends.
    pub run: Option<Run>,
    /// True if the first event has been emitted.
    started: std::cell::Cell<bool>,
}

impl Call {
    /// Opens the command's site and redacts its secrets from all output.
    pub fn site(&self) -> Result<Site> {
        let site = Site::open(&self.arguments.site)?;
        self.company.events.redact(crate::redact::Redactor::new(site.conf().secrets()));
        Ok(site)
    }

    /// Emits the command's first event.
    pub fn start(&self, site: &Site, run: Option<&str>) {
        self.begin(site.root(), run);
    }

    /// Emits the first event of a command that needs no site.
    pub fn start_anywhere(&self) {
        self.begin(&self.arguments.site, None);
    }

    fn begin(&self, root: &std::path::Path, run: Option<&str>) {
        self.started.set(true);
        self.company.events.emit(Event::Start {
            schema: SCHEMA,
            command: self.arguments.command.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            site: root.to_string_lossy().into_owned(),
            run: run.map(str::to_owned),
            at: Timestamp::now(),
        });
    }
}

async fn run(arguments: Arguments) -> ExitCode {
    let events = Events::default();
    let only_looks = arguments.command.only_looks();
    let interrupt = if only_looks { Interrupt::default() } else { Interrupt::listen(&events) };
    let traced = trace::start(arguments.verbose, &events);
    let (verbose, bars) = (arguments.verbose, matches!(traced, Ok(false)));
    let terminal = |out: console::Term| {
        Queued::start(interrupt.clone(), only_looks, |pulse| {
            Terminal::new(out, pulse, verbose, bars)
        })
    };
    if arguments.json {
        let json = |pulse| JsonLines::new(Paced::new(std::io::stdout(), pulse));
        events.add(Box::new(Queued::start(interrupt.clone(), only_looks, json)));
        events.add(Box::new(terminal(console::Term::stderr())));
        console::set_colors_enabled(console::colors_enabled_stderr());
    } else {
        events.add(Box::new(terminal(console::Term::stdout())));
    }
    let person = Person::new(arguments.command.yes(), events.clone(), interrupt.clone());
    let manner = arguments.manner;
    let mut call = Call {
        arguments,
        company: Company { events: events.clone(), person: person.clone(), interrupt },
        run: None,
        started: false.into(),
    };
    let result = match traced {
        Ok(_) => dispatch(&mut call).await,
        Err(error) => Err(error),
    };
    let (exit, outcome) = match result {
        Ok(finished) => tell(finished),
        Err(error) if call.started.get() => tell_error(&error, call.run.as_ref()),
        // The command failed before its first event: programs get one all the same.
        Err(error) => {
            if call.arguments.json {
                call.begin(&call.arguments.site, None);
            }
            tell_error(&error.or_left("Nothing was changed."), None)
        }
    };
    if let Some(outcome) = outcome {
        // The outcome is the last event for every sink, so observers finish first.
        if let Some(run) = &mut call.run {
            run.finish_observers(&outcome).await;
        }
        events.emit(outcome);
    }
    // Release the site's lock first: a slow reader must not hold it.
    drop(call);
    events.end();
    match manner {
        Manner::Cowhand => exit.into(),
        Manner::UpdateSh => update_sh::exit(exit, &person),
    }
}

async fn dispatch(call: &mut Call) -> Result<Finished> {
    match call.arguments.command.clone() {
        Command::Update(options) => update::update(call, options).await,
        Command::Plan(options) => update::plan(call, options).await,
        Command::Prefetch => update::prefetch(call).await,
        Command::Check(options) => check::check(call, options),
        Command::Status => status::status(call).await,
        Command::Resume(_) => recover::resume(call).await,
        Command::Rollback(options) => recover::roll_back(call, options.run.as_deref()).await,
        Command::History => history::history(call),
        Command::Show { run } => history::show(call, &run),
        Command::Prune(options) => prune::prune(call, options.dry_run).await,
        Command::Plugin { command } => plugin::plugin(call, command).await,
        #[cfg(feature = "demo")]
        Command::Demo => crate::demo::run()
            .await
            .map(|()| Finished::done("The demo is over. Everything that it created is removed.")),
        Command::Completions { shell } => {
            print(|out| clap_complete::generate(shell, &mut Arguments::command(), "cowhand", out))
        }
        Command::CompilePlugin { fuel } => {
            crate::plugin::compile_input(fuel).map(|()| Finished::done(""))
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command())
                .render(&mut page)
                .what("could not write the manual page")?;
            print(|out| out.extend(page))
        }
    }
}

/// Prints raw text, which no outcome follows.
fn print(write: impl FnOnce(&mut Vec<u8>)) -> Result<Finished> {
    let mut text = Vec::new();
    write(&mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text).what("could not print")?;
    Ok(Finished::done(""))
}

fn tell(finished: Finished) -> (Exit, Option<Event>) {
    let Finished { exit, message, hints, run } = finished;
    let event = Event::Outcome {
        code: exit.code(),
        exit,
        message,
        because: Vec::new(),
        left: None,
        hints,
        run,
    };
    (
        exit,
        Some(event)
            .filter(|event| !matches!(event, Event::Outcome { message, .. } if message.is_empty())),
    )
}

fn tell_error(error: &Error, run: Option<&Run>) -> (Exit, Option<Event>) {
    let exit = error.exit_code().unwrap_or(Exit::Unexpected);
    let event = Event::Outcome {
        code: exit.code(),
        exit,
        message: sentence(error.headline()),
        because: error.causes().to_vec(),
        left: error.what_is_left().map(str::to_owned),
        hints: error.hints().to_vec(),
        run: run.map(|run| run.folder.id().to_owned()),
    };
    (exit, Some(event))
}

/// Turns a headline into a sentence. Headlines begin in lower case so that they read well as
/// causes; a file's or plugin's name stays as it is.
fn sentence(headline: &str) -> String {
    let word = headline.split(' ').next().unwrap_or_default();
    let plain = word.chars().all(char::is_alphabetic);
    let mut characters = headline.chars();
    let first = characters
        .next()
        .map(|first| if plain { first.to_uppercase().collect() } else { first.to_string() });
    let end = if headline.ends_with(['.', '!', '?', ':']) { "" } else { "." };
    first.into_iter().chain(characters.map(String::from)).collect::<String>() + end
}

/// Returns the command line as typed, for the lock and the journal.
pub fn typed() -> String {
    let script = update_sh::started_as().map(|_| OsString::from(mailcow::UPDATE_SCRIPT));
    let words: Vec<OsString> = script.into_iter().chain(std::env::args_os().skip(1)).collect();
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
