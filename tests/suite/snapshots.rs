//! Everything that users read, kept as snapshots: no wording changes without a reviewed diff.
//!
//! `INSTA_UPDATE=always` rewrites the snapshots. Nothing here demands good words; it shows them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use cowhand::cli::Arguments;

use crate::support::ran::Cowhand;
use crate::support::site::Site;
use crate::support::snapshots::Snapshots;
use crate::support::tests;

tests! {
    Nothing: every_help_text,
    the_manual_page,
    a_plan_up_to_the_merge,
    a_check,
    a_refused_update,
    no_run_yet,
    usage_errors,
    plugins_of_a_site,
    a_new_plugin_and_its_cases,
}

fn every_help_text() {
    let snapshots = Snapshots::in_directory("help");
    let mut names = BTreeSet::new();
    help_below(&Arguments::command(), &[], &mut |path| {
        let name = if path.is_empty() { "cowhand".to_owned() } else { path.join("-") };
        let ran = Cowhand::new(path.iter().copied().chain(["--help"])).run().exits(0);
        snapshots.show(&name, &ran);
        names.insert(format!("{name}.snap"));
    });
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/snapshots/help");
    let kept: BTreeSet<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept, names, "a snapshot without a command");
}

/// Calls `each` with the words of every command that is not hidden, parents first.
fn help_below<'c>(command: &'c clap::Command, path: &[&'c str], each: &mut impl FnMut(&[&str])) {
    each(path);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        help_below(below, &[path, &[below.get_name()]].concat(), each);
    }
}

fn the_manual_page() {
    Snapshots::in_directory("").show("man", &Cowhand::new(["man"]).run().exits(0));
}

/// A site and an upstream that changed the same line, and a file that upstream deleted.
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

fn a_plan_up_to_the_merge() {
    let site = in_conflict();
    let plan = site.cowhand(["plan", "--until", "merge"]).exits(0);
    Snapshots::in_directory("").about(&site).show("plan-until-merge", &plan);
}

fn a_check() {
    let site = Site::without_engine();
    let snapshots = Snapshots::in_directory("check").about(&site);
    snapshots.show("nothing-new", &site.cowhand(["check"]).exits(3));
    snapshots.show("no-newer-release", &site.cowhand(["check", "--tags"]).exits(3));
    let site = site.behind_one_release();
    snapshots.show("something-new", &site.cowhand(["check"]).exits(0));
    snapshots.show("a-newer-release", &site.cowhand(["check", "--tags"]).exits(0));
    fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    snapshots.show("no-answer", &site.cowhand(["check"]).exits(99));
}

fn a_refused_update() {
    let site = in_conflict();
    site.git(["checkout", "--quiet", "--detach"]);
    let update = site.cowhand(["update", "--yes"]).exits(10);
    Snapshots::in_directory("update").about(&site).show("refused", &update);
}

fn no_run_yet() {
    let site = Site::without_engine();
    let snapshots = Snapshots::in_directory("no-run").about(&site);
    for command in ["status", "history", "resume"] {
        snapshots.show(command, &site.cowhand([command]).exits(0));
    }
    for command in [&["show", "2"][..], &["rollback", "--yes"]] {
        snapshots.show(command[0], &site.runs(command).exits(2));
    }
}

fn usage_errors() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().display().to_string();
    let snapshots = Snapshots::in_directory("usage").replacing(&path, "[DIRECTORY]");
    let show = |name: &str, line: &[&str]| {
        let ran = Cowhand::new(line.iter().copied()).folder(empty.path()).run();
        snapshots.show(name, &ran);
    };
    show("no-command", &[]);
    show("unknown-command", &["upgrade"]);
    show("unknown-option", &["update", "--nonsense"]);
    show("unknown-stage", &["plan", "--until", "merg"]);
    show("missing-argument", &["show"]);
    show("options-that-exclude-each-other", &["update", "--ours", "--theirs"]);
    show("no-site", &["status"]);
    let site = Site::without_engine();
    let snapshots = Snapshots::in_directory("usage").about(&site);
    let ran = site.cowhand(["update", "--yes", "--expect-tree", "some"]).exits(2);
    snapshots.show("no-object-id", &ran);
    let site = site.has("cowhand.toml", "[verfy]\nsettle = \"1s\"\n");
    snapshots.show("unknown-setting", &site.cowhand(["plan"]).exits(2));
}

fn plugins_of_a_site() {
    let site = Site::without_engine().behind_one_release();
    let directory = tempfile::tempdir().unwrap();
    // A stock plugin's component under another name stands for one that somebody else wrote.
    let (bytes, _) = cowhand::plugin::read_source("stock:notify").unwrap();
    let component = directory.path().join("webhook.wasm");
    fs::write(&component, &bytes).unwrap();
    let source = component.to_str().unwrap();
    let snapshots = Snapshots::in_directory("plugin")
        .about(&site)
        .replacing(&directory.path().display().to_string(), "[DIRECTORY]");
    let show = |name: &str, line: &[&str]| snapshots.show(name, &site.runs(line));

    show("list-stock", &["plugin", "list"]);
    show("inspect", &["plugin", "inspect", source]);
    show("inspect-no-plugin", &["plugin", "inspect", "/dev/null"]);
    let grant = ["--grant", "http=hooks.example.org"];
    show("add-declined", &[&["plugin", "add", source][..], &grant].concat());
    show("add", &[&["plugin", "add", source, "--yes"][..], &grant].concat());
    show("list", &["plugin", "list"]);
    show("explain", &["plugin", "explain", "webhook"]);
    show("explain-unknown", &["plugin", "explain", "webhok"]);
    show("verify", &["plugin", "verify"]);
    show("approve-nothing", &["plugin", "approve"]);

    site.edit("cowhand.toml", |text| text + "env = [\"WEBHOOK_TOKEN\"]\n").unwrap();
    show("list-unapproved", &["plugin", "list"]);
    show("explain-unapproved", &["plugin", "explain", "webhook"]);
    show("verify-unapproved", &["plugin", "verify"]);
    show("plan-unapproved", &["plan", "--until", "merge"]);
    show("approve-declined", &["plugin", "approve"]);
    show("approve", &["plugin", "approve", "--yes"]);

    // A custom section of two bytes: its name is empty, and its content is a space.
    fs::write(site.root().join("plugins/webhook.wasm"), [&bytes[..], b"\0\x02\0 "].concat())
        .unwrap();
    show("verify-changed", &["plugin", "verify"]);
    show("approve-changed", &["plugin", "approve", "webhook", "--yes"]);
    fs::write(site.root().join("plugins/webhook.wasm"), "damaged").unwrap();
    show("list-damaged", &["plugin", "list"]);
    show("verify-damaged", &["plugin", "verify"]);
    show("approve-damaged", &["plugin", "approve", "--yes"]);
    show("remove", &["plugin", "remove", "webhook"]);
    show("remove-unknown", &["plugin", "remove", "webhook"]);
}

fn a_new_plugin_and_its_cases() {
    let directory = tempfile::tempdir().unwrap();
    let snapshots = Snapshots::in_directory("plugin");
    let show = |name: &str, line: &[&str]| {
        let ran = Cowhand::new(line.iter().copied()).folder(directory.path()).run();
        snapshots.show(name, &ran);
    };
    for language in ["rust", "python", "javascript"] {
        let line = ["plugin", "new", language, "--lang", language, "--hook", "pre-merge"];
        show(&format!("new-{language}"), &line);
        let readme = fs::read_to_string(directory.path().join(language).join("README.md")).unwrap();
        snapshots.hold(&format!("new-{language}-readme"), &readme);
    }
    show("new-again", &["plugin", "new", "rust", "--lang", "rust", "--hook", "observer"]);
    show("test-without-component", &["plugin", "test"]);
    show("test-without-directory", &["plugin", "test", "stock:stock-conflicts"]);
    fs::create_dir(directory.path().join("cases")).unwrap();
    show("test-without-cases", &["plugin", "test", "stock:stock-conflicts"]);
    for (case, answer) in [("held", "theirs"), ("broken", "ours")] {
        let text = format!(
            "[conflict-resolver]\npath = \"a\"\nkind = \"binary\"\n[conflict-resolver.ours]\n\
             [conflict-resolver.theirs]\n[expect]\nanswer = \"{answer}\"\n"
        );
        let case = directory.path().join("cases").join(case);
        fs::create_dir_all(&case).unwrap();
        fs::write(case.join("case.toml"), text).unwrap();
    }
    show("test-failed", &["plugin", "test", "stock:stock-conflicts"]);
    let held = ["plugin", "test", "stock:stock-conflicts", "--cases", "cases/held"];
    show("test-passed", &held);
}
