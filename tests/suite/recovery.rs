//! Old or new, never between: faults at every step of the pipeline, on a running site, and the commands that end them.

use std::collections::BTreeMap;
use std::time::Instant;

use cowhand::fault::{Point, VARIABLE};
use cowhand::pipeline::{Phase, STAGES};

use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;
use crate::support::whole::Whole;

tests! {
    Stack: a_failure_at_any_step_leaves_the_old_site,
    a_kill_at_any_step_of_prepare_leaves_the_old_site,
    a_kill_at_any_step_of_apply_can_be_resumed,
    a_kill_at_any_step_of_apply_can_be_rolled_back,
    a_rollback_that_is_killed_can_be_repeated,
    a_signal_ends_at_the_next_safe_point,
    a_stack_that_does_not_come_up_is_rolled_back,
    a_finished_update_can_be_taken_back,
    a_kill_at_any_moment_leaves_a_way_out,
    a_second_run_waits_if_asked,
    only_the_newest_update_can_be_taken_back,
    update_refuses_over_an_unfinished_run;
}

/// A site whose update changes files, an image and a collision, and conflicts with what the site wrote.
fn behind() -> Site {
    let site = Site::customised().edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4");
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n").running();
    site.pushes("postfix", "1.81");
    let release = site.upstream.release("2026-03").image("postfix", "1.81");
    let release = release.write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n");
    release.replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8").publish().unwrap();
    // From now on git's status leaves Cowhand's own files out.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    site
}

fn struck(site: &Site, fault: &str) -> Ran {
    site.prepared(["update", "--yes"]).env(VARIABLE, fault).run()
}

/// `STAGE:POINT` of the steps of a phase: every point with `COWHAND_TORTURE` set, else the two at which the journal and the facts differ.
fn steps(phase: Phase) -> Vec<String> {
    let whole = std::env::var_os("COWHAND_TORTURE").is_some();
    let points: &[Point] = if whole { &Point::FORWARD } else { &[Point::Begun, Point::Acted] };
    let stages = STAGES.iter().filter(|stage| stage.phase == phase);
    stages.flat_map(|stage| points.iter().map(|point| format!("{}:{}", stage.name.text(), point.text()))).collect()
}

/// Commits have times in them: what is the same in every new site is everything but the commit.
fn new_site(site: &Site) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("branch", site.git(["symbolic-ref", "HEAD"])),
        ("theirs", site.git(["rev-parse", "HEAD^2"])),
        ("changes", site.git(["status", "--porcelain"])),
        ("main.cf", site.file("data/conf/postfix/main.cf")),
        ("ratelimit", site.file("data/conf/rspamd/local.d/ratelimit.conf")),
        ("services", site.containers().unwrap().len().to_string()),
    ])
}

fn is_new(site: &Site) {
    let found = new_site(site);
    assert_eq!(found["theirs"], site.upstream.tip().unwrap().to_string());
    assert_eq!((found["branch"].as_str(), found["changes"].as_str()), ("refs/heads/master", ""));
    assert!(found["main.cf"].contains("threshold = 8") && found["ratelimit"].contains("10 / 1h"));
    let postfix = site.images.reference("postfix", "1.81");
    let containers = site.containers().unwrap();
    assert!(containers.iter().any(|line| line.starts_with(&format!("postfix-mailcow {postfix} "))), "{containers:?}");
    assert_eq!(state(site), "new");
}

fn state(site: &Site) -> String {
    let status = site.cowhand(["status", "--json"]).exits(0).event("report");
    status["data"]["state"].as_str().unwrap().to_owned()
}

fn is_old(site: &Site, old: &Whole) {
    site.is_wholly(old);
    assert_eq!(state(site), "old");
    // Nothing holds the lock, and nothing keeps the next run from starting.
    site.cowhand(["plan", "--until", "merge"]).exits(0);
}

fn a_failure_at_any_step_leaves_the_old_site() {
    let site = behind();
    let old = site.whole();
    for step in [steps(Phase::Prepare), steps(Phase::Apply)].concat() {
        let ran = struck(&site, &format!("{step}:error"));
        assert!(matches!(ran.code(), Some(10..=13 | 20)), "{step}: {ran}");
        is_old(&site, &old);
    }
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
}

fn a_kill_at_any_step_of_prepare_leaves_the_old_site() {
    let site = behind();
    let old = site.whole();
    for step in steps(Phase::Prepare) {
        struck(&site, &format!("{step}:kill")).was_killed();
        is_old(&site, &old);
    }
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
    // What the killed preparations held is gone.
    site.cowhand(["history"]).exits(0).keeps_quiet_about("unfinished");
    let held = site.git(["for-each-ref", "--format=%(refname)", "refs/cowhand"]);
    let runs: std::collections::BTreeSet<&str> = held.lines().filter_map(|line| line.split('/').nth(2)).collect();
    assert_eq!(runs.len(), 1, "{held}");
}

fn a_kill_at_any_step_of_apply_can_be_resumed() {
    let site = behind();
    let old = site.whole();
    for step in steps(Phase::Apply).into_iter().filter(|step| step != "switch:before") {
        struck(&site, &format!("{step}:kill")).was_killed();
        assert_eq!(state(&site), "between", "{step}");
        site.cowhand(["resume"]).exits(0);
        is_new(&site);
        site.cowhand(["rollback", "--yes"]).exits(0);
        is_old(&site, &old);
    }
}

fn a_kill_at_any_step_of_apply_can_be_rolled_back() {
    let site = behind();
    let old = site.whole();
    for step in steps(Phase::Apply).into_iter().filter(|step| step != "switch:before") {
        struck(&site, &format!("{step}:kill")).was_killed();
        site.cowhand(["rollback", "--yes"]).exits(0);
        is_old(&site, &old);
    }
}

fn a_rollback_that_is_killed_can_be_repeated() {
    let site = behind();
    let old = site.whole();
    for step in ["start:undoing", "start:undone", "switch:undoing", "switch:undone"] {
        struck(&site, "verify:begun:kill").was_killed();
        site.prepared(["rollback", "--yes"]).env(VARIABLE, format!("{step}:kill")).run().was_killed();
        assert_eq!(state(&site), "between", "{step}");
        site.cowhand(["resume"]).exits(0);
        is_old(&site, &old);
    }
}

fn a_signal_ends_at_the_next_safe_point() {
    let site = behind();
    let old = site.whole();
    struck(&site, "merge:begun:term").exits(130).says("Nothing was changed");
    is_old(&site, &old);
    struck(&site, "switch:begun:term").exits(130).says("cowhand resume");
    assert_eq!(state(&site), "between");
    site.cowhand(["resume"]).exits(0);
    is_new(&site);
}

fn a_stack_that_does_not_come_up_is_rolled_back() {
    let site = Site::customised().running();
    let old = site.whole();
    let image = cowhand::demo::site::image_of("postfix").env("CRASH_AFTER", "300");
    site.images.push("postfix", "1.81", &image).unwrap();
    site.upstream.release("2026-03").image("postfix", "1.81").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(20).says("postfix-mailcow").says("the site is as before");
    is_old(&site, &old);
}

fn a_finished_update_can_be_taken_back() {
    let site = behind();
    let old = site.whole();
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
    let line = site.cowhand(["history"]).exits(0).stdout;
    let run = line.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    site.cowhand(["show", &run]).exits(0).says("data/conf/postfix/main.cf").says("threshold = 4");
    // Nobody answers: no.
    site.cowhand(["rollback", &run]).exits(11);
    is_new(&site);
    site.cowhand(["rollback", &run, "--yes"]).exits(0);
    is_old(&site, &old);
}

fn only_the_newest_update_can_be_taken_back() {
    let site = behind();
    site.cowhand(["update", "--yes"]).exits(0);
    let first = site.cowhand(["status", "--json"]).exits(0).event("report")["data"]["run"].as_str().unwrap().to_owned();
    let old = site.whole();
    site.upstream.commit("More").append("README.md", "\nMore.\n").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let new = site.whole();
    site.cowhand(["rollback", &first, "--yes"]).exits(2).says("not the newest");
    site.is_wholly(&new);
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&old);
}

/// How often [`a_kill_at_any_moment_leaves_a_way_out`] kills, and the seed of its moments; `make torture` sets both.
const KILLS: &str = "COWHAND_KILLS";
const SEED: &str = "COWHAND_SEED";

/// Kills at moments spread over the whole of an update, each ended by `resume` or `rollback`. The same seed kills at the same moments,
/// as far as a machine does the same twice.
fn a_kill_at_any_moment_leaves_a_way_out() {
    let number = |name, otherwise| std::env::var(name).map_or(otherwise, |text| text.parse::<u64>().unwrap());
    let (kills, seed) = (number(KILLS, 5), number(SEED, u64::from(std::process::id())));
    let site = behind();
    let old = site.whole();
    let begun = Instant::now();
    site.cowhand(["update", "--yes"]).exits(0);
    let length = begun.elapsed();
    site.cowhand(["rollback", "--yes"]).exits(0);
    let (mut random, mut ended_in) = (seed | 1, BTreeMap::<String, u32>::new());
    for kill in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = length * u32::try_from(random % 1000).unwrap() / 1000;
        let told = format!("seed {seed}, kill {kill} after {moment:?} of {length:?}");
        site.prepared(["update", "--yes"]).kill_after(moment);
        let status = site.cowhand(["status", "--json"]).exits(0).event("report");
        *ended_in.entry(status["data"]["stage"].as_str().unwrap_or("before the switch").to_owned()).or_default() += 1;
        println!("{told}: {}, {}", status["data"]["state"], status["data"]["stage"]);
        if status["data"]["state"] == "between" && random % 2 == 0 {
            site.cowhand(["resume"]).exits(0);
            is_new(&site);
        }
        match state(&site).as_str() {
            "old" => {}
            _ => drop(site.cowhand(["rollback", "--yes"]).exits(0)),
        }
        is_old(&site, &old);
    }
    println!("{kills} kills, seed {seed}, ended in: {ended_in:?}");
}

fn a_second_run_waits_if_asked() {
    let site = behind();
    let first = site.prepared(["update", "--yes"]).env(VARIABLE, "snapshot:begun:stop").start();
    first.stops();
    site.cowhand(["update", "--yes"]).exits(30).says("update --yes").says("--wait");
    site.cowhand(["status"]).exits(0).says("in stage snapshot");
    let second = site.prepared(["update", "--yes", "--wait"]).start();
    first.goes_on();
    first.ends().exits(0);
    second.ends().exits(0).says("Nothing new");
    is_new(&site);
}

fn update_refuses_over_an_unfinished_run() {
    let site = behind();
    struck(&site, "start:begun:kill").was_killed();
    site.cowhand(["update"]).exits(23).says("cowhand resume").says("cowhand rollback");
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
}
