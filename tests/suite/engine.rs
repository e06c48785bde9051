//! An engine that restarts or vanishes in the middle of an update, has mirrors, or lacks room: what
//! goes on, what is taken back, what is said.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cowhand::demo::engine::{AWAY, Engine};
use cowhand::demo::registry::Registry;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::outside::{Relay, SmallDisk};
use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Stack: one_that_is_back_in_time_is_asked_again,
    one_that_restarts_while_a_service_is_replaced_gets_the_old_stack_back,
    one_that_vanishes_leaves_a_way_back,
    a_daemon_that_restarts_is_waited_for,
    a_daemon_that_restarts_beside_live_containers_is_waited_for,
    a_daemon_that_is_killed_leaves_a_way_back,
    images_come_through_the_mirrors_of_the_engine,
    too_little_room_for_images_is_found_first;
}

/// The request that pulls an image.
const PULLS: &str = "/images/create?";
/// The request with which compose makes a service's new container.
const MAKES_A_CONTAINER: &str = "/containers/create?name=";

fn behind() -> Site {
    let site = Site::customised().behind_one_release();
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n").running();
    // From now on git's status leaves Cowhand's own files out.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    site
}

/// An update whose engine goes away for so long, at the first request that has these words in it.
fn updated(site: &Site, words: &'static str, away: Duration) -> Ran {
    let relay = Relay::before(site.engine().host().unwrap(), words, away);
    site.prepared(["update", "--yes"]).env("DOCKER_HOST", relay.host()).run()
}

fn one_that_is_back_in_time_is_asked_again() {
    let site = behind();
    updated(&site, "/distribution/", Duration::from_secs(2)).exits(0);
    assert!(site.containers().unwrap().iter().any(|line| line.contains("/postfix:1.81 ")));
}

fn one_that_restarts_while_a_service_is_replaced_gets_the_old_stack_back() {
    let site = behind();
    let before = site.whole();
    updated(&site, MAKES_A_CONTAINER, Duration::from_secs(2)).exits(20).says("rolled back");
    site.is_wholly(&before);
}

fn one_that_vanishes_leaves_a_way_back() {
    let site = behind();
    let before = site.whole();
    let ran = updated(&site, MAKES_A_CONTAINER, Duration::MAX).exits(21).says("does not answer");
    ran.says("cowhand rollback").says("Check whether the engine was stopped or restarted");
    site.cowhand(["status"]).says("cowhand rollback");
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&before);
}

/// An engine of a test's own, and a small site on it that is behind.
fn own(options: &[&str]) -> (Arc<Engine>, Site) {
    let engine = Arc::new(Engine::supervised(options).unwrap());
    let site = Site::on_engine(
        Arc::clone(&engine),
        &["unbound-mailcow", "mysql-mailcow", "postfix-mailcow"],
    );
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n").running();
    site.pushes("postfix", "1.81");
    site.upstream.release("2026-03").image("postfix", "1.81").publish().unwrap();
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    (engine, site)
}

/// Ends the daemon with a signal, and returns when it has ended; it comes back by itself.
fn ends(engine: &Engine, signal: Signal) {
    let id = fs::read_to_string(engine.folder().join("pid")).unwrap();
    let id = Pid::from_raw(id.trim().parse().unwrap()).unwrap();
    kill_process(id, signal).unwrap();
    until(|| test_kill_process(id).is_err());
}

fn until(done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "it takes too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An update during which the daemon ends, at the first request that has these words in it.
fn ended(engine: &Arc<Engine>, site: &Site, words: &'static str) -> Ran {
    ended_by(Signal::TERM, engine, site, words)
}

fn ended_by(signal: Signal, engine: &Arc<Engine>, site: &Site, words: &'static str) -> Ran {
    let daemon = Arc::clone(engine);
    let relay = Relay::doing(engine.host().unwrap(), words, move || ends(&daemon, signal));
    let id = || fs::read_to_string(engine.folder().join("pid")).ok();
    let before = id();
    let ran = site.prepared(["update", "--yes"]).env("DOCKER_HOST", relay.host()).run();
    assert_ne!(id(), before, "the daemon did not end");
    ran
}

fn a_daemon_that_restarts_is_waited_for() {
    let (engine, site) = own(&[]);
    let old = site.whole();
    ended(&engine, &site, PULLS).exits(0);
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&old);
    ended(&engine, &site, MAKES_A_CONTAINER).exits(20).says("rolled back");
    site.is_wholly(&old);

    // It stays away for longer than anybody waits; the containers end with it.
    let away = engine.folder().join(AWAY);
    fs::write(&away, "").unwrap();
    ended(&engine, &site, MAKES_A_CONTAINER)
        .exits(21)
        .says("does not answer")
        .says("cowhand rollback");
    fs::remove_file(&away).unwrap();
    until(|| engine.answers());
    site.cowhand(["status"]).exits(0).says("between");
    site.cowhand(["resume"]).exits(0).says("rollback");
    site.is_wholly(&old);
}

/// With live-restore containers outlive the daemon.
fn a_daemon_that_restarts_beside_live_containers_is_waited_for() {
    let (engine, site) = own(&["--live-restore"]);
    let (old, mysql) = (site.whole(), site.started("mysql-mailcow"));
    ended(&engine, &site, PULLS).exits(0);
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&old);
    ended(&engine, &site, MAKES_A_CONTAINER).exits(20).says("rolled back");
    site.is_wholly(&old);
    assert_eq!(site.started("mysql-mailcow"), mysql, "nobody else was interrupted");
}

/// A killed daemon ends no container and writes nothing down. What it left it sorts out before it
/// answers again, and that may take longer than anybody waits.
fn a_daemon_that_is_killed_leaves_a_way_back() {
    let (engine, site) = own(&[]);
    let old = site.whole();
    let ran = ended_by(Signal::KILL, &engine, &site, MAKES_A_CONTAINER);
    if ran.code() == Some(20) {
        ran.says("rolled back");
    } else {
        ran.exits(21).says("does not answer").says("cowhand rollback");
        until(|| engine.answers());
        site.cowhand(["rollback", "--yes"]).exits(0);
    }
    site.is_wholly(&old);
}

fn images_come_through_the_mirrors_of_the_engine() {
    let (dead, mirror) = ("--registry-mirror=http://127.0.0.1:9", Registry::start().unwrap());
    let mirrors = [dead, &format!("--registry-mirror=http://{}", mirror.address())];
    let engine = Arc::new(Engine::supervised(&mirrors).unwrap());
    let site = Site::mirrored(
        engine,
        mirror.address(),
        &["unbound-mailcow", "postfix-mailcow", "mysql-mailcow"],
    )
    .running();
    site.pushes("postfix", "1.81");
    site.upstream.release("2026-03").image("postfix", "1.81").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let postfix = site.images.reference("postfix", "1.81");
    assert!(
        !postfix.contains(mirror.address())
            && site.containers().unwrap().iter().any(|line| line.contains(&postfix))
    );

    // Neither the mirror nor, from here, the registry itself has it.
    site.upstream.release("2026-05").image("postfix", "1.99").publish().unwrap();
    let before = site.state();
    site.cowhand(["update", "--yes"])
        .exits(13)
        .says("postfix:1.99")
        .says(&format!("the engine's mirrors (http://127.0.0.1:9/, http://{}/)", mirror.address()));
    site.is_untouched_since(&before);
}

fn too_little_room_for_images_is_found_first() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::empty(folder.path(), 4096);
    let (engine, site) = own(&[&format!("--data-root={}", folder.path().display())]);
    let before = site.state();
    disk.leave(900 << 20);
    for command in [&["update", "--yes"][..], &["prefetch"], &["plan"]] {
        let ran = site.runs(command).exits(10).says("enough free space for the engine's images");
        ran.says(&folder.path().display().to_string())
            .says("cowhand prune")
            .says("Nothing was changed");
        site.is_untouched_since(&before);
    }
    disk.make_room();
    site.cowhand(["update", "--yes"]).exits(0);
    drop((site, engine));
}
