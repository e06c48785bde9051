//! Cowhand under the name `update.sh`: the script's flags become Cowhand's commands, and its exit
//! codes the script's.
//!
//! Cron lines, monitoring checks and playbooks keep working when the script's path becomes a link
//! to Cowhand. Flags that the script would silently ignore are errors.

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

/// The name under which Cowhand was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Cowhand, with its own commands, exit codes and messages.
    #[default]
    Cowhand,
    /// `update.sh`, with the script's flags and exit codes, and the lines that monitoring searches
    /// its output for.
    UpdateSh,
}

/// The script's exit code for any failure. Its 2 means "start me again" and never occurs here.
const FAILED: u8 = 1;

/// Update a mailcow: dockerized site, in place of upstream's script of this name
#[derive(Debug, Parser)]
#[command(name = "update.sh", max_term_width = 100)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of a script, one field each")]
struct Flags {
    /// Only look for an update: 0 if there is one, 3 if not, 99 if the check failed
    #[arg(short, long, group = "only")]
    check: bool,
    /// Only look for a newer release (a tag), with the same exit codes
    #[arg(long, group = "only")]
    check_tags: bool,
    /// Only remove superseded images
    #[arg(long, group = "only")]
    gc: bool,
    /// Only fetch the commits and images of the next update
    #[arg(long, group = "only")]
    prefetch: bool,
    /// Keep the site's side of conflicting lines
    #[arg(long, conflicts_with = "only")]
    ours: bool,
    /// Change the files but start nothing
    #[arg(long, conflicts_with = "only")]
    skip_start: bool,
    /// Accepted and ignored: Cowhand pings nothing, and the fetch finds an unreachable upstream
    #[arg(long)]
    skip_ping_check: bool,
    /// The branch to switch to.
    #[command(flatten)]
    branch: BranchOptions,
    /// Accepted and ignored, from the script of 2022: Cowhand never replaces compose
    #[arg(long, hide = true)]
    no_update_compose: bool,
    /// Do not ask
    #[arg(short, long, conflicts_with_all = ["stable", "nightly", "legacy"])]
    force: bool,
    /// Ignored by read-only flags, since Cowhand never replaces itself; refused for an update
    #[arg(short, long)]
    dev: bool,
}

/// Returns the arguments that the script's flags stand for, or the exit code of a refusal that has
/// been printed. `None` if this process was not started under the script's name.
pub fn called() -> Option<Result<Arguments, ExitCode>> {
    let name = started_as()?;
    Some(translate(&name))
}

/// Returns the name under which this process was started, if it is the script's.
pub fn started_as() -> Option<PathBuf> {
    let name = PathBuf::from(std::env::args_os().next()?);
    (name.file_name() == Some(OsStr::new(mailcow::UPDATE_SCRIPT))).then_some(name)
}

fn translate(name: &Path) -> Result<Arguments, ExitCode> {
    let flags = Flags::try_parse().map_err(|error| {
        // A closed pipe is not a failure.
        let _ = error.print();
        ExitCode::from(if error.use_stderr() { FAILED } else { 0 })
    })?;
    let command = flags.command().map_err(|refusal| tell(&refusal))?;
    let site = site(name).ok_or_else(|| {
        tell("mailcow.conf not found. Run update.sh in the directory of the mailcow installation.")
    })?;
    Ok(Arguments { site, json: false, verbose: false, command, manner: Manner::UpdateSh })
}

fn tell(refusal: &str) -> ExitCode {
    eprintln!("{refusal}");
    ExitCode::from(FAILED)
}

/// Returns the site as the script finds it: the current directory, or else the directory of the
/// link (`/srv/mailcow/update.sh`).
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
                Err("A switch of branches is part of an update: remove the read-only flag."
                    .to_owned())
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

/// Returns the script's exit code for an outcome. The script ends with 0 if the operator declines
/// the update or the branch, and with 1 if a condition is not met.
pub fn exit(exit: Exit, person: &Person) -> ExitCode {
    let code = match exit {
        Exit::Done | Exit::NoUpdate | Exit::CouldNotTell | Exit::Interrupted => exit.code(),
        Exit::Declined if person.declined() => 0,
        _ => FAILED,
    };
    ExitCode::from(code)
}

/// Returns the line of a check that monitoring searches for.
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
