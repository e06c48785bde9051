//! The command line itself: help, completions, the manual page, and output that is not a terminal.

use crate::support::ran::Cowhand;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: the_version_is_told,
    help_names_every_command,
    completions_and_the_manual_page_are_printed,
    a_pipe_gets_no_escape_sequences,
    json_is_alone_on_standard_output,
    what_others_named_cannot_play_with_a_terminal,
}

fn the_version_is_told() {
    Cowhand::new(["--version"]).run().exits(0).stdout_has(env!("CARGO_PKG_VERSION"));
}

fn help_names_every_command() {
    let mut ran = Cowhand::new(["--help"]).run().exits(0);
    for command in [
        "update", "plan", "check", "prefetch", "status", "resume", "rollback", "history", "show",
        "prune", "plugin", "demo",
    ] {
        ran = ran.stdout_has(&format!("\n  {command}"));
    }
    for option in ["--site", "--json"] {
        ran = ran.stdout_has(option);
    }
}

fn completions_and_the_manual_page_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        Cowhand::new(["completions", shell]).run().exits(0).stdout_has("prefetch");
    }
    Cowhand::new(["man"]).run().exits(0).stdout_has(".TH");
}

fn a_pipe_gets_no_escape_sequences() {
    let site = Site::without_engine().behind_one_release();
    site.cowhand(["plan", "--until", "merge"]).exits(0).keeps_quiet_about("\u{1b}");
    site.cowhand(["update", "--nonsense"]).exits(2).keeps_quiet_about("\u{1b}");
}

fn json_is_alone_on_standard_output() {
    let site = Site::without_engine().behind_one_release();
    let events = site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).events();
    assert_eq!(events.first().map(|event| &event["event"]), Some(&"start".into()));
    assert_eq!(events.last().map(|event| &event["event"]), Some(&"plan".into()));
    let events = site.cowhand(["check", "--json"]).exits(0).events();
    assert_eq!(events.last().map(|event| &event["event"]), Some(&"outcome".into()));
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
