use serde_json::{Value, json};

use super::*;

const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A stack of five: `side` is in the network of `web`, `log` asks to be restarted with `db`.
fn stack() -> Value {
    json!({
        "name": "mail",
        "services": {
            "db": {"image": "r/db:1", "networks": {"n": null}, "environment": {"A": "1"},
                "volumes": [{"type": "bind", "source": "/site/data/my.cnf", "target": "/my.cnf"},
                    {"type": "bind", "source": "/site/data/conf", "target": "/conf"}]},
            "web": {"image": "r/web:1", "networks": {"n": null}, "depends_on": {"db": {"condition": "service_started"}},
                "volumes": [{"type": "bind", "source": "/site/data/web", "target": "/web"},
                    {"type": "bind", "source": "/site/data/web/f.php", "target": "/f.php"}]},
            "side": {"image": "r/side:1", "network_mode": "service:web"},
            "log": {"image": "r/log:1", "networks": {"n": null}, "depends_on": {"db": {"condition": "service_started", "restart": true}}},
            "alone": {"image": "r/alone:1", "networks": {"m": null}}
        },
        "networks": {"n": {"name": "mail_n", "ipam": {}}, "m": {"name": "mail_m", "ipam": {}}}
    })
}

fn resolved(stack: &Value) -> Resolved {
    // Compose's hash is any text that changes with the configuration.
    let services = stack["services"].as_object().unwrap();
    let hashes =
        services.iter().map(|(name, raw)| format!("{name} {}", raw.to_string().replace(' ', "")));
    Resolved::parse(&stack.to_string(), &hashes.collect::<Vec<_>>().join("\n")).unwrap()
}

fn running(old: &Resolved) -> Vec<Container> {
    let container = |(name, service): (&str, &Service)| Container {
        service: name.to_owned(),
        image: service.image.clone().unwrap(),
        image_id: OLD.to_owned(),
        labels: BTreeMap::from([(label::CONFIG_HASH.to_owned(), old.hashes[name].clone())]),
        networks: service
            .networks
            .iter()
            .map(|key| (old.networks[key].name.clone(), Vec::new()))
            .collect(),
        ..Container::default()
    };
    old.wanted().map(container).collect()
}

/// Returns the changes after `edit`, with new images from `to` and changed `files`.
fn changes(
    edit: impl FnOnce(&mut Value),
    to: impl Fn(&str) -> &'static str,
    files: &[&str],
) -> Changes {
    let old = resolved(&stack());
    let mut edited = stack();
    edit(&mut edited);
    let new = resolved(&edited);
    let image = |(reference, services): (&str, Vec<&str>)| ImageChange {
        reference: reference.to_owned(),
        services: services.into_iter().map(str::to_owned).collect(),
        from: Some(OLD.to_owned()),
        to: Some(to(reference).to_owned()),
        pull: false,
    };
    let images: Vec<_> = new.images().into_iter().map(image).collect();
    let changed_paths: Vec<SitePath> = files.iter().map(|path| SitePath::from(*path)).collect();
    compute(&Situation {
        old: &old,
        new: &new,
        containers: &running(&old),
        images: &images,
        changed_paths: &changed_paths,
        site_root: Path::new("/site"),
        read_live: &["data/web"],
    })
}

#[test]
fn another_program_does_not_meet_files_that_are_read_live() {
    let other = |reference: &str| if reference == "r/web:1" { NEW } else { OLD };
    let first = |changes: &Changes| {
        changes
            .services
            .iter()
            .filter(|change| change.stops_first)
            .map(|change| change.service.clone())
            .collect::<Vec<_>>()
    };
    let web = changes(|_| {}, other, &["data/web/index.php"]);
    assert_eq!(first(&web), ["web"]);
    let reasons = &web.services.iter().find(|change| change.service == "web").unwrap().reasons;
    assert!(
        reasons.iter().any(|reason| reason.detail.contains("it reads data/web live")),
        "{reasons:?}"
    );
    for files in [&["data/conf/x"][..], &[]] {
        assert!(first(&changes(|_| {}, other, files)).is_empty(), "{files:?}");
    }
    assert!(
        first(&changes(|_| {}, same, &["data/web/index.php"])).is_empty(),
        "the program stays the same"
    );
}

fn same(_: &str) -> &'static str {
    OLD
}

/// `SERVICE ACTION: KIND DETAIL` of all that do not stay.
fn told(changes: &Changes) -> Vec<String> {
    let tell = |change: &ServiceChange| {
        let reasons =
            change.reasons.iter().map(|reason| format!("{:?} {}", reason.kind, reason.detail));
        format!(
            "{} {:?}: {}",
            change.service,
            change.action,
            reasons.collect::<Vec<_>>().join(" | ")
        )
    };
    changes.services.iter().filter(|change| change.action != Action::Keep).map(tell).collect()
}

#[test]
fn nothing_new_changes_nothing() {
    let changes = changes(|_| {}, same, &[]);
    assert!(changes.is_empty());
    assert_eq!(changes.services.len(), 5);
    assert!(changes.services.iter().all(|change| change.reasons.is_empty()));
}

#[test]
fn an_image_that_moved_under_its_tag_and_one_with_a_new_tag() {
    let moved = changes(|_| {}, |reference| if reference == "r/alone:1" { NEW } else { OLD }, &[]);
    assert_eq!(
        told(&moved),
        ["alone Recreate: Image r/alone:1 from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb"]
    );
    let tagged =
        changes(|stack| stack["services"]["alone"]["image"] = json!("r/alone:2"), |_| NEW, &[]);
    let alone = tagged.services.iter().find(|change| change.service == "alone").unwrap();
    assert_eq!(
        alone.reasons[0].detail,
        "r/alone:1 (sha256:aaaaaaaaaaaa) to r/alone:2 (sha256:bbbbbbbbbbbb)"
    );
    assert_eq!(alone.reasons.len(), 1, "the image is not named twice");
}

#[test]
fn a_changed_configuration_names_keys_and_no_values() {
    let edit = |stack: &mut Value| {
        stack["services"]["alone"]["environment"] = json!({"SECRET": "hunter22"});
        stack["services"]["alone"]["ports"] = json!([]);
    };
    assert_eq!(
        told(&changes(edit, same, &[])),
        ["alone Recreate: Config environment (SECRET added); ports"]
    );
}

#[test]
fn files_restart_who_mounts_them() {
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["data/my.cnf"],
            &[
                "db Restart: Files data/my.cnf",
                "log Restart: Dependency it asks to be restarted with db",
            ],
        ),
        (&["data/my.cnf2"], &[]),
        (
            &["data/conf/x/y"],
            &[
                "db Restart: Files data/conf/x/y",
                "log Restart: Dependency it asks to be restarted with db",
            ],
        ),
        (&["data/web/live.php"], &[]),
        (
            &["data/web/f.php"],
            &[
                "side Restart: Dependency it is in the network of web",
                "web Restart: Files data/web/f.php",
            ],
        ),
        (&["elsewhere"], &[]),
    ];
    for (files, expected) in cases {
        assert_eq!(told(&changes(|_| {}, same, files)), expected, "{files:?}");
    }
}

#[test]
fn who_shares_a_namespace_goes_with_it() {
    let moved = changes(|_| {}, |reference| if reference == "r/web:1" { NEW } else { OLD }, &[]);
    assert_eq!(
        told(&moved),
        [
            "side Recreate: Dependency it is in the network of web",
            "web Recreate: Image r/web:1 from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb"
        ]
    );
}

#[test]
fn services_come_and_go() {
    let edit = |stack: &mut Value| {
        stack["services"].as_object_mut().unwrap().remove("alone");
        stack["services"]["fresh"] = json!({"image": "r/fresh:1"});
        stack["services"]["log"]["deploy"] = json!({"replicas": 0});
    };
    let told = told(&changes(edit, same, &[]));
    assert_eq!(
        told,
        [
            "alone Remove: Config no compose file names it any more",
            "fresh Create: Config it has no container yet",
            "log Remove: Config the configuration asks for no containers"
        ]
    );
}

#[test]
fn a_network_in_use_that_changed_takes_all_down() {
    let changed = changes(|stack| stack["networks"]["n"]["enable_ipv6"] = json!(true), same, &[]);
    assert_eq!(changed.down, ["n"]);
    assert!(changed.services.iter().all(|change| change.action == Action::Recreate));
    let added = changes(|stack| stack["networks"]["new"] = json!({"name": "mail_new"}), same, &[]);
    assert!(added.down.is_empty());
    let renamed = |stack: &mut Value| {
        stack["networks"].as_object_mut().unwrap().remove("m");
        stack["networks"]["m2"] = json!({"name": "mail_m2", "ipam": {}});
        stack["services"]["alone"]["networks"] = json!({"m2": null});
    };
    assert_eq!(changes(renamed, same, &[]).down, ["m"]);
}

#[test]
fn a_container_of_other_files_is_made_anew_although_the_files_did_not_change() {
    let old = resolved(&stack());
    let mut containers = running(&old);
    let alone = containers.iter_mut().find(|one| one.service == "alone").unwrap();
    alone.labels.insert(label::CONFIG_HASH.to_owned(), "other".to_owned());
    alone.labels.insert(label::VERSION.to_owned(), "2.20.0".to_owned());
    let changes = compute(&Situation {
        old: &old,
        new: &old,
        containers: &containers,
        images: &[],
        changed_paths: &[],
        site_root: Path::new("/site"),
        read_live: &[],
    });
    assert_eq!(
        told(&changes),
        ["alone Recreate: Config its container was created (compose 2.20.0) from a \
             configuration that differs from the site's current files"]
    );
}
