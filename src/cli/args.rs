//! What can be typed. The help texts are the reference; the README shows the common cases.

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

/// Updates a mailcow: dockerized site without losing what it wrote, stopping more than it must, or leaving it broken.
#[derive(Clone, Debug, Parser)]
#[command(name = "cowhand", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    /// The site's folder.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub site: PathBuf,
    /// Events as JSON Lines on standard output; text for people goes to standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show debug messages and traces of processes and engine requests
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Under which name it was started.
    #[arg(skip)]
    pub manner: Manner,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Update the site.
    Update(UpdateOptions),
    /// Show everything an update would do; the site stays untouched.
    Plan(PlanOptions),
    /// Say whether an update is available: exit code 0 if so, 3 if not, 99 if that cannot be told.
    Check(CheckOptions),
    /// Fetch the commits and pull the images that the next update needs.
    Prefetch,
    /// Say where the site stands: old, new, or between, and what ends that.
    Status,
    /// Finish a run that was interrupted.
    Resume(RecoverOptions),
    /// Make the site what it was before a run.
    Rollback(RollbackOptions),
    /// List the runs of this site.
    History,
    /// Tell what one run did.
    Show {
        /// The run's id, or the beginning of it.
        run: String,
    },
    /// Remove superseded images, and on request unowned dangling volumes; never a volume of the project.
    Prune(PruneOptions),
    /// What plugins this site has and what they may do.
    Plugin {
        /// What about them.
        #[command(subcommand)]
        command: PluginCommand,
    },
    /// Show an update on a throw-away site with real containers.
    #[cfg(feature = "demo")]
    Demo,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// Compile the component on standard input. Cowhand calls it by itself, within limits.
    #[command(hide = true, name = crate::plugin::COMPILE)]
    CompilePlugin {
        /// The code counts what it uses.
        #[arg(long)]
        fuel: bool,
    },
}

/// Whose side wins where the site and upstream changed the same lines.
#[derive(Clone, Copy, Debug, Args)]
pub struct FavorOptions {
    /// The site's side wins in conflicting lines.
    #[arg(long, conflicts_with = "theirs")]
    pub ours: bool,
    /// Upstream's side wins in conflicting lines; the default unless cowhand.toml says otherwise.
    #[arg(long)]
    pub theirs: bool,
}

impl FavorOptions {
    /// What was asked for, if anything.
    pub fn favor(self) -> Option<Favor> {
        match self {
            Self { ours: true, .. } => Some(Favor::Ours),
            Self { theirs: true, .. } => Some(Favor::Theirs),
            _ => None,
        }
    }
}

/// Which branch of upstream the site is to follow from now on.
#[derive(Clone, Copy, Debug, Default, Args)]
#[group(multiple = false)]
pub struct BranchOptions {
    /// Switch the site to upstream's stable branch, master. Asks; a person has to agree.
    #[arg(long)]
    pub stable: bool,
    /// Switch the site to upstream's branch for testing, nightly. Asks; a person has to agree.
    #[arg(long)]
    pub nightly: bool,
    /// Switch the site to upstream's legacy branch. Asks; a person has to agree.
    #[arg(long)]
    pub legacy: bool,
}

impl BranchOptions {
    /// The branch's name, if one was asked for.
    pub fn branch(self) -> Option<String> {
        let asked = [self.stable, self.nightly, self.legacy];
        let found = mailcow::BRANCHES.into_iter().zip(asked).find(|(_, asked)| *asked);
        found.map(|(name, _)| name.to_owned())
    }
}

/// Options of `check`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct CheckOptions {
    /// Look for a newer release (a tag) instead of any commit.
    #[arg(long)]
    pub tags: bool,
}

/// Options of `update`.
#[derive(Clone, Debug, Args)]
pub struct UpdateOptions {
    /// Whose side wins.
    #[command(flatten)]
    pub favor: FavorOptions,
    /// Which branch.
    #[command(flatten)]
    pub branch: BranchOptions,
    /// End after this stage of the prepare phase; the site stays untouched.
    #[arg(long, value_name = "STAGE")]
    pub until: Option<StageName>,
    /// Apply only if the merge's result is this tree, as `plan` showed it.
    #[arg(long, value_name = "OID")]
    pub expect_tree: Option<String>,
    /// Do not ask. A switch of branches always asks.
    #[arg(short, long, conflicts_with_all = ["stable", "nightly", "legacy"])]
    pub yes: bool,
    /// Change the files but start nothing: the run ends as "new, not started".
    #[arg(long)]
    pub skip_start: bool,
    /// Wait while another run is at work on the site.
    #[arg(long)]
    pub wait: bool,
    /// Record what the plugins are asked and what they answer as cases for `plugin test`, below this folder; secrets are redacted.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Options of `plan`.
#[derive(Clone, Debug, Args)]
pub struct PlanOptions {
    /// Whose side wins.
    #[command(flatten)]
    pub favor: FavorOptions,
    /// Which branch.
    #[command(flatten)]
    pub branch: BranchOptions,
    /// End after this stage; with `--until merge` no engine is needed.
    #[arg(long, value_name = "STAGE")]
    pub until: Option<StageName>,
    /// Record what the plugins are asked and what they answer as cases for `plugin test`, below this folder; secrets are redacted.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Options of `resume`.
#[derive(Clone, Debug, Args)]
pub struct RecoverOptions {
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `rollback`.
#[derive(Clone, Debug, Args)]
pub struct RollbackOptions {
    /// The run to undo; the newest one that changed the site if not named.
    pub run: Option<String>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `prune`.
#[derive(Clone, Debug, Args)]
pub struct PruneOptions {
    /// Only show what would go.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// The commands about plugins.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginCommand {
    /// List the site's plugins in the order in which they are asked.
    List,
    /// Tell what a component is and what it wants, without running it.
    Inspect {
        /// A component, `stock:NAME`, an https:// address, or a reference in a registry.
        source: String,
    },
    /// Tell what a plugin requests, what it is granted, and what it may do.
    Explain {
        /// The plugin's name.
        name: String,
    },
    /// Add a plugin to cowhand.toml, or update it: fetched, shown, approved, and compiled.
    Add(AddOptions),
    /// Take a plugin out of cowhand.toml, and its approval back.
    Remove {
        /// The plugin's name.
        name: String,
    },
    /// Approve plugins as they are now: their content and their grants.
    Approve {
        /// The plugins' names; those that need it if not named.
        names: Vec<String>,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
    /// Compare the plugins with what was approved, and start each once.
    Verify,
    /// Write a new plugin's project: it builds, and passes its own tests.
    New {
        /// The plugin's name, or the folder to create, which bears it.
        name: PathBuf,
        /// The language.
        #[arg(long, value_enum)]
        lang: Language,
        /// A hook at which it is asked; may be given more than once.
        #[arg(long = "hook", value_name = "HOOK", required = true, value_parser = hook_parser())]
        hooks: Vec<Hook>,
    },
    /// Run a plugin on its cases: what it is asked, and what it has to answer.
    Test {
        /// The component, or `stock:NAME`; what was built in this folder if not named.
        component: Option<String>,
        /// The folder with the cases.
        #[arg(long, value_name = "DIR", default_value = "cases")]
        cases: PathBuf,
    },
}

/// Options of `plugin add`.
#[derive(Clone, Debug, Args)]
pub struct AddOptions {
    /// A component, `stock:NAME`, an https:// address, or a reference in a registry.
    pub source: String,
    /// Its name; by its source if not given. A plugin that the site has is updated.
    #[arg(long)]
    pub name: Option<String>,
    /// The digest that it must have.
    #[arg(long, value_name = "sha256:HEX")]
    pub digest: Option<Digest>,
    /// A file with minisign's signature; beside a component that is a file, FILE.minisig is found.
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Grant something: read, install, http, env, memory or time.
    #[arg(long, value_name = "KEY=VALUE")]
    pub grant: Vec<GrantLine>,
    /// Do not ask.
    #[arg(short, long)]
    pub yes: bool,
}

/// One of the hooks' names.
fn hook_parser() -> impl clap::builder::TypedValueParser<Value = Hook> {
    use clap::builder::TypedValueParser as _;
    let names = clap::builder::PossibleValuesParser::new(Hook::ALL.map(Hook::name));
    names.try_map(|name| Hook::from_name(&name).ok_or("there is no such hook"))
}

impl Command {
    /// The command's name.
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

    /// Whether it reads and prints and does nothing else.
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

    /// Whether questions are answered with yes.
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
