//! A site's own plugins, from outside: what is refused before a run begins, and what they can and
//! cannot do in one.

use std::os::unix::fs::PermissionsExt;

use crate::support::probe::probe;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: a_file_that_is_missing,
    a_file_that_is_no_web_assembly,
    a_core_module,
    a_component_without_hooks,
    a_component_for_another_version_of_the_hooks,
    a_stock_plugin_that_does_not_exist,
    two_plugins_of_one_name,
    one_that_traps,
    one_that_loops,
    one_that_fails,
    one_that_answers_nonsense,
    one_that_answers_too_much,
    one_that_reads_everything_twice,
    the_next_resolver_is_asked_where_the_site_wants_it_so,
    one_that_says_no,
    one_whose_failure_is_to_be_skipped,
    a_sort_of_failure_can_be_treated_by_itself,
    one_that_is_only_watched,
    a_resolver_of_the_site_comes_before_the_stock_one;
    Stack: after_the_pull_one_can_still_say_no,
    a_file_that_one_hands_over_is_installed_at_the_switch,
    a_file_without_a_grant_is_not_installed,
    an_observer_that_fails_and_one_that_is_only_watched_change_nothing,
}

/// A site with this plugin.
fn with_plugin(bytes: Option<&[u8]>) -> Site {
    let site = Site::without_engine().behind_one_release();
    let site =
        site.has("cowhand.toml", "[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n");
    if let Some(bytes) = bytes {
        site.write("plugins/mine.wasm", bytes).unwrap();
    }
    site
}

fn refused(site: &Site, code: i32, words: &[&str]) {
    let before = site.state();
    let mut ran = site.cowhand(["plan", "--until", "merge"]).exits(code);
    for words in words {
        ran = ran.says(words);
    }
    site.is_untouched_since(&before);
}

fn a_file_that_is_missing() {
    refused(&with_plugin(None), 10, &["mine", "plugins/mine.wasm"]);
}

fn a_file_that_is_no_web_assembly() {
    refused(&with_plugin(Some(b"#!/bin/bash\n")), 10, &["mine", "not WebAssembly"]);
}

fn a_core_module() {
    refused(&with_plugin(Some(b"\0asm\x01\0\0\0")), 10, &["mine", "wasm32-wasip2"]);
}

fn a_component_without_hooks() {
    refused(&with_plugin(Some(b"\0asm\x0d\0\x01\0")), 10, &["mine", "hook"]);
}

fn a_component_for_another_version_of_the_hooks() {
    let component = component_with_export("cowhand:hooks/pre-merge@9.0.0");
    refused(&with_plugin(Some(&component)), 10, &["mine", "9.0"]);
}

/// A component that exports an empty instance: the header, an instance section, an export section.
fn component_with_export(name: &str) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let export = [&[1, 0, length(name.as_bytes())], name.as_bytes(), &[5, 0, 0]].concat();
    [b"\0asm\x0d\0\x01\0", &[5, 3, 1, 1, 0][..], &[11, length(&export)], &export].concat()
}

fn a_stock_plugin_that_does_not_exist() {
    let toml = "[[plugin]]\nname = \"mine\"\nsource = \"stock:certificate\"\n";
    refused(&Site::without_engine().has("cowhand.toml", toml), 10, &["stock:certificates"]);
}

fn two_plugins_of_one_name() {
    let one = "[[plugin]]\nname = \"mine\"\nsource = \"stock:notify\"\n";
    refused(&Site::without_engine().has("cowhand.toml", &one.repeat(2)), 2, &["mine"]);
}

/// A running site whose one plugin is the probe, which does what is said here.
fn with_probe(site: Site, says: &str, more: &str) -> Site {
    site.write("plugins/mine.wasm", std::fs::read(probe()).unwrap()).unwrap();
    let toml = format!(
        "[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n{more}\n[plugin.config]\n{says}\n"
    );
    site.has("cowhand.toml", &toml)
}

/// Demands that a plan with the probe ends with this code and these words, and leaves the site
/// untouched.
fn stopped(says: &str, more: &str, code: i32, words: &[&str]) {
    refused(&in_conflict(says, more), code, words);
}

/// A site that changed the same line as upstream, with the probe.
fn in_conflict(says: &str, more: &str) -> Site {
    let site = Site::without_engine().edited(
        "data/conf/postfix/main.cf",
        "threshold = 6",
        "threshold = 4",
    );
    let release = site.upstream.release("2026-03");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    with_probe(site, says, more)
}

fn one_that_traps() {
    stopped("pre-merge = 'trap'", "", 11, &["mine", "trap"]);
    stopped("conflict-resolver = 'trap'", "", 12, &["mine", "trap"]);
}

fn one_that_loops() {
    stopped("pre-merge = 'loop'", "grant = { time = \"300ms\" }", 11, &["mine", "300"]);
    stopped("conflict-resolver = 'loop'", "grant = { time = \"300ms\" }", 12, &["mine", "300"]);
}

fn one_that_fails() {
    stopped("pre-merge = 'error out of ideas'", "", 11, &["mine", "out of ideas"]);
    stopped("conflict-resolver = 'error out of ideas'", "", 12, &["mine", "out of ideas"]);
}

fn one_that_answers_nonsense() {
    stopped("pre-merge = 'to 0000000000000000000000000000000000000000'", "", 11, &["mine"]);
    stopped("conflict-resolver = 'markers'", "", 12, &["mine", "markers"]);
    stopped("conflict-resolver = 'folder'", "", 12, &["mine"]);
    stopped("conflict-resolver = 'mode sticky'", "", 12, &["mine", "sticky"]);
    stopped("conflict-resolver = 'link'", "", 12, &["mine", "no link can point there"]);
}

fn one_that_answers_too_much() {
    // More than a file may be; more than can be handed over; more than its memory, which 2 GB are
    // too.
    stopped(
        "conflict-resolver = 'large 40'",
        "grant = { memory = \"500MiB\" }",
        12,
        &["mine", "limit"],
    );
    stopped(
        "conflict-resolver = 'large 100'",
        "grant = { memory = \"500MiB\" }",
        12,
        &["mine", "64.0 MiB at once"],
    );
    stopped("conflict-resolver = 'large 2047'", "", 12, &["mine", "memory"]);
}

fn one_that_reads_everything_twice() {
    let site = in_conflict("conflict-resolver = 'twice'", "");
    assert_eq!(decided_by(&site), "stock-conflicts");
}

fn the_next_resolver_is_asked_where_the_site_wants_it_so() {
    for does in ["markers", "folder", "link", "large 40", "trap", "error no idea"] {
        let more = "on-failure = \"skip\"\ngrant = { memory = \"500MiB\" }";
        let site = in_conflict(&format!("conflict-resolver = '{does}'"), more);
        assert_eq!(decided_by(&site), "stock-conflicts", "{does}");
    }
}

/// Returns the plugin that decides the one conflict of a plan, which leaves the site untouched.
fn decided_by(site: &Site) -> String {
    let before = site.state();
    let plan = site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan");
    site.is_untouched_since(&before);
    plan["merge"]["conflicts"][0]["plugin"].as_str().unwrap().to_owned()
}

fn one_that_says_no() {
    stopped("pre-merge = 'stop the moon is full'", "", 11, &["mine", "the moon is full"]);
    // A plan can be looked at before its time has come.
    stopped("pre-merge = 'later -'", "", 0, &["mine", "commits"]);
    stopped("conflict-resolver = 'stop ask Jo'", "", 12, &["mine", "ask Jo"]);
}

fn one_whose_failure_is_to_be_skipped() {
    stopped("pre-merge = 'trap'", "on-failure = \"skip\"", 0, &[]);
    stopped("pre-merge = 'trap'", "on-failure = \"warn\"", 0, &["mine"]);
}

fn a_sort_of_failure_can_be_treated_by_itself() {
    stopped(
        "pre-merge = 'trap'",
        "on-failure = { trap = \"warn\", pre-prune = \"skip\" }",
        0,
        &["mine", "trap"],
    );
    stopped(
        "pre-merge = 'error out of ideas'",
        "on-failure = { trap = \"warn\" }",
        11,
        &["out of ideas", "error = \"skip\""],
    );
    stopped(
        "conflict-resolver = 'trap'",
        "on-failure = { conflict-resolver = { trap = \"skip\" } }",
        0,
        &[],
    );
    // A no is no failure: what is said for all failures is not about it.
    stopped(
        "pre-merge = 'stop the moon is full'",
        "on-failure = \"skip\"",
        11,
        &["the moon is full"],
    );
    stopped(
        "pre-merge = 'stop the moon is full'",
        "on-failure = { refused = \"warn\" }",
        0,
        &["the moon is full"],
    );
    stopped(
        "pre-merge = 'trap'",
        "on-failure = { timeout = \"skip\" }",
        2,
        &["did you mean `time-out`"],
    );
}

fn one_that_is_only_watched() {
    let site = Site::without_engine().edited(
        "data/conf/postfix/main.cf",
        "threshold = 6",
        "threshold = 4",
    );
    let release = site.upstream.release("2026-03");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    let site = with_probe(
        site,
        "pre-merge = 'stop the moon is full'\nconflict-resolver = 'ours'",
        "monitor = true",
    );
    let ran = site.cowhand(["update", "--until", "merge", "--json"]).exits(0);
    let receipts: Vec<_> =
        ran.events().into_iter().filter(|event| event["event"] == "plugin").collect();
    let of = |name: &str| -> Vec<String> {
        let told = receipts
            .iter()
            .filter(|receipt| receipt["plugin"] == name && receipt["hook"] != "observer");
        told.map(|receipt| {
            format!("{} {}", receipt["monitor"], receipt["answer"].as_str().unwrap())
        })
        .collect()
    };
    assert_eq!(of("mine"), ["true stop: the moon is full", "true data/conf/postfix/main.cf: ours"]);
    assert_eq!(
        of("stock-conflicts"),
        ["null data/conf/postfix/main.cf: favour theirs"],
        "the next one is asked"
    );
}

fn a_resolver_of_the_site_comes_before_the_stock_one() {
    let site = in_conflict("conflict-resolver = 'ours'", "");
    let plan = site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan");
    let conflict = &plan["merge"]["conflicts"][0];
    assert_eq!(
        (conflict["plugin"].as_str(), conflict["resolution"].as_str()),
        (Some("mine"), Some("ours"))
    );
    let tree = plan["merge"]["tree"].as_str().unwrap();
    let merged = site.git(["show", &format!("{tree}:data/conf/postfix/main.cf")]);
    assert!(merged.contains("postscreen_dnsbl_threshold = 4\n"));
}

fn after_the_pull_one_can_still_say_no() {
    let site =
        with_probe(Site::customised().behind_one_release().running(), "post-pull = 'stop'", "");
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(11).says("mine").says("7 images");
    site.is_untouched_since(&before);
}

fn a_file_that_one_hands_over_is_installed_at_the_switch() {
    let grant = "grant = { install = [\"data/assets/ssl\"] }";
    let site = Site::customised().behind_one_release().running();
    let site = with_probe(site, "post-pull = 'file 640 data/assets/ssl/extra.pem'", grant);
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    let dovecot = site.started("dovecot-mailcow");
    site.cowhand(["plan"]).exits(0);
    assert!(!site.has_path("data/assets/ssl/extra.pem"));
    site.cowhand(["update", "--yes"]).exits(0).says("data/assets/ssl/extra.pem");
    assert_eq!(site.file("data/assets/ssl/extra.pem"), "x");
    let mode = std::fs::metadata(site.root().join("data/assets/ssl/extra.pem"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_ne!(
        site.started("dovecot-mailcow"),
        dovecot,
        "what mounts the certificates is restarted"
    );
}

fn a_file_without_a_grant_is_not_installed() {
    let site = with_probe(
        Site::customised().behind_one_release().running(),
        "post-pull = 'file 640 data/assets/ssl/extra.pem'",
        "",
    );
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(11).says("mine").says("install");
    site.is_untouched_since(&before);
}

fn an_observer_that_fails_and_one_that_is_only_watched_change_nothing() {
    let says = "observer = 'trap'\npost-pull = 'stop'";
    let site =
        with_probe(Site::customised().behind_one_release().running(), says, "monitor = true");
    site.cowhand(["update", "--yes"]).exits(0).says("mine would have answered: stop: 7 images");
    let told = site
        .cowhand(["show", "2"])
        .exits(0)
        .says("plugin mine at post-pull would have answered: stop: 7 images (");
    told.says("plugin mine at observer: trap: ").says("MiB, sha256:");
    assert_eq!(site.git(["rev-parse", "HEAD^2"]), site.upstream.tip().unwrap().to_string());
}
