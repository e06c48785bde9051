//! Bringing a new stack up: who is interrupted, for how long, in which order, and what a kill in
//! the middle leaves.

use std::time::Duration;

use cowhand::demo::site::image_of;
use cowhand::stack::change::Action;
use cowhand::stack::changes::Changes;

use crate::support::site::Site;
use crate::support::stack::{FEW, Stack, actions, interrupted, meanings, meanwhile, small};
use crate::support::tests;

tests! {
    Stack: services_wait_for_what_they_need_and_for_nobody_else,
    who_needs_somebody_healthy_runs_until_he_is,
    what_compose_does_at_a_start_is_done,
    what_was_left_half_made_is_put_in_order,
}

/// A service with a volume that has no name.
const ANONYMOUS: &str = "services:\n  memcached-mailcow:\n    volumes: [/anonymous]\n";

/// Adds lines to a service of the site's override.
fn volume_of(stack: &Stack, service: &str, target: &str) -> String {
    let containers = stack.wait(stack.engine.containers(stack.site.project())).unwrap();
    let container = containers.iter().find(|one| one.service == service).unwrap();
    container
        .mounts
        .iter()
        .find(|mount| mount.target == target)
        .and_then(|mount| mount.volume.clone())
        .unwrap()
}

fn services_wait_for_what_they_need_and_for_nobody_else() {
    let services = [
        "unbound-mailcow",
        "redis-mailcow",
        "php-fpm-mailcow",
        "mysql-mailcow",
        "memcached-mailcow",
    ];
    let site = Site::with_services(&[&services[..], &["solr-mailcow", "rspamd-mailcow"]].concat());
    let site = site.has("docker-compose.override.yml", ANONYMOUS);
    let slow =
        |edition: &str| image_of("mariadb").env("STOP_DELAY", "9000").label("edition", edition);
    site.images.push("mariadb", "10.11", &slow("first")).unwrap();
    let stack = Stack::of(site.running());
    let (old, project) = (stack.resolve(), stack.site.project().to_owned());
    let anonymous = volume_of(&stack, "memcached-mailcow", "/anonymous");

    // mysql, on which php-fpm depends, takes long to stop; memcached needs nobody; solr goes; a
    // service and a network are new.
    stack.site.images.push("mariadb", "10.11", &slow("second")).unwrap();
    for name in ["phpfpm", "memcached"] {
        stack.site.images.push(name, "new", &image_of(name).label("edition", "second")).unwrap();
    }
    stack.wants("phpfpm", "1.93", "new");
    stack.wants("memcached", "alpine", "new");
    let addition = format!(
        "  added:\n    image: {}\n    networks: [added]\nnetworks:\n  added: {{ipam: {{config: [{{subnet: {}.0/28}}]}}}}\n",
        stack.site.images.reference("memcached", "new"),
        stack.site.slot().network().replacen("10.219", "10.220", 1),
    );
    stack.site.write("docker-compose.override.yml", ANONYMOUS.to_owned() + &addition).unwrap();
    let solr = |text: String| {
        let (before, rest) = text.split_once("    solr-mailcow:\n").unwrap();
        before.to_owned() + &rest[rest.find("networks:\n  mailcow-network").unwrap()..]
    };
    stack.site.edit("docker-compose.yml", solr).unwrap();
    let new = stack.resolve();
    let images = stack.plan(&new, false).unwrap();
    let changes = stack.changes(&old, &new, &images, &[]);
    let expected = [
        ("added", Action::Create),
        ("memcached-mailcow", Action::Recreate),
        ("mysql-mailcow", Action::Recreate),
        ("php-fpm-mailcow", Action::Recreate),
        ("solr-mailcow", Action::Remove),
    ];
    assert_eq!(actions(&changes), expected, "{changes:#?}");
    let pulled = meanings(&stack.pull(&images).unwrap());
    let seen = meanwhile(&stack.site, || stack.start(&stack.files(), &new, &changes, &pulled));

    assert_eq!(
        interrupted(&seen),
        ["memcached-mailcow", "mysql-mailcow", "php-fpm-mailcow"],
        "{seen:#?}"
    );
    let [memcached, mysql, php] =
        ["memcached-mailcow", "mysql-mailcow", "php-fpm-mailcow"].map(|name| &seen[name]);
    assert!(
        memcached.started < mysql.ended && seen["added"].started < mysql.ended,
        "nobody waits for mysql: {seen:#?}"
    );
    assert!(
        mysql.ended < php.ended && mysql.started < php.started,
        "php-fpm goes and comes after mysql: {seen:#?}"
    );
    assert_eq!(volume_of(&stack, "memcached-mailcow", "/anonymous"), anonymous);
    let containers = stack.site.containers().unwrap();
    assert!(!containers.iter().any(|line| line.starts_with("solr")), "{containers:#?}");
    let again = meanwhile(&stack.site, || stack.start(&stack.files(), &new, &changes, &pulled));
    assert!(again.is_empty(), "what was done is not done again: {again:#?}");
    stack.site.up().unwrap();
    assert_eq!(
        stack.site.containers().unwrap(),
        containers,
        "nothing is left for whoever starts {project} by hand"
    );
}

fn who_needs_somebody_healthy_runs_until_he_is() {
    let stack = Stack::of(small(FEW).running());
    let old = stack.resolve();
    let dns = |edition: &str| image_of("unbound").label("edition", edition);
    stack.site.images.push("unbound", "new", &dns("slow").env("START_DELAY", "2500")).unwrap();
    stack.site.images.push("unbound", "bad", &dns("ill").env("UNHEALTHY", "yes")).unwrap();
    stack.site.pushes("postfix", "1.81");
    stack.site.pushes("postfix", "1.82");
    let update = |from: (&str, &str), to: (&str, &str)| {
        stack.wants("unbound", from.0, to.0);
        stack.wants("postfix", from.1, to.1);
        let new = stack.resolve();
        let images = stack.plan(&new, false).unwrap();
        let changes = stack.changes(&old, &new, &images, &[]);
        let pulled = meanings(&stack.pull(&images).unwrap());
        (new, changes, pulled)
    };
    let (new, changes, pulled) = update(("1.24", "1.80"), ("new", "1.81"));
    let seen = meanwhile(&stack.site, || stack.start(&stack.files(), &new, &changes, &pulled));
    assert_eq!(interrupted(&seen), ["postfix-mailcow", "unbound-mailcow"], "{seen:#?}");
    let (postfix, unbound) = (&seen["postfix-mailcow"], &seen["unbound-mailcow"]);
    assert!(postfix.ended > unbound.started.map(|at| at + Duration::from_secs(2)), "{seen:#?}");

    let (new, changes, pulled) = update(("new", "1.81"), ("bad", "1.82"));
    let seen = meanwhile(&stack.site, || {
        let error = stack.tries_to_start(&stack.files(), &new, &changes, &pulled).unwrap_err();
        assert!(error.summary().contains("postfix-mailcow needs it to be healthy"), "{error}");
    });
    assert_eq!(interrupted(&seen), ["unbound-mailcow"], "{seen:#?}");
}

fn what_compose_does_at_a_start_is_done() {
    let greeting = "services:\n  memcached-mailcow:\n    configs: [greeting]\nconfigs:\n  greeting:\n    content: hello\n";
    let site =
        Site::with_services(&["memcached-mailcow"]).has("docker-compose.override.yml", greeting);
    let stack = Stack::of(site.running());
    let old = stack.resolve();
    stack
        .site
        .images
        .push("memcached", "new", &image_of("memcached").label("edition", "second"))
        .unwrap();
    stack.wants("memcached", "alpine", "new");
    let new = stack.resolve();
    let images = stack.plan(&new, false).unwrap();
    let changes = stack.changes(&old, &new, &images, &[]);
    let pulled = meanings(&stack.pull(&images).unwrap());
    stack.start(&stack.files(), &new, &changes, &pulled);
    let container = format!("{}-memcached-mailcow-1", stack.site.project());
    let copy = stack.site.root().join("../greeting");
    stack
        .site
        .engine()
        .lines(&["cp", &format!("{container}:/greeting"), copy.to_str().unwrap()])
        .unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "hello");
}

fn what_was_left_half_made_is_put_in_order() {
    let stack = Stack::of(small(FEW).running());
    let resolved = stack.resolve();
    let docker = |arguments: &[&str]| stack.site.engine().lines(arguments).unwrap();
    let before = stack.site.containers().unwrap();
    // As compose has it when it is killed: once with the old container still there, once after that
    // was removed.
    let half = |service: &str| {
        let containers = stack.wait(stack.engine.containers(stack.site.project())).unwrap();
        let old = containers.into_iter().find(|one| one.service == service).unwrap();
        let name = format!("{}_{}", &old.id[..12], old.name);
        let labels = old.labels.iter().map(|(name, value)| format!("--label={name}={value}"));
        let labels: Vec<String> =
            labels.chain([format!("--label=com.docker.compose.replace={}", old.id)]).collect();
        let mut create = vec!["create", "--name", &name];
        create.extend(labels.iter().map(String::as_str));
        let network = format!("{}_mailcow-network", stack.site.project());
        create.extend(["--network", &network, "--restart=always", &old.image]);
        docker(&create);
        old
    };
    half("redis-mailcow");
    let gone = half("postfix-mailcow");
    docker(&["rm", "--force", &gone.id]);
    stack.start(&stack.files(), &resolved, &Changes::default(), &[]);
    let names = docker(&[
        "ps",
        "--all",
        "--filter",
        &format!("name={}", stack.site.project()),
        "--format",
        "{{.Names}}",
    ]);
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with(stack.site.project())), "{names:?}");
    let after = stack.site.containers().unwrap();
    let same = before.iter().filter(|line| after.contains(line)).count();
    assert_eq!((after.len(), same), (4, 3), "only postfix is another: {after:#?}");
}
