//! The interruptions of an update and their length, from the engine's events: upstream's script,
//! upstream's manual guide, and Cowhand.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowhand::demo::engine::Engine;
use cowhand::demo::images::LABEL;
use cowhand::demo::registry::Registry;
use cowhand::demo::site::Site;
use cowhand::demo::watch::{Seen, Watch};
use cowhand::event::Events;
use cowhand::stack::{Compose, ComposeFiles, Endpoint, images};

use crate::measure::{Row, compare_times, time};
use crate::stack::{self, CHANGED, RELEASE};

/// The number of incompressible bytes in each new image.
const WEIGHT: usize = 4_000_000;
/// The number of pulls of each side.
const PULLS: usize = 7;

/// The effect of one way of updating on the stack.
struct Way {
    name: &'static str,
    seen: BTreeMap<String, Seen>,
    wall: Duration,
}

impl Way {
    fn gone(&self) -> f64 {
        self.seen.values().map(|seen| seen.gone.as_secs_f64()).sum()
    }

    fn interrupted(&self) -> Vec<&str> {
        self.seen
            .iter()
            .filter(|(_, seen)| seen.is_interrupted())
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// The three ways and a second update by Cowhand, with the environment's compose.
struct Downtime {
    versions: String,
    script: Way,
    guide: Way,
    cowhand: Way,
    nothing_new: usize,
    by_hand: usize,
}

/// Measures and prints.
pub fn show() {
    let (downtime, pulls) = measure();
    println!("\n{downtime}\n\n{pulls}");
}

/// Each way on a site of its own, one after the other, on one engine.
fn measure() -> (Downtime, Row) {
    let engine = Arc::new(Engine::private().unwrap());
    let registry = Registry::start().unwrap();
    let make = || site(Arc::clone(&engine), registry.address());
    let version = |arguments: &[&str]| engine.lines(arguments).unwrap().concat();
    let versions = format!(
        "compose {}, engine {}",
        version(&["compose", "version", "--short"]),
        version(&["version", "--format", "{{.Server.Version}}"])
    );
    let script = way("script: pull, down, merge, up -d", &make(), script);
    let guide = way("guide: merge, pull, up -d --remove-orphans", &make(), guide);
    let site = make();
    let cowhand = way("cowhand update --yes", &site, update);
    let again = |act: fn(&Site)| way("again", &site, act).interrupted().len();
    let downtime = Downtime {
        versions,
        script,
        guide,
        cowhand,
        nothing_new: again(update),
        by_hand: again(starts_by_hand),
    };
    drop(site);
    (downtime, pulls(&make()))
}

/// A running site that is one release behind: seven images and two mounted files.
fn site(engine: Arc<Engine>, registry: &str) -> Site {
    let site = Site::without_images(engine, registry, &[]).unwrap();
    stack::push(&site, 0);
    let compose = stack::compose_file(&site.images, stack::FIRST);
    site.upstream.release("2026-02").write("docker-compose.yml", compose).publish().unwrap();
    site.git(&["pull", "--quiet", "--ff-only"]).unwrap();
    site.up().unwrap();
    stack::push(&site, WEIGHT);
    let release = site.upstream.release(RELEASE);
    let release = release.write("docker-compose.yml", stack::compose_file(&site.images, RELEASE));
    stack::FILES
        .iter()
        .fold(release, |release, path| release.append(path, "\n# news\n"))
        .publish()
        .unwrap();
    site
}

fn way(name: &'static str, site: &Site, act: fn(&Site)) -> Way {
    let watch = Watch::begin(site.engine(), site.project()).unwrap();
    let since = Instant::now();
    act(site);
    let wall = since.elapsed();
    Way { name, seen: watch.end().unwrap(), wall }
}

fn script(site: &Site) {
    site.git(&["fetch", "--quiet"]).unwrap();
    site.git(&["show", "origin/master:docker-compose.yml"])
        .and_then(|text| site.write("../new/docker-compose.yml", text))
        .unwrap();
    site.compose(&[
        "--file",
        "../new/docker-compose.yml",
        "--project-directory",
        ".",
        "pull",
        "--quiet",
    ])
    .unwrap();
    site.compose(&["down"]).unwrap();
    merge(site);
    starts_by_hand(site);
}

fn guide(site: &Site) {
    site.git(&["fetch", "--quiet"]).unwrap();
    merge(site);
    site.compose(&["pull", "--quiet"]).unwrap();
    starts_by_hand(site);
}

fn merge(site: &Site) {
    let git = |arguments: &[&str]| {
        site.git(&[&["-c", "user.name=moo", "-c", "user.email=moo@cow.moo"], arguments].concat())
            .unwrap()
    };
    git(&["commit", "--quiet", "--all", "--message", "Before update"]);
    git(&[
        "merge",
        "--quiet",
        "-Xtheirs",
        "-Xpatience",
        "--message",
        "After update",
        "origin/master",
    ]);
}

fn starts_by_hand(site: &Site) {
    site.compose(&["--progress", "quiet", "up", "--detach", "--remove-orphans"]).unwrap();
}

fn update(site: &Site) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowhand"));
    command.args(["update", "--yes", "--site"]).arg(site.root());
    command.envs(site.engine().host().map(|host| ("DOCKER_HOST", host)));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The images of the new release, seven of which are not here, against what people would type.
fn pulls(site: &Site) -> Row {
    site.compose(&["down"]).unwrap();
    site.git(&["pull", "--quiet", "--ff-only"]).unwrap();
    let clear = || {
        let ours = format!("label={LABEL}={}", site.images.prefix());
        let list = ["images", "--quiet", "--no-trunc", "--filter", &ours, "--filter", stack::NEW];
        let found = site.engine().lines(&list).unwrap();
        let ids: std::collections::BTreeSet<&str> = found.iter().map(String::as_str).collect();
        let remove: Vec<&str> = ["rmi", "--force"].into_iter().chain(ids).collect();
        (remove.len() > 2).then(|| site.engine().lines(&remove).unwrap());
    };
    let ours = || {
        clear();
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command
            .arg("pull")
            .arg(site.root())
            .arg(site.engine().host().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        Duration::from_micros(said.trim().parse().unwrap())
    };
    let peer = || {
        clear();
        let mut command = Command::new("docker");
        command.args(["compose", "pull", "--quiet"]).current_dir(site.root());
        time(command.envs(site.engine().host().map(|host| ("DOCKER_HOST", host))))
    };
    let ours =
        ("Cowhand's, with asking the registry for every digest, in a process that runs", ours);
    compare_times(
        "pulling the images of 18 services, 7 of them new",
        PULLS,
        ours,
        ("docker compose pull --quiet", peer),
    )
}

/// The measured side of [`pulls`]: prints its time in microseconds, without resolving the
/// configuration.
pub fn pull_once(root: &str, host: &str) {
    let pull = async {
        let endpoint = Endpoint::at(host);
        let engine = cowhand::stack::Engine::at(&endpoint).await?;
        let files = ComposeFiles { project_directory: root.into(), ..ComposeFiles::default() };
        let resolved = Compose::detect(&endpoint).await?.resolve(&files).await?;
        let (since, events) = (Instant::now(), Events::default());
        let containers = engine.containers(&resolved.project).await?;
        let wanted = images::plan(&engine, &resolved, &containers, false, &events).await?;
        images::pull(&engine, &wanted, &events).await.map(|_| since.elapsed())
    };
    println!("{}", tokio::runtime::Runtime::new().unwrap().block_on(pull).unwrap().as_micros());
}

impl fmt::Display for Downtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "an update of {} services: {} images and {} mounted files change",
            stack::SERVICES.len(),
            CHANGED.len(),
            stack::FILES.len()
        )?;
        writeln!(f, "  {}; {}", self.versions, stack::times())?;
        writeln!(f, "  service-seconds  interrupted  wall time")?;
        for way in [&self.script, &self.guide, &self.cowhand] {
            let (gone, count, wall) = (way.gone(), way.interrupted().len(), way.wall.as_secs_f64());
            writeln!(f, "  {gone:15.1}  {count:11}  {wall:7.1} s  {}", way.name)?;
        }
        let (had_to, were) = (stack::interrupted(), self.cowhand.interrupted());
        let missing = had_to.iter().filter(|name| !were.contains(&name.as_str())).count();
        let needless = were.iter().filter(|name| !had_to.contains(**name)).count();
        let of = |other: &Way| self.cowhand.gone() / other.gone();
        writeln!(
            f,
            "  cowhand: {:.3} of the script's service-seconds, {:.3} of the guide's; {:.2} of the guide's wall time",
            of(&self.script),
            of(&self.guide),
            self.cowhand.wall.as_secs_f64() / self.guide.wall.as_secs_f64()
        )?;
        writeln!(
            f,
            "  cowhand interrupted {needless} that need not be, and left {missing} that had to be"
        )?;
        write!(
            f,
            "  interrupted by a second update: {}; by `docker compose up -d` afterwards: {}",
            self.nothing_new, self.by_hand
        )
    }
}
