//! Traces: on standard error on request, and in the directory of each run.

use crate::support::ran::Cowhand;
use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Nothing: a_filter_that_is_not_one_is_refused,
    traces_go_to_standard_error_on_request;
    Stack: each_run_keeps_its_traces_without_secrets,
}

fn a_filter_that_is_not_one_is_refused() {
    let ran = Cowhand::new(["check"]).env("COWHAND_LOG", "cowhand=loud").run();
    ran.exits(2).says("`cowhand=loud` in COWHAND_LOG");
}

fn traces_go_to_standard_error_on_request() {
    let site = Site::without_engine().behind_one_release();
    let plan = ["plan", "--until", "merge"];
    let span = "stage{name=\"fetch\"}:plugin{name=release-gate hook=\"pre-merge\"}";
    let quiet = site.cowhand(plan).exits(0);
    assert!(!quiet.stderr.contains("DEBUG"), "{quiet}");
    let verbose = site.cowhand(["plan", "--until", "merge", "--verbose"]).exits(0);
    assert!(verbose.stderr.contains(span) && !verbose.stdout.contains("DEBUG"), "{verbose}");
    let chosen = site.prepared(plan).env("COWHAND_LOG", "cowhand::stack=debug").run().exits(0);
    assert!(!chosen.stderr.contains(span), "{chosen}");
}

fn each_run_keeps_its_traces_without_secrets() {
    let site = small(&["unbound-mailcow"]).running();
    // The project's name is in the traces; as a password it must not be.
    let secret = format!("DBPASS={}\n", site.project());
    let conf = site.file("mailcow.conf") + &secret;
    let site = site.has("mailcow.conf", &conf);
    site.upstream.release("2026-03").write("new", "").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let [traces] = &site.kept("trace.log")[..] else { panic!("one run keeps its traces") };
    for expected in ["process ended", "/containers/json", "stage{name=\"verify\"}", "[redacted]"] {
        assert!(traces.contains(expected), "{expected} is not in:\n{traces}");
    }
    assert!(!traces.contains(site.project()), "the password is in:\n{traces}");
}
