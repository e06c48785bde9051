//! Prune: what an update removes at its end, and what it never removes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cowhand::demo::images::LABEL;

use crate::support::outside::Relay;
use crate::support::site::Site;
use crate::support::{tests, world};

tests! {
    Stack: dangling_images_go,
    an_image_that_somebody_is_just_pulling_stays,
    a_volume_goes_only_on_request_and_never_the_project_s,
    a_volume_that_a_container_of_the_project_mounted_stays,
    nothing_goes_while_a_service_lacks_its_container,
}

/// Held by tests that remove dangling volumes: the engine, which they share, does not say whose one
/// without a name is.
static DANGLING_VOLUMES: Mutex<()> = Mutex::new(());

/// An image without a name, as a pull over a tag leaves one; gives its id.
fn leave_a_dangling_image(site: &Site) -> String {
    let reference = site.images.reference("postfix", "scrap");
    let docker = |arguments: &[&str]| site.engine().lines(arguments).unwrap();
    site.images
        .push("postfix", "scrap", &cowhand::demo::images::Image::new().label("edition", "first"))
        .unwrap();
    docker(&["pull", "--quiet", &reference]);
    let id = docker(&["images", "--quiet", "--no-trunc", &reference]).remove(0);
    site.images
        .push("postfix", "scrap", &cowhand::demo::images::Image::new().label("edition", "second"))
        .unwrap();
    docker(&["pull", "--quiet", &reference]);
    id
}

fn images(site: &Site) -> Vec<String> {
    let filter = format!("label={LABEL}={}", site.images.prefix());
    site.engine().lines(&["images", "--all", "--quiet", "--no-trunc", "--filter", &filter]).unwrap()
}

fn volumes(site: &Site) -> Vec<String> {
    site.engine().lines(&["volume", "ls", "--quiet"]).unwrap()
}

fn dangling_images_go() {
    let site = Site::customised().behind_one_release().running();
    let scrap = leave_a_dangling_image(&site);
    assert!(images(&site).contains(&scrap));
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(!images(&site).contains(&scrap));
    let previous = site
        .engine()
        .lines(&["images", "--quiet", &site.images.reference("redis", "7.4-alpine")])
        .unwrap();
    assert_eq!(previous.len(), 1, "images in use stay");
}

fn an_image_that_somebody_is_just_pulling_stays() {
    let site = Site::customised().running();
    let scrap = leave_a_dangling_image(&site);
    // The name comes after prune has listed what nothing leads to, as at the end of a pull, and
    // before it looks once more.
    let (engine, id, name) =
        (world::engine(), scrap.clone(), site.images.reference("postfix", "late"));
    let named = name.clone();
    let pulled = move || drop(engine.lines(&["tag", &id, &named]).unwrap());
    let relay = Relay::doing(
        site.engine().host().unwrap(),
        scrap.trim_start_matches("sha256:").to_owned().leak(),
        pulled,
    );
    let begun = Instant::now();
    site.prepared(["prune", "--yes"]).env("DOCKER_HOST", relay.host()).run().exits(0).says(&name);
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "a pull gets time to name what it has brought"
    );
    assert!(images(&site).contains(&scrap));
}

fn a_volume_goes_only_on_request_and_never_the_project_s() {
    let _alone = DANGLING_VOLUMES.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::customised().behind_one_release().running();
    let label = format!("com.docker.compose.project={}", site.project());
    let nobody_s = site.engine().lines(&["volume", "create"]).unwrap().remove(0);
    let unused = site.engine().lines(&["volume", "create", "--label", &label]).unwrap().remove(0);
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(volumes(&site).contains(&nobody_s), "without [prune] volumes no volume goes");
    let site = site.has("cowhand.toml", "[prune]\nvolumes = true\n");
    site.upstream.commit("More").append("README.md", "\nMore.\n").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let left = volumes(&site);
    assert!(!left.contains(&nobody_s), "{left:?}");
    assert!(left.contains(&unused));
    for name in ["mysql-vol-1", "redis-vol-1", "vmail-vol-1", "postfix-vol-1", "crypt-vol-1"] {
        assert!(left.contains(&format!("{}_{name}", site.project())), "{name}");
    }
}

/// The volumes that a service's container mounts, by its image or by a mount without a name.
fn volumes_of(site: &Site, service: &str) -> Vec<String> {
    let id = site.compose(&["ps", "--all", "--quiet", service]).unwrap().text();
    let format = "{{range .Mounts}}{{println .Name}}{{end}}";
    let names = site.engine().lines(&["inspect", "--format", format, id.trim()]).unwrap();
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

fn a_volume_that_a_container_of_the_project_mounted_stays() {
    let _alone = DANGLING_VOLUMES.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::customised();
    let program = cowhand::demo::images::Image::new().listens(5432, "ready");
    site.images.push("postgres", "15", &program).unwrap();
    let image = site.images.reference("postgres", "15");
    let add_on = format!("services:\n  pg:\n    image: {image}\n    volumes: [/data]\n");
    let site = site.has("docker-compose.override.yml", &add_on).running();
    let site = site.has("cowhand.toml", "[prune]\nvolumes = true\n[verify]\nsettle = \"1s\"\n");
    let [data] = &volumes_of(&site, "pg")[..] else { panic!("one volume without a name") };
    // The network changes, so the stack goes down, and the new container gets a volume of its own.
    let network = |text: String| {
        text.replace("    driver: bridge\n", "    driver: bridge\n    labels: {edition: new}\n")
    };
    site.upstream.release("2026-03").edit("docker-compose.yml", network).publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    let [second] = &volumes_of(&site, "pg")[..] else { panic!("one volume without a name") };
    assert_ne!(data, second);
    assert!(volumes(&site).contains(data));
    // The service is dropped by hand, and its container is gone before Cowhand looks again.
    site.compose(&["rm", "--stop", "--force", "pg"]).unwrap();
    std::fs::remove_file(site.root().join("docker-compose.override.yml")).unwrap();
    site.compose(&["up", "--detach", "--remove-orphans"]).unwrap();
    let nobody_s = site.engine().lines(&["volume", "create"]).unwrap().remove(0);
    site.upstream.commit("More").append("README.md", "\nMore.\n").publish().unwrap();
    for command in [&["update", "--yes"][..], &["prune", "--yes"]] {
        site.runs(command).exits(0);
        let left = volumes(&site);
        assert!(left.contains(data) && left.contains(second), "{left:?}");
        assert!(!left.contains(&nobody_s));
    }
}

fn nothing_goes_while_a_service_lacks_its_container() {
    let site = Site::customised().behind_one_release().running();
    let scrap = leave_a_dangling_image(&site);
    let preview = site.cowhand(["prune", "--dry-run", "--json"]).exits(0).event("prune");
    let items = preview["items"].as_array().unwrap();
    assert!(
        items.iter().any(|item| item["id"] == scrap && item["action"] == "remove"),
        "{preview:#}"
    );
    site.cowhand(["prune"]).exits(11);
    assert!(images(&site).contains(&scrap), "a preview and a no remove nothing");
    site.compose(&["rm", "--stop", "--force", "nginx-mailcow"]).unwrap();
    site.cowhand(["prune", "--yes"]).exits(10).says("nginx-mailcow");
    assert!(images(&site).contains(&scrap));
}
