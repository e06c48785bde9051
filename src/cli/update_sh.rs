//! Started under the name `update.sh`: upstream's own flags, translated into Cowhand's commands, and upstream's exit codes.
//!
//! Cron lines, monitoring checks and playbooks that call the script go on working with nothing but its path exchanged for that of a link
//! to Cowhand. What the script would silently ignore is an error.

#![expect(clippy::disallowed_methods, reason = "it looks for the directory of the site itself")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use super::args::{
    Arguments, BranchOptions, CheckOptions, Command, FavorOptions, PruneOptions, UpdateOptions,
};
use crate::exit::Exit;
use crate::person::Person;
use crate::site::mailcow;

/// Under which name Cowhand was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Its own: its own commands, exit codes and words.
    #[default]
    Cowhand,
    /// `update.sh`: the script's flags, exit codes, and the lines that others search its output for.
    UpdateSh,
}

/// The script's exit code for everything that it does not tell apart. Its 2 means "start me again" and is never given.
const FAILED: u8 = 1;

/// Updates a mailcow: dockerized site, in the place of upstream's script of this name.
#[derive(Debug, Parser)]
#[command(name = "update.sh", max_term_width = 100)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a script, one field each")]
struct Flags {
    /// Only say whether an update is available: 0 if so, 3 if not, 99 if that cannot be told.
    #[arg(short, long, group = "only")]
    check: bool,
    /// The same for a newer release (a tag).
    #[arg(long, group = "only")]
    check_tags: bool,
    /// Only remove superseded images.
    #[arg(long, group = "only")]
    gc: bool,
    /// Only fetch the commits and images of the next update.
    #[arg(long, group = "only")]
    prefetch: bool,
    /// The site's side wins in conflicting lines.
    #[arg(long, conflicts_with = "only")]
    ours: bool,
    /// Change the files but start nothing.
    #[arg(long, conflicts_with = "only")]
    skip_start: bool,
    /// Nothing is pinged: what cannot be reached is found while fetching, before anything changed.
    #[arg(long)]
    skip_ping_check: bool,
    /// Switch to another branch.
    #[command(flatten)]
    branch: BranchOptions,
    /// Of the script until 2022; here compose is never exchanged in any case.
    #[arg(long, hide = true)]
    no_update_compose: bool,
    /// Ask nothing.
    #[arg(short, long, conflicts_with_all = ["stable", "nightly", "legacy"])]
    force: bool,
    /// The script itself is never exchanged here, so this changes nothing for what only looks. An update without a merge is refused.
    #[arg(short, long)]
    dev: bool,
}

/// What the script's flags ask for, where this process was started under the script's name; or the exit code where they ask for nothing
/// that can be done, and that was told.
pub fn called() -> Option<Result<Arguments, ExitCode>> {
    let name = started_as()?;
    Some(translate(&name))
}

/// The name under which this process was started, if it is the script's.
pub fn started_as() -> Option<PathBuf> {
    let name = PathBuf::from(std::env::args_os().next()?);
    (name.file_name() == Some(OsStr::new(mailcow::UPDATE_SCRIPT))).then_some(name)
}

fn translate(name: &Path) -> Result<Arguments, ExitCode> {
    let flags = Flags::try_parse().map_err(|error| {
        // What a reader that went away does not see is not our failure.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { FAILED } else { 0 })
    })?;
    let command = flags.command().map_err(|refusal| tell(&refusal))?;
    let site = site(name).ok_or_else(|| {
        tell("There is no mailcow.conf here. Call update.sh in the folder of the mailcow installation.")
    })?;
    Ok(Arguments { site, json: false, verbose: false, command, manner: Manner::UpdateSh })
}

fn tell(refusal: &str) -> ExitCode {
    eprintln!("{refusal}");
    ExitCode::from(FAILED)
}

/// The site, as the script finds it: the current folder; else the folder that the link was called in, as `/srv/mailcow/update.sh`.
fn site(name: &Path) -> Option<PathBuf> {
    let folders =
        [Some(Path::new(".")), name.parent().filter(|folder| !folder.as_os_str().is_empty())];
    folders
        .into_iter()
        .flatten()
        .find(|folder| folder.join(mailcow::CONF).exists())
        .map(Path::to_owned)
}

impl Flags {
    fn command(&self) -> Result<Command, String> {
        let only = self.check || self.check_tags || self.gc || self.prefetch;
        let switch = self.branch.branch();
        match self {
            _ if only && switch.is_some() => {
                Err("Switching branches goes with an update, not with what only looks.".to_owned())
            }
            Self { check: true, .. } => Ok(Command::Check(CheckOptions { tags: false })),
            Self { check_tags: true, .. } => Ok(Command::Check(CheckOptions { tags: true })),
            Self { gc: true, .. } => {
                Ok(Command::Prune(PruneOptions { dry_run: false, yes: self.force }))
            }
            Self { prefetch: true, .. } => Ok(Command::Prefetch),
            Self { dev: true, .. } => {
                Err("--dev brings up the files as they are, without a merge: \
                `docker compose pull && docker compose up -d --remove-orphans` does that."
                    .to_owned())
            }
            _ => Ok(Command::Update(UpdateOptions {
                favor: FavorOptions { ours: self.ours, theirs: false },
                branch: self.branch,
                until: None,
                expect_tree: None,
                yes: self.force,
                skip_start: self.skip_start,
                wait: false,
                record: None,
            })),
        }
    }
}

/// The script's exit code for what a command came to. It gives 0 to who does not want the update or the other branch, and 1 to who says that a
/// condition is not met.
pub fn exit(exit: Exit, person: &Person) -> ExitCode {
    let code = match exit {
        Exit::Done | Exit::NoUpdate | Exit::CouldNotTell | Exit::Interrupted => exit.code(),
        Exit::Declined if person.declined() => 0,
        _ => FAILED,
    };
    ExitCode::from(code)
}

/// The line of a check that others search the output for.
pub fn check_line(update: bool, tags: bool) -> &'static str {
    match (update, tags) {
        (true, false) => "Updated code is available.",
        (true, true) => "New tag is available.",
        (false, _) => "No updates available.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, String> {
        let flags = Flags::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        flags.command()
    }

    #[test]
    fn every_flag_of_the_script_is_taken() {
        for line in [
            "-c",
            "--check -f",
            "--check-tags",
            "--gc",
            "-f --gc",
            "--prefetch -d",
            "--skip-ping-check -c",
            "-c --no-update-compose",
        ] {
            assert!(command(&format!("update.sh {line}")).is_ok(), "{line}");
        }
        for line in [
            "",
            " --ours --skip-start -f",
            " --force --skip-ping-check",
            " --nightly",
            " --stable --ours",
        ] {
            assert!(
                matches!(command(&format!("update.sh{line}")), Ok(Command::Update(_))),
                "{line}"
            );
        }
    }

    #[test]
    fn what_the_script_would_ignore_is_refused() {
        for line in [
            "--dry-run",
            "update",
            "--check --prefetch",
            "--check --nightly",
            "--check --ours",
            "--gc --skip-start",
            "--nightly --stable",
            "--nightly --force",
            "--dev",
        ] {
            assert!(command(&format!("update.sh {line}")).is_err(), "{line}");
        }
    }
}
