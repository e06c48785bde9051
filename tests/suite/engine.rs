//! An engine that restarts or vanishes in the middle of an update: what goes on, what is taken back, and what is said.

use std::time::Duration;

use crate::support::outside::Relay;
use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Stack: one_that_is_back_in_time_is_asked_again,
    one_that_restarts_while_a_service_is_replaced_gets_the_old_stack_back,
    one_that_vanishes_leaves_a_way_back;
}

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
    ran.says("cowhand rollback").says("Was the engine stopped or restarted?");
    site.cowhand(["status"]).says("cowhand rollback");
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&before);
}
