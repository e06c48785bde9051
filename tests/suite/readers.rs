//! Slow and sleeping readers of standard output: only a command with nothing at stake waits for
//! them.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Stack: an_update_goes_on_while_nobody_reads,
    a_slow_reader_gets_every_line,
}

const FILE: &str = "data/conf/unbound/unbound.conf";

/// A running site that has something to say before anything changes, and news for it.
fn talkative(lines: usize) -> Site {
    let site = small(&["unbound-mailcow"]);
    site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n")
        .has("pre_update_hook.sh", &format!("seq --format 'line %.0f of many' {lines}\n"))
        .running()
}

fn news(site: &Site, release: &str) {
    site.upstream.release(release).append(FILE, &format!("# {release}\n")).publish().unwrap();
}

fn an_update_goes_on_while_nobody_reads() {
    let site = talkative(200);
    for (release, arguments) in
        [("2026-03", &["update", "--yes", "--json"][..]), ("2026-04", &["update", "--yes"])]
    {
        news(&site, release);
        let begun = Instant::now();
        site.prepare(arguments).run_unread().exits(0);
        assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
        assert!(site.file(FILE).ends_with(&format!("# {release}\n")));
    }
    let runs = site.cowhand(["history", "--json"]).exits(0).event("report");
    let run = runs["data"][0]["run"].as_str().unwrap().to_owned();
    site.cowhand(["show", &run]).exits(0).says("line 200 of many").says("verify");
}

fn a_slow_reader_gets_every_line() {
    let site = talkative(3000);
    news(&site, "2026-03");
    let (ran, read) = site.prepared(["update", "--yes", "--json"]).run_read_by(|mut out| {
        let (mut all, mut some) = (String::new(), [0; 2048]);
        while let Ok(count @ 1..) = out.read(&mut some) {
            all += std::str::from_utf8(&some[..count]).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        all
    });
    ran.exits(0);
    let lines = read.lines().filter(|line| line.contains(" of many")).count();
    assert_eq!(lines, 3000);
    assert!(!read.contains("not shown"), "{read}");
    assert!(read.lines().last().unwrap().contains("\"event\":\"outcome\""), "{read}");
}
