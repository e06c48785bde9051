//! The dump of the database, from outside: the stand-in in the fixture's image answers
//! `mariadb-dump` and `mariadb` for the real ones.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cowhand::demo::site::image_of;
use cowhand::failpoint::VARIABLE;

use crate::support::outside::SmallDisk;
use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Stack: a_dump_brings_the_database_back_after_a_rollback,
    a_dump_that_fails_leaves_the_site_untouched,
    a_dump_leaves_room_on_the_disk,
    old_dumps_and_failed_runs_go,
    a_new_database_that_has_started_stays_whatever_fails;
}

const SERVICES: &[&str] = &["unbound-mailcow", "mysql-mailcow"];

/// A site that wants a dump.
fn careful() -> Site {
    small(SERVICES).has("cowhand.toml", "[backup]\ndatabase = true\n[verify]\nsettle = \"1s\"\n")
}

fn lines(site: &Site) -> String {
    site.seen_by("mysql-mailcow", "/var/lib/mysql/starts").unwrap()
}

fn a_dump_brings_the_database_back_after_a_rollback() {
    let site = careful().running();
    let before = lines(&site);
    // It writes to the database when it starts; then the run fails.
    site.images.push("mariadb", "11.4", &image_of("mariadb").label("edition", "new")).unwrap();
    site.upstream.release("2026-03").image("mariadb", "11.4").publish().unwrap();
    site.cowhand(["plan"]).exits(0).says("mysql-mailcow: a new image may migrate the database");
    let ran =
        site.prepared(["update", "--yes"]).env(VARIABLE, "verify:begun:error").run().exits(22);
    let ran = ran.says("database dumped into the run").says("docker compose exec");
    let dump = site
        .root()
        .join(".git/cowhand/runs")
        .read_dir()
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path()
        .join("database.sql");
    assert_eq!(dump.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&dump).unwrap();
    assert!(
        text.contains("VALUES ('started');") && text.contains("-- Dump completed"),
        "{ran}: {text}"
    );

    let ran = site.cowhand(["rollback", "--yes"]).exits(0).says("a rollback does not undo that");
    let told = ran
        .stdout
        .lines()
        .find(|line| line.contains("docker compose exec"))
        .expect("how to restore is said");
    let command = &told[told.find("(. ./").unwrap()..];
    assert_ne!(lines(&site), before, "the new container has written");
    let mut restore = Command::new("bash");
    restore
        .args(["-c", command])
        .current_dir(site.root())
        .env("DOCKER_HOST", site.engine().host().unwrap());
    assert!(restore.status().unwrap().success(), "{command}");
    assert_eq!(lines(&site), before);
    let id =
        ran.stdout.split("before run ").nth(1).unwrap().trim_end_matches(['.', '\n']).to_owned();
    site.cowhand(["show", &id]).exits(0).says(command);
}

fn a_dump_that_fails_leaves_the_site_untouched() {
    let site = careful();
    site.images.push("mariadb", "10.11", &image_of("mariadb").env("DUMP_FAILS", "1")).unwrap();
    let site = site.running();
    site.images.push("mariadb", "11.4", &image_of("mariadb").label("edition", "new")).unwrap();
    site.upstream.release("2026-03").image("mariadb", "11.4").publish().unwrap();
    let before = site.state();
    site.cowhand(["update", "--yes"])
        .exits(13)
        .says("ould not dump the database")
        .says("Lost connection")
        .says("[backup]");
    site.is_untouched_since(&before);
}

fn a_dump_leaves_room_on_the_disk() {
    const GIGABYTE: &str = "1073741824";
    for (setting, value, reason) in [
        ("DATABASE_SIZE", GIGABYTE, "not enough free space"),
        ("DUMP_SIZE", "268435456", "less than 1.0 GiB are free"),
    ] {
        let site = careful();
        site.images.push("mariadb", "10.11", &image_of("mariadb").env(setting, value)).unwrap();
        let site = site.running();
        site.images.push("mariadb", "11.4", &image_of("mariadb").label("edition", "new")).unwrap();
        site.upstream.release("2026-03").image("mariadb", "11.4").publish().unwrap();
        let store = site.root().join(".git/cowhand");
        std::fs::create_dir_all(&store).unwrap();
        let _disk = SmallDisk::under(&store, 1024 + 128);
        let before = site.state();
        site.cowhand(["update", "--yes"]).exits(13).says(reason).says("[backup]");
        site.is_untouched_since(&before);
        assert_eq!(dumps(&site), 0, "no part of it stays");
    }
}

fn dumps(site: &Site) -> usize {
    let runs = site.root().join(".git/cowhand/runs").read_dir().unwrap();
    let files = runs.flatten().flat_map(|run| run.path().read_dir().unwrap().flatten());
    files.filter(|file| file.metadata().unwrap().len() > 1 << 20).count()
}

fn named(site: &Site, name: &str) -> usize {
    let runs = site.root().join(".git/cowhand/runs").read_dir().unwrap();
    runs.flatten().filter(|run| run.path().join(name).exists()).count()
}

fn old_dumps_and_failed_runs_go() {
    let site = careful().running();
    for number in 0..12 {
        let edit = format!("# {number}\n");
        site.upstream.commit("More").append("README.md", &edit).publish().unwrap();
        let ran = site.prepared(["update", "--yes"]).env(VARIABLE, "start:begun:error").run();
        ran.exits(20);
    }
    assert_eq!(named(&site, "journal.json"), 10);
    assert_eq!(named(&site, "database.sql"), 4, "three, and the one that was just made");
    site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(named(&site, "database.sql"), 4);
}

fn a_new_database_that_has_started_stays_whatever_fails() {
    let site = small(SERVICES).has("cowhand.toml", "[verify]\nsettle = \"300ms\"\n").running();
    site.images.push("mariadb", "11.4", &image_of("mariadb").label("edition", "new")).unwrap();
    site.upstream.release("2026-03").image("mariadb", "11.4").publish().unwrap();
    let new = format!("mysql-mailcow {} ", site.images.reference("mariadb", "11.4"));
    let runs_new = || site.containers().unwrap().iter().any(|line| line.starts_with(&new));
    let state =
        || site.cowhand(["status", "--json"]).exits(0).event("report")["data"]["state"].clone();
    // Nothing of it has started yet.
    site.prepared(["update", "--yes"]).env(VARIABLE, "start:begun:error").run().exits(20);
    assert!(!runs_new() && state() == "old");
    let ran = site.prepared(["update", "--yes"]).env(VARIABLE, "start:acted:error").run();
    ran.exits(22).says("may have been migrated").says("cowhand resume").says("cowhand rollback 2");
    assert!(runs_new() && state() == "between");
    // Neither does an error that is no verdict of verify undo it.
    site.prepared(["resume"])
        .env(VARIABLE, "verify:begun:error")
        .run()
        .exits(22)
        .says("cowhand rollback 2");
    assert!(runs_new() && state() == "new");
}
