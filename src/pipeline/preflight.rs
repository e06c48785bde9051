//! Preflight: everything that can be known to be wrong is found here, while it costs nothing.

use super::backward::discard;
use super::course::Course;
use super::facts::{self, Before};
use super::standing::{changed_the_site, may_be_planning};
use super::{Goal, Need, Progress, Run, STAGES, Standing, host, plugins, thin};
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::git::Upstream;
use crate::plugin::{self, Plugins};
use crate::site::mailcow::{self, Hostname};
use crate::site::store;
use crate::stack::disk::{self, Space};

/// Below this a site's file system has no room for a merge and its copies.
const FREE_FOR_SITE: u64 = 256 << 20;
/// Below this the engine's file system has no room for images. Field notes: a disk full half-way leaves a database that does not start.
const FREE_FOR_IMAGES: u64 = 1 << 30;

/// Looks, and refuses with what to do about it.
pub async fn act(run: &mut Run) -> Result<Progress> {
    rights(run)?;
    no_unfinished_run(run)?;
    let Course { now: branch, upstream, .. } = Course::of(run)?;
    let before = Before {
        branch: branch.name.clone(),
        head: branch.head.to_string(),
        upstream: upstream.label(),
    };
    other_remote(run, &upstream);
    run.journal.set(facts::BEFORE, &before)?;
    store::exclude(run.repo.common_folder())?;
    hostname(run)?;
    misnamed_hooks(run);
    let root = run.site.root();
    room(&Space { free: disk::free(root)?, path: root.to_owned() }, FREE_FOR_SITE, "the site")?;
    let mut found = format!("{} at {:.10}", branch.name, before.head);
    if needs(run.options.goal, Need::Network) {
        host::asn(run).await;
    }
    if needs(run.options.goal, Need::Engine) {
        host::tools()?;
        let stack = run.stack().await?;
        found = format!(
            "{found}, engine {}, compose {}",
            stack.engine.version(),
            stack.compose.version()
        );
        if let Some(space) = disk::space(&stack.engine).await? {
            room(&space, FREE_FOR_IMAGES, "the engine's images")?;
        }
    }
    load_plugins(run).await?;
    if run.locked() {
        clear_leftovers(run).await?;
        if run.options.goal.applies() {
            thin::old_runs(run).await?;
        }
    }
    Ok(Progress::Done(found))
}

/// Whether a stage on the way to this goal cannot do without this.
pub fn needs(goal: Goal, need: Need) -> bool {
    STAGES.iter().any(|stage| goal.includes(stage) && stage.needs.contains(&need))
}

fn rights(run: &Run) -> Result<()> {
    if needs(run.options.goal, Need::Root) && !rustix::process::geteuid().is_root() {
        return Err(Error::new(
            "updating a site needs root's rights: its files belong to several users",
        )
        .hint("Run it again with sudo."));
    }
    Ok(())
}

fn no_unfinished_run(run: &Run) -> Result<()> {
    match super::standing(&run.site)? {
        Standing::Between(record) if record.id != run.folder.id() => {
            let error =
                Error::new(format!("run {} is unfinished", record.id)).exit(Exit::Unfinished);
            Err(super::ways_out(&record).into_iter().fold(error, Error::hint))
        }
        _ => Ok(()),
    }
}

/// Preparations that were killed changed nothing, and nobody will go on with them. A plan holds no lock, so it may still be at work.
async fn clear_leftovers(run: &mut Run) -> Result<()> {
    let with_engine = needs(run.options.goal, Need::Engine);
    for record in run.store().runs()? {
        let at_work = record.id == run.folder.id() || may_be_planning(&record);
        let needs_engine = record.facts.contains_key(facts::PROJECT) && !with_engine;
        if record.ended.is_some() || at_work || needs_engine || changed_the_site(&record) {
            continue;
        }
        discard(run, &record).await?;
    }
    Ok(())
}

/// As update.sh has it: what cannot work is refused; of what may not work a person is asked later (see [`super::consent`]).
fn hostname(run: &Run) -> Result<()> {
    let hint = "Set it in mailcow.conf to the full name under which the server is reached.";
    match mailcow::judge_hostname(run.site.conf().get(mailcow::HOSTNAME).unwrap_or_default()) {
        Hostname::Good => Ok(()),
        Hostname::Doubtful(doubt) => {
            run.events.warn(doubt, Some(hint.to_owned()));
            Ok(())
        }
        Hostname::Bad(problem) => Err(Error::new(problem).hint(hint)),
    }
}

/// Scripts under names that are never run.
fn misnamed_hooks(run: &Run) {
    for (wrong, right) in mailcow::MISNAMED_HOOKS {
        if run.site.dir().is_file(std::path::Path::new(wrong)) {
            let hint = format!(
                "Upstream's documentation names it once by mistake; rename it to {right} to have it run."
            );
            run.events.warn(format!("{wrong} is never run"), Some(hint));
        }
    }
}

/// A site that follows somebody else's repository is told so; its remote stays what it is.
fn other_remote(run: &Run, upstream: &Upstream) {
    if !mailcow::is_default_remote(&upstream.url) {
        run.events.info(format!("The site follows {}, not {}.", upstream.url, mailcow::REPOSITORY));
    }
}

fn room(space: &Space, floor: u64, whose: &str) -> Result<()> {
    if space.free >= floor {
        return Ok(());
    }
    let size = |bytes| bytesize::ByteSize::b(bytes).to_string();
    let (folder, free) = (space.path.display(), size(space.free));
    Err(Error::new(format!("there is too little free space for {whose} in {folder}: {free}")).hint(
        format!(
            "Make room until at least {} are free; `cowhand prune` removes superseded images.",
            size(floor)
        ),
    ))
}

/// A plugin that cannot be used is found now, not half-way.
pub async fn load_plugins(run: &mut Run) -> Result<()> {
    let offline = matches!(run.options.goal, Goal::Plan { .. });
    let record = run.options.record.clone();
    let options =
        plugin::Options { record, ..plugins::options(&run.site, &run.repo, &run.events, offline)? };
    let mut plugins = Plugins::load(&run.site.config().plugin, &options).await?;
    if !offline && let Some(observers) = plugins.observe() {
        run.events.add_from_the_start(observers);
    }
    run.plugins = Some(plugins);
    Ok(())
}
