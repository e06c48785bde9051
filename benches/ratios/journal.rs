//! The journal's cost: as many durable records as an update writes, each as long as the last one,
//! against the whole update.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowhand::demo::engine::Engine;
use cowhand::demo::registry::Registry;
use cowhand::demo::site::{SERVICES, Site, image_of};
use cowhand::site::journal::{self, Journal};

use crate::measure::{Row, given, time};

/// The number of updates and rollbacks.
const UPDATES: usize = 5;

/// On a running site that is one release behind: one image is new, and a file.
pub fn ratio() -> Row {
    let registry = Registry::start().unwrap();
    let site =
        Site::make(Arc::new(Engine::private().unwrap()), registry.address(), SERVICES).unwrap();
    site.up().unwrap();
    site.images.push("postfix", "1.81", &image_of("postfix").label("edition", "new")).unwrap();
    site.upstream.release("2026-03").image("postfix", "1.81").publish().unwrap();
    let (mut updates, mut journals) = (Vec::new(), Vec::new());
    for _ in 0..UPDATES {
        updates.push(time(&mut cowhand(&site, &["update", "--yes"])));
        journals.push(records(&newest(&site)));
        time(&mut cowhand(&site, &["rollback", "--yes"]));
    }
    let what = "the journal's part of an update (its records again, all as long as the last; at most 0.03 is wanted)";
    given(
        what,
        ("the records", journals),
        ("cowhand update --yes, six images as they were and one new", updates),
    )
}

fn cowhand(site: &Site, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cowhand"));
    command
        .args(arguments)
        .arg("--site")
        .arg(site.root())
        .envs(site.engine().host().map(|host| ("DOCKER_HOST", host)));
    command
}

/// The journal of the newest run.
fn newest(site: &Site) -> PathBuf {
    let runs = std::fs::read_dir(site.root().join(".git/cowhand/runs"))
        .unwrap()
        .flatten()
        .map(|run| run.path());
    runs.max().unwrap().join("journal.json")
}

/// Measures writing as many records as this journal had, in its own directory.
fn records(path: &std::path::Path) -> Duration {
    let record = journal::read(path).unwrap();
    let mut again =
        Journal::begin(&path.with_file_name("again.json"), &record.id, &record.command).unwrap();
    let since = Instant::now();
    for _ in 0..record.records {
        again.set("the whole of the last record", &record).unwrap();
    }
    since.elapsed()
}
