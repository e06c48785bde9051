//! Preflight: finds every problem that can be known before anything changes.

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

/// The least free space, in bytes, that a merge and its copies need.
const FREE_FOR_SITE: u64 = 256 << 20;
/// The least free space, in bytes, that the engine's images need. A disk that fills up half-way
/// leaves a database that does not start.
const FREE_FOR_IMAGES: u64 = 1 << 30;

/// Checks the site and refuses with a hint.
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

/// Returns true if a stage of this goal has this need.
pub fn needs(goal: Goal, need: Need) -> bool {
    STAGES.iter().any(|stage| goal.includes(stage) && stage.needs.contains(&need))
}

fn rights(run: &Run) -> Result<()> {
    if needs(run.options.goal, Need::Root) && !rustix::process::geteuid().is_root() {
        return Err(Error::new("must be run as root: the site's files belong to several users")
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

/// Removes killed preparations; they changed nothing. A plan holds no lock and may still be
/// running.
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

/// Checks the host name as update.sh does: refuses what cannot work and warns of what may not work,
/// which [`super::consent`] asks about later.
fn hostname(run: &Run) -> Result<()> {
    let hint = "Set it in mailcow.conf to the fully qualified name of the server.";
    match mailcow::judge_hostname(run.site.conf().get(mailcow::HOSTNAME).unwrap_or_default()) {
        Hostname::Good => Ok(()),
        Hostname::Doubtful(doubt) => {
            run.events.warn(doubt, Some(hint.to_owned()));
            Ok(())
        }
        Hostname::Bad(problem) => Err(Error::new(problem).hint(hint)),
    }
}

/// Warns of hook scripts under names that never run.
fn misnamed_hooks(run: &Run) {
    for (wrong, right) in mailcow::MISNAMED_HOOKS {
        if run.site.dir().is_file(std::path::Path::new(wrong)) {
            let hint = format!(
                "Rename it to {right}; upstream's documentation has the wrong name in one place."
            );
            run.events.warn(format!("{wrong} is never run"), Some(hint));
        }
    }
}

/// Reports that the site follows another repository; its remote stays as it is.
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
    Err(Error::new(format!("not enough free space for {whose} in {folder}: {free} free"))
        .hint(format!("Free at least {}; `cowhand prune` removes superseded images.", size(floor))))
}

/// Loads the plugins now, so that an unusable one does not fail half-way.
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
