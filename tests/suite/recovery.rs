//! Old or new, never between: what people do with a run that was interrupted, failed or is under
//! way. Faults at every step are in `faults`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cowhand::demo::registry::Registry;
use cowhand::failpoint::VARIABLE;

use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;
use crate::support::whole::Whole;
use rustix::process::Signal;

tests! {
    Stack: a_signal_ends_at_the_next_safe_point,
    a_second_signal_ends_at_once,
    a_stack_that_does_not_come_up_is_rolled_back,
    a_finished_update_can_be_taken_back,
    neither_way_out_needs_the_network,
    the_unit_for_the_boot_resumes,
    a_second_run_waits_if_asked,
    only_the_newest_update_can_be_taken_back_and_the_last_good_one_stays,
    update_refuses_over_an_unfinished_run,
    update_over_an_unfinished_rollback_finishes_that_and_says_so,
    a_diff_keeps_its_name_in_another_time_zone;
}

/// A site whose update changes files, an image and a collision, and conflicts with what the site
/// wrote.
fn behind() -> Site {
    behind_on(Site::customised())
}

fn behind_on(site: Site) -> Site {
    let site = site.edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4");
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n").running();
    site.pushes("postfix", "1.81");
    let release = site.upstream.release("2026-03").image("postfix", "1.81");
    let release =
        release.write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n");
    let release = release.write("data/assets/ssl-example/ecdsa-cert.pem", "an example\n");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    // From now on git's status leaves Cowhand's own files out.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    site
}

fn struck(site: &Site, fault: &str) -> Ran {
    site.prepared(["update", "--yes"]).env(VARIABLE, fault).run()
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
    assert!(
        containers.iter().any(|line| line.starts_with(&format!("postfix-mailcow {postfix} "))),
        "{containers:?}"
    );
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

fn a_signal_ends_at_the_next_safe_point() {
    let site = behind();
    let old = site.whole();
    struck(&site, "merge:begun:term").exits(130).says("Nothing was changed");
    is_old(&site, &old);
    struck(&site, "switch:begun:term").exits(130).says("cowhand resume");
    assert_eq!(state(&site), "between");
    // Once the new stack is well, only clearing up is left out.
    let resume = site.prepared(["resume"]).env(VARIABLE, "verify:recorded:term").run();
    resume.exits(130).says("The site is updated").says("cowhand prune");
    is_new(&site);
}

fn a_second_signal_ends_at_once() {
    let site = behind();
    let old = site.whole();
    let update = site.prepared(["update", "--yes"]).env(VARIABLE, "switch:acted:stop").start();
    update.stops();
    // Both wait until it goes on.
    update.signal(Signal::TERM);
    update.signal(Signal::INT);
    update.goes_on();
    update.ends().exits(130).keeps_quiet_about("starting the new stack");
    site.cowhand(["status"])
        .exits(0)
        .says("between old and new")
        .says("cowhand resume")
        .says("cowhand rollback");
    site.cowhand(["rollback", "--yes"]).exits(0);
    is_old(&site, &old);
}

fn neither_way_out_needs_the_network() {
    let registry = Registry::start().unwrap();
    let site = behind_on(Site::on_registry(registry.address()));
    let old = site.whole();
    struck(&site, "start:begun:kill").was_killed();
    drop(registry);
    let upstream = site.upstream.folder().to_owned();
    std::fs::rename(&upstream, upstream.with_extension("away")).unwrap();
    site.cowhand(["resume"]).exits(0);
    assert_eq!(state(&site), "new");
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&old);
}

/// The unit that is shipped: systemd finds nothing wrong with it, and what it starts ends what a
/// reboot interrupted.
fn the_unit_for_the_boot_resumes() {
    let unit =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd/cowhand-resume@.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/local/sbin/cowhand "))
        .unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let [before @ .., "--site", "%f"] = &words[..] else { panic!("{line}") };
    let site = behind();
    struck(&site, "start:begun:kill").was_killed();
    site.runs(before).exits(0);
    is_new(&site);
    site.runs(before).exits(0).says("Nothing to resume");
    verified(&text);
}

/// By `systemd-analyze`, where there is one: with programs and services that this machine has.
fn verified(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cowhand-resume@srv.service");
    let here = text
        .replace("/usr/local/sbin/cowhand", &crate::support::ran::binary().display().to_string());
    std::fs::write(&path, here.replace("docker.service", "basic.target")).unwrap();
    let analyze = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
    let Ok(output) = analyze else { return };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_it: Vec<&str> = said.lines().filter(|line| line.contains("cowhand-resume")).collect();
    assert!(about_it.is_empty(), "{said}");
}

fn a_stack_that_does_not_come_up_is_rolled_back() {
    let site = Site::customised().running();
    let old = site.whole();
    let image = cowhand::demo::site::image_of("postfix").env("CRASH_AFTER", "300");
    site.images.push("postfix", "1.81", &image).unwrap();
    site.upstream.release("2026-03").image("postfix", "1.81").publish().unwrap();
    site.cowhand(["update", "--yes"])
        .exits(20)
        .says("postfix-mailcow")
        .says("rolled back to its state before the run");
    is_old(&site, &old);
}

fn a_finished_update_can_be_taken_back() {
    const TOUCHED: &str = "data/web/inc/app_info.inc.php";
    let site = behind();
    site.write(TOUCHED, "<?php // old\n").unwrap();
    let old = site.whole();
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
    let line = site.cowhand(["history"]).exits(0).stdout;
    let run = line.lines().last().unwrap().split_whitespace().next().unwrap().to_owned();
    site.cowhand(["show", &run]).exits(0).says("data/conf/postfix/main.cf").says("threshold = 4");
    // No answer means no.
    site.cowhand(["rollback", &run]).exits(11);
    is_new(&site);
    // Later changes are kept, also by a second rollback.
    site.write(TOUCHED, "<?php // by hand\n").unwrap();
    site.prepared(["rollback", &run, "--yes"]).env(VARIABLE, "switch:undone:twice").run().exits(0);
    assert_eq!(
        site.file(&format!(".git/cowhand/runs/{run}/replaced/{TOUCHED}")),
        "<?php // by hand\n"
    );
    is_old(&site, &old);
}

fn only_the_newest_update_can_be_taken_back_and_the_last_good_one_stays() {
    let site = behind();
    site.cowhand(["update", "--yes"]).exits(0);
    let first = site.cowhand(["status", "--json"]).exits(0).event("report")["data"]["run"]
        .as_str()
        .unwrap()
        .to_owned();
    let old = site.whole();
    for _ in 0..12 {
        site.prepared(["update", "--yes"]).env(VARIABLE, "preflight:begun:error").run().exits(10);
    }
    site.upstream.commit("More").append("README.md", "\nMore.\n").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let new = site.whole();
    // Thirteen were too many. The last good one before this is still there, with its copies.
    let history = site.cowhand(["history"]).exits(0).stdout;
    // The first line names the site.
    assert_eq!(history.lines().count(), 1 + 11, "{history}");
    assert!(history.lines().nth(1).unwrap().starts_with(&first), "{history}");
    assert!(site.has_path(&format!(".git/cowhand/runs/{first}/kept/mailcow.conf")));
    site.cowhand(["show", &first])
        .exits(0)
        .says("data/conf/postfix/main.cf")
        .says("1.80")
        .says("1.81");
    site.cowhand(["rollback", &first, "--yes"]).exits(2).says("not the newest");
    site.is_wholly(&new);
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&old);
}

fn a_second_run_waits_if_asked() {
    let site = behind();
    let plan =
        site.prepared(["plan", "--until", "merge"]).env(VARIABLE, "merge:begun:stop").start();
    plan.stops();
    site.cowhand(["resume"]).exits(0).says("Nothing to resume");
    plan.goes_on();
    plan.ends().exits(0);
    let first = site.prepared(["update", "--yes"]).env(VARIABLE, "snapshot:begun:stop").start();
    first.stops();
    site.cowhand(["update", "--yes"]).exits(30).says("update --yes").says("--wait");
    site.cowhand(["status"]).exits(0).says("in stage snapshot");
    // Read-only commands never wait.
    site.cowhand(["history"]).exits(0).says("unfinished");
    site.cowhand(["check"]).exits(0);
    site.cowhand(["plan", "--until", "merge"]).exits(0);
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
    // Finishing would replace what somebody has written since.
    let written = site.file("data/conf/postfix/main.cf");
    site.write("data/conf/postfix/main.cf", "by hand\n").unwrap();
    site.cowhand(["update", "--yes"])
        .exits(23)
        .says("data/conf/postfix/main.cf")
        .says("cowhand rollback 2");
    assert_eq!(site.file("data/conf/postfix/main.cf"), "by hand\n");
    site.write("data/conf/postfix/main.cf", written).unwrap();
    // Nor is it what was asked for here.
    site.cowhand(["update", "--yes", "--expect-tree", "some"]).exits(2);
    for [option, value] in [["--until", "pull"], ["--expect-tree", &"0".repeat(40)]] {
        site.cowhand(["update", "--yes", option, value]).exits(23).says("cowhand resume");
    }
    site.cowhand(["update", "--yes"]).exits(0);
    is_new(&site);
}

fn update_over_an_unfinished_rollback_finishes_that_and_says_so() {
    let site = behind();
    let old = site.whole();
    struck(&site, "start:begun:kill").was_killed();
    site.prepared(["rollback", "--yes"]).env(VARIABLE, "switch:undoing:kill").run().was_killed();
    site.cowhand(["status"]).exits(0).says("finishes the rollback").says("cowhand rollback");
    let failed = site.prepared(["resume"]).env(VARIABLE, "switch:undone:error").run();
    failed.exits(21).says("The site is between old and new.").says("cowhand rollback 2");
    site.cowhand(["update", "--yes"]).exits(20).says("Nothing was updated");
    is_old(&site, &old);
}

fn a_diff_keeps_its_name_in_another_time_zone() {
    let site = behind();
    let diffs = || {
        let listed = std::fs::read_dir(site.root().join("update_diffs"));
        listed.into_iter().flatten().flatten().count()
    };
    let update = site.prepared(["update", "--yes"]).env("TZ", "UTC");
    update.env(VARIABLE, "switch:acted:kill").run().was_killed();
    assert_eq!(diffs(), 1);
    site.prepared(["resume"]).env("TZ", "Asia/Tokyo").run().exits(0);
    assert_eq!(diffs(), 1);
    site.prepared(["rollback", "--yes"]).env("TZ", "America/Lima").run().exits(0);
    assert_eq!(diffs(), 0);
}
