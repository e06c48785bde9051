//! Long operations at a terminal, which is always left in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cowhand::demo::images::Image;
use cowhand::demo::site::image_of;
use rustix::process::Signal;

use crate::support::outside::Gate;
use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::{tests, world};

tests! {
    Stack: layers_and_services_are_shown_as_they_come;
}

/// The first part of a connection's data, and the size of the layer.
const COMES: u64 = 2 << 20;
const WEIGHT: usize = 4 << 20;
/// The beginning of a colour, and of a rewritten line.
const COLOUR: &str = "\x1b[3";
const ANEW: &str = "\x1b[2K";
const WELL: &str = "services healthy";

/// Upstream wants another redis, from a registry of which not all comes while it is held.
fn releases(site: &Site, gate: &Gate, tag: &str, image: &Image) {
    site.images.push("redis", tag, image).unwrap();
    let new = site.images.reference("redis", tag).replace(&world::registry(), &gate.address());
    let compose = site.upstream.read("docker-compose.yml").unwrap();
    let was = compose.lines().find(|line| line.contains("/redis:")).unwrap();
    let text = compose.replace(was, &format!("      image: {new}"));
    site.upstream.commit("Redis").write("docker-compose.yml", text).publish().unwrap();
}

fn layers_and_services_are_shown_as_they_come() {
    let site = small(&["unbound-mailcow", "redis-mailcow"]);
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"1s\"\n").running();
    let held = Arc::new(AtomicBool::new(true));
    let gate = Gate::holding(&world::registry(), COMES, Arc::clone(&held));
    releases(&site, &gate, "8", &image_of("redis").label("edition", "second").weight(WEIGHT));
    let before = site.state();
    let update = site.prepared(["update", "--yes"]).at_a_terminal();
    update.shows("/4.00 MiB 1/2 layers").shows("    layer ").interrupts();
    // Above the bars, which are drawn again below it.
    let ended = "\x1b[1A             Stopping at the next safe point. Interrupt again to stop immediately.\r\n  pull ";
    update.ends().exits(130).says(COLOUR).says(ended);
    site.is_untouched_since(&before);

    held.store(false, Ordering::SeqCst);
    let update = site.prepared(["update", "--yes"]).env("NO_COLOR", "1").at_a_terminal();
    update.ends().exits(0).says(WELL).says("2/2").says(ANEW).keeps_quiet_about(COLOUR);

    releases(&site, &gate, "9", &image_of("redis").healthcheck().env("START_DELAY", "60000"));
    let update = site.prepared(["update", "--yes"]).at_a_terminal();
    update
        .shows(WELL)
        .signal(Signal::TERM)
        .shows("Stopping at the next safe point")
        .signal(Signal::TERM);
    update.ends().exits(130);
    // Without bars, each task has a line at its end.
    let rollback = site.prepared(["rollback", "--yes"]).env("TERM", "dumb").at_a_terminal();
    rollback.ends().exits(0).says("services changed: 1\r\n").keeps_quiet_about(ANEW);
}
