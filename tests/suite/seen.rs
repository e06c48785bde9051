//! What people see, kept as snapshots: a change of wording is a change that somebody looked at.

use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: a_plan,
    a_check,
    a_refusal,
    no_run_yet,
    what_others_named_cannot_play_with_a_terminal,
}

/// A site and an upstream that changed the same line, and one that upstream deleted.
fn in_conflict() -> Site {
    let site = Site::without_engine();
    let site = site.edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4");
    let site = site.edited("data/conf/nginx/site.conf", "TLSv1.2 TLSv1.3", "TLSv1.3");
    let release = site.upstream.release("2026-03").remove("data/conf/nginx/site.conf");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    site
}

fn a_plan() {
    let site = in_conflict();
    // The first one compiles plugins and fetches.
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    site.cowhand(["plan", "--until", "merge"]).exits(0).looks_like("plan", &site);
}

fn a_check() {
    let site = in_conflict();
    site.cowhand(["check"]).exits(0).looks_like("check", &site);
}

fn a_refusal() {
    let site = in_conflict();
    site.git(["checkout", "--quiet", "--detach"]);
    site.cowhand(["update", "--yes"]).exits(10).looks_like("refusal", &site);
}

fn no_run_yet() {
    let site = Site::without_engine();
    site.cowhand(["status"]).exits(0).looks_like("status", &site);
    site.cowhand(["history"]).exits(0).looks_like("history", &site);
}

fn what_others_named_cannot_play_with_a_terminal() {
    let name = "data/conf/nginx/\u{1b}[2J✔ Done\u{202e}.conf";
    let site = Site::without_engine().has(name, "the site's\n");
    let subject = "Release\u{1b}]52;c;eA==\u{7} \u{9b}31m";
    site.upstream.commit(subject).write(name, "upstream's\n").publish().unwrap();
    for command in [&["check"][..], &["plan", "--until", "merge"], &["plan", "--json"]] {
        let ran = site.runs(command);
        let text = ran.stdout.clone() + &ran.stderr;
        let raw = |character: char| character.is_control() && character != '\n';
        assert!(!text.contains(|character| raw(character) || character == '\u{202e}'), "{ran}");
    }
    site.cowhand(["check"]).exits(0).says("Release\\u{1b}]52;c;eA==\\u{7} \\u{9b}31m");
    site.cowhand(["plan", "--until", "merge"]).exits(0).says("%1B[2J✔ Done\\u{202e}.conf: ");
}
