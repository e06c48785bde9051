//! The story of `cowhand demo`: a customised site, a release that conflicts with it, and an update.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::engine::Engine;
use super::registry::Registry;
use super::site::{ALL_SERVICES, Site, image_of};
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::process::Command;

/// Plays the story on standard output and removes everything that it created, also after a failure
/// or an interruption.
pub async fn run() -> Result<()> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let mut story = tokio::task::spawn_blocking(move || tell(&flag));
    let ended = tokio::select! {
        ended = &mut story => ended,
        () = interruption() => {
            say("interrupted: cleaning up");
            interrupted.store(true, Ordering::Relaxed);
            story.await
        }
    };
    let result = ended.what("the demo ended unexpectedly")?;
    result.map_err(|error| error.or_left("Everything that the demo created is removed."))
}

async fn interruption() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn tell(interrupted: &Arc<AtomicBool>) -> Result<()> {
    heading("A throw-away registry, upstream and customised site");
    let engine = engine(interrupted)?;
    let registry = Registry::start()?;
    let site = Site::make(engine, registry.address(), ALL_SERVICES)?;
    say(&format!(
        "registry {}, site {}, compose project {}",
        registry.address(),
        site.root().display(),
        site.project()
    ));
    site_edits(&site)?;
    say("starting the stack from the first release's images");
    site.up()?;
    let before = containers(&site)?;
    for (service, container) in &before {
        println!("  {service:<20}{}", container.image);
    }

    heading("Upstream publishes 2026-03, which conflicts with the site's changes");
    println!("{}", indented(&site.git(&["diff", "--stat"])?));
    publish(&site)?;

    let cowhand = Cowhand {
        program: std::env::current_exe().what("could not find this program")?,
        site: &site,
    };
    cowhand.play(&["check"])?;
    cowhand.play(&["plan"])?;
    cowhand.play(&["update", "--yes"])?;
    show_outcome(&site, &before)?;
    heading("Cleaning up");
    drop(site);
    say("removed the demo's containers, volumes, networks, images, registry and directories");
    Ok(())
}

fn engine(interrupted: &Arc<AtomicBool>) -> Result<Arc<Engine>> {
    let answering = Engine::answering();
    say(match answering {
        Some(_) => "using the running Docker engine, under names of the demo's own",
        None => "no Docker engine is running: starting a private one",
    });
    let engine = answering.map_or_else(Engine::private, Ok)?;
    Ok(Arc::new(engine.interrupted_by(Arc::clone(interrupted))))
}

/// Makes edits that mailcow's documentation advises against and that many sites have.
fn site_edits(site: &Site) -> Result<()> {
    site.edit("data/conf/postfix/main.cf", |text| {
        text.replace("postscreen_dnsbl_threshold = 6", "postscreen_dnsbl_threshold = 4")
            .replace("maximal_backoff_time = 30m", "maximal_backoff_time = 2h")
    })?;
    site.edit("data/conf/dovecot/dovecot.conf", |text| {
        text.replace("vsz_limit = 1024 M", "vsz_limit = 2048 M")
    })?;
    site.edit("data/conf/mysql/my.cnf", |text| {
        text.replace("key_buffer_size = 0", "key_buffer_size = 8M")
    })?;
    site.edit("data/conf/nginx/site.conf", |text| text.replace("TLSv1.2 TLSv1.3", "TLSv1.3"))
}

/// Publishes a release: the same lines changed, an edited file removed, a file added where the site
/// has an ignored one, a service removed, new images.
fn publish(site: &Site) -> Result<()> {
    for (name, tag) in [("postfix", "1.81"), ("phpfpm", "1.94"), ("nginx", "1.04")] {
        let image = image_of(name);
        let image = if name == "nginx" {
            image.env("READ", "/etc/nginx/conf.d/mailcow.conf")
        } else {
            image
        };
        site.images.push(name, tag, &image.label("release", "2026-03").weight(2_000_000))?;
    }
    let release = site
        .upstream
        .release("2026-03")
        .image("postfix", "1.81")
        .image("phpfpm", "1.94")
        .image("nginx", "1.04");
    release
        .without_service("solr-mailcow")
        .replace(
            "data/conf/postfix/main.cf",
            "postscreen_dnsbl_threshold = 6",
            "postscreen_dnsbl_threshold = 8",
        )
        .replace(
            "data/conf/postfix/main.cf",
            "postscreen_blacklist_action",
            "postscreen_denylist_action",
        )
        .replace("data/conf/dovecot/dovecot.conf", "vsz_limit = 1024 M", "vsz_limit = 512 M")
        .replace(
            "data/web/inc/functions.inc.php",
            "htmlspecialchars($title)",
            "htmlspecialchars($title, ENT_QUOTES)",
        )
        .remove("data/conf/nginx/site.conf")
        .write("data/conf/nginx/mailcow.conf", "server_tokens off;\nclient_max_body_size 0;\n")
        .write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"50 / 1h\"; }\n")
        .publish()
        .map(drop)
}

struct Cowhand<'a> {
    program: PathBuf,
    site: &'a Site,
}

impl Cowhand<'_> {
    /// Runs a command with visible output and expects exit code 0.
    fn play(&self, arguments: &[&str]) -> Result<()> {
        let line = format!("cowhand {}", arguments.join(" "));
        heading(&format!("$ {line}"));
        let engine = self.site.engine();
        let command = Command::new(&self.program, Duration::from_mins(10))
            .args(arguments)
            .arg("--site")
            .arg(self.site.root());
        match engine.run(engine.reach(command).show())? {
            Some(0) => Ok(()),
            code => Err(Error::new(format!("`{line}` ended with {}", code.unwrap_or(-1)))
                .because("the demo expects 0")
                .exit(Exit::Unexpected)),
        }
    }
}

fn show_outcome(site: &Site, before: &BTreeMap<String, Container>) -> Result<()> {
    heading("Result: git");
    println!("{}", indented(&site.git(&["log", "--oneline", "--graph", "--decorate", "-n", "6"])?));
    heading("Result: containers");
    let after = containers(site)?;
    for service in
        before.keys().chain(after.keys().filter(|service| !before.contains_key(*service)))
    {
        println!("  {service:<20}{}", fate(before.get(service), after.get(service)));
    }
    heading("Result: the losing versions, kept in the run");
    for path in files_below(&site.root().join(".git/cowhand/runs"))? {
        println!("  {}", path.display());
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Container {
    image: String,
    id: String,
}

fn containers(site: &Site) -> Result<BTreeMap<String, Container>> {
    let parse = |line: &String| {
        let mut words = line.split(' ').map(str::to_owned);
        let service = words.next()?;
        let image = words.next()?.rsplit('/').next()?.to_owned();
        Some((service, Container { image, id: words.next()? }))
    };
    Ok(site.containers()?.iter().filter_map(parse).collect())
}

fn fate(before: Option<&Container>, after: Option<&Container>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {
            format!("{:<24}kept running", after.image)
        }
        (Some(before), Some(after)) => {
            format!("{:<24}replaced {}", after.image, before.image)
        }
        (Some(before), None) => format!("{:<24}removed", before.image),
        (None, Some(after)) => format!("{:<24}new", after.image),
        (None, None) => String::new(),
    }
}

/// Returns the files below a directory, sorted, relative to it.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let doing = || format!("could not list {}", next.display());
        for entry in std::fs::read_dir(&next).what_with(doing)? {
            let path = entry.what_with(doing)?.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap_or(&path).to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn heading(text: &str) {
    println!("\n{} {text}", console::style("==").bold());
}

fn say(text: &str) {
    println!("  {text}");
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
