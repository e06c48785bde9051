//! The command line. The help texts are the reference; `docs/commands.md` explains the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::update_sh::Manner;
use crate::config::Favor;
use crate::config::edit::GrantLine;
use crate::digest::Digest;
use crate::pipeline::StageName;
use crate::plugin::spec::Hook;
use crate::scaffold::Language;
use crate::site::mailcow;

/// Update a mailcow: dockerized site: keep its changes, interrupt only what must change, and leave
/// it old or new, never broken
#[derive(Clone, Debug, Parser)]
#[command(name = "cowhand", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// The site's directory
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub site: PathBuf,
    /// Write events as JSON Lines to standard output; messages go to standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Show debug messages and traces of processes and engine requests
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// The name under which Cowhand was started.
    #[arg(skip)]
    pub manner: Manner,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Update the site
    Update(UpdateOptions),
    /// Show everything an update would do; the site stays untouched
    Plan(PlanOptions),
    /// Look for an update: exit code 0 if there is one, 3 if not, 99 if the check failed
    Check(CheckOptions),
    /// Fetch the commits and pull the images that the next update needs
    Prefetch,
    /// Show the site's state and how to recover
    Status,
    /// Finish a run that was interrupted
    Resume(RecoverOptions),
    /// Roll the site back to its state before a run
    Rollback(RollbackOptions),
    /// List the site's runs
    History,
    /// Show the details of a run
    Show {
        /// The run's id, or the beginning of it
        run: String,
    },
    /// Remove superseded images and, on request, dangling volumes that no project owns
    Prune(PruneOptions),
    /// Manage the site's plugins and what they may do
    Plugin {
        /// The command to run.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Show an update on a throw-away site with real containers
    #[cfg(feature = "demo")]
    Demo,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Compile the component on standard input; Cowhand calls this itself, with limits
    #[command(hide = true, name = crate::plugin::COMPILE)]
    CompilePlugin {
        /// Make the code count its fuel
        #[arg(long)]
        fuel: bool,
    },
}

/// The side that wins where the site and upstream changed the same lines.
#[derive(Clone, Copy, Debug, Args)]
pub struct FavorOptions {
    /// Keep the site's side of conflicting lines
    #[arg(long, conflicts_with = "theirs")]
    pub ours: bool,
    /// Take upstream's side of conflicting lines; the default unless cowhand.toml says otherwise
    #[arg(long)]
    pub theirs: bool,
}

impl FavorOptions {
    /// Returns the requested side, or `None` if neither flag was given.
    pub fn favor(self) -> Option<Favor> {
        match self {
            Self { ours: true, .. } => Some(Favor::Ours),
            Self { theirs: true, .. } => Some(Favor::Theirs),
            _ => None,
        }
    }
}

/// The branch of upstream that the site follows from now on.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false)]
pub struct BranchOptions {
    /// Switch the site to upstream's stable branch, master; always asks
    #[arg(long)]
    pub stable: bool,
    /// Switch the site to upstream's branch for testing, nightly; always asks
    #[arg(long)]
    pub nightly: bool,
    /// Switch the site to upstream's legacy branch; always asks
    #[arg(long)]
    pub legacy: bool,
}

impl BranchOptions {
    /// Returns the branch's name, or `None` if no flag was given.
    pub fn branch(self) -> Option<String> {
        let asked = [self.stable, self.nightly, self.legacy];
        let found = mailcow::BRANCHES.into_iter().zip(asked).find(|(_, asked)| *asked);
        found.map(|(name, _)| name.to_owned())
    }
}

/// Options of `check`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct CheckOptions {
    /// Look for a newer release (a tag) instead of any commit
    #[arg(long)]
    pub tags: bool,
}

/// Options of `update`.
#[derive(Clone, Debug, Args)]
pub struct UpdateOptions {
    /// The side that wins.
    #[command(flatten)]
    pub favor: FavorOptions,
    /// The branch to follow.
    #[command(flatten)]
    pub branch: BranchOptions,
    /// End after this stage of the prepare phase; the site stays untouched
    #[arg(long, value_name = "STAGE")]
    pub until: Option<StageName>,
    /// Apply only if the merge's result is this tree, as `plan` showed it
    #[arg(long, value_name = "OID")]
    pub expect_tree: Option<String>,
    /// Do not ask; a switch of branches always asks
    #[arg(short, long, conflicts_with_all = ["stable", "nightly", "legacy"])]
    pub yes: bool,
    /// Change the files but start nothing: the run ends as "new, not started"
    #[arg(long)]
    pub skip_start: bool,
    /// Wait while another run is in progress
    #[arg(long)]
    pub wait: bool,
    /// Record the plugins' calls and answers below this directory, as cases for `plugin test`;
    /// secrets are redacted
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Options of `plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanOptions {
    /// The side that wins.
    #[command(flatten)]
    pub favor: FavorOptions,
    /// The branch to follow.
    #[command(flatten)]
    pub branch: BranchOptions,
    /// End after this stage; `--until merge` needs no engine
    #[arg(long, value_name = "STAGE")]
    pub until: Option<StageName>,
    /// Record the plugins' calls and answers below this directory, as cases for `plugin test`;
    /// secrets are redacted
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Options of `resume`.
#[derive(Clone, Debug, Args)]
pub struct RecoverOptions {
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `rollback`.
#[derive(Clone, Debug, Args)]
pub struct RollbackOptions {
    /// The run to undo [default: the newest one that changed the site]
    pub run: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `prune`.
#[derive(Clone, Debug, Args)]
pub struct PruneOptions {
    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// The subcommands of `plugin`.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginCommand {
    /// List the site's plugins in the order of their calls
    List,
    /// Show what a component exports and requests, without running it
    Inspect {
        /// A component, `stock:NAME`, an https:// URL, or a reference in a registry
        source: String,
    },
    /// Show what a plugin requests, what it is granted, and what it may do
    Explain {
        /// The plugin's name
        name: String,
    },
    /// Add a plugin to cowhand.toml, or update it: fetch, show, approve, and compile it
    Add(AddOptions),
    /// Remove a plugin from cowhand.toml, and its approval
    Remove {
        /// The plugin's name
        name: String,
    },
    /// Approve plugins as they are now: their content and their grants
    Approve {
        /// The plugins' names [default: all that need an approval]
        names: Vec<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Compare the plugins with their approvals, and start each once
    Verify,
    /// Create a plugin project that builds and passes its own tests
    New {
        /// The plugin's name, or the directory to create, which has that name
        name: PathBuf,
        /// The language
        #[arg(long, value_enum)]
        lang: Language,
        /// A hook that the plugin exports; may be given more than once
        #[arg(long = "hook", value_name = "HOOK", required = true, value_parser = hook_parser())]
        hooks: Vec<Hook>,
    },
    /// Run a plugin on its cases and compare its answers
    Test {
        /// The component, or `stock:NAME` [default: the one built in this directory]
        component: Option<String>,
        /// The directory with the cases
        #[arg(long, value_name = "DIR", default_value = "cases")]
        cases: PathBuf,
    },
}

/// Options of `plugin add`.
#[derive(Clone, Debug, Args)]
pub struct AddOptions {
    /// A component, `stock:NAME`, an https:// URL, or a reference in a registry
    pub source: String,
    /// The plugin's name [default: from its source]; a plugin that the site has is updated
    #[arg(long)]
    pub name: Option<String>,
    /// The digest that the component must have
    #[arg(long, value_name = "sha256:HEX")]
    pub digest: Option<Digest>,
    /// A minisign signature [default: FILE.minisig next to a component FILE]
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// A grant: read, install, http, env, memory or time
    #[arg(long, value_name = "KEY=VALUE")]
    pub grant: Vec<GrantLine>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

/// Parses a hook's name.
fn hook_parser() -> impl clap::builder::TypedValueParser<Value = Hook> {
    use clap::builder::TypedValueParser as _;
    let names = clap::builder::PossibleValuesParser::new(Hook::ALL.map(Hook::name));
    names.try_map(|name| Hook::from_name(&name).ok_or("unknown hook"))
}

impl Command {
    /// Returns the command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Update(_) => "update",
            Self::Plan(_) => "plan",
            Self::Check(_) => "check",
            Self::Prefetch => "prefetch",
            Self::Status => "status",
            Self::Resume(_) => "resume",
            Self::Rollback(_) => "rollback",
            Self::History => "history",
            Self::Show { .. } => "show",
            Self::Prune(_) => "prune",
            Self::Plugin { .. } => "plugin",
            #[cfg(feature = "demo")]
            Self::Demo => "demo",
            Self::Completions { .. } => "completions",
            Self::Man => "man",
            Self::CompilePlugin { .. } => crate::plugin::COMPILE,
        }
    }

    /// Returns true if the command only reads and prints.
    pub fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::Check(_)
                | Self::Status
                | Self::History
                | Self::Show { .. }
                | Self::Completions { .. }
                | Self::Man
                | Self::CompilePlugin { .. }
        )
    }

    /// Returns true if `--yes` was given.
    pub fn yes(&self) -> bool {
        match self {
            Self::Update(options) => options.yes,
            Self::Resume(options) => options.yes,
            Self::Rollback(options) => options.yes,
            Self::Prune(options) => options.yes,
            Self::Plugin { command: PluginCommand::Add(options) } => options.yes,
            Self::Plugin { command: PluginCommand::Approve { yes, .. } } => *yes,
            _ => false,
        }
    }
}
