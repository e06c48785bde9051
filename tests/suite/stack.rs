//! The stack by itself: what compose and the engine really do with what is asked of them.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cowhand::demo::images::Image;
use cowhand::demo::registry::Registry;
use cowhand::demo::site::image_of;
use cowhand::event::Events;
use cowhand::stack::change::{Action, PruneAction};
use cowhand::stack::{ComposeFiles, Resolved, images, prune, validate, verify};

use crate::support::outside::Gate;
use crate::support::site::Site;
use crate::support::stack::{FEW, Stack, actions, interrupted, meanings, meanwhile, small};
use crate::support::{tests, world};

tests! {
    Stack: what_runs_is_what_compose_resolves,
    a_pull_moves_no_tag_and_the_start_moves_it,
    what_was_fetched_ahead_needs_no_registry,
    an_image_that_nobody_has_is_named_with_its_service,
    an_image_that_was_built_here_is_kept,
    a_registry_that_fails_at_times_is_asked_again,
    the_old_images_come_back_after_a_prune_by_hand,
    services_that_are_not_well_are_named_with_their_log,
    what_would_not_work_is_found_before_anything_stops,
    superseded_images_go_and_needed_ones_stay,
    a_changed_network_takes_the_stack_down_and_up_again,
}

fn what_runs_is_what_compose_resolves() {
    let stack = Stack::of(Site::customised().running());
    let resolved = stack.resolve();
    for offline in [true, false] {
        let images = stack.plan(&resolved, offline).unwrap();
        assert_eq!(images.len(), 7);
        assert!(
            images.iter().all(|image| !image.pull && image.from == image.to && image.to.is_some()),
            "{images:#?}"
        );
        let changes = stack.changes(&resolved, &resolved, &images, &[]);
        assert!(changes.is_empty(), "{changes:#?}");
    }
}

fn a_pull_moves_no_tag_and_the_start_moves_it() {
    let stack = Stack::of(Site::customised().running());
    let old = stack.resolve();
    let redis = stack.site.images.reference("redis", "7.4-alpine");
    let before = (stack.id(&redis), stack.site.containers().unwrap());
    // One image moves under its tag, one gets a new tag, and a file changes that a service mounts
    // by itself.
    stack
        .site
        .images
        .push("redis", "7.4-alpine", &image_of("redis").label("edition", "second").weight(300_000))
        .unwrap();
    stack.site.pushes("nginx", "1.04");
    let images = stack.plan(&old, false).unwrap();
    assert_eq!(
        images
            .iter()
            .filter(|image| image.pull)
            .map(|image| image.reference.as_str())
            .collect::<Vec<_>>(),
        [&redis]
    );
    let pulled = stack.pull(&images).unwrap();
    assert!(pulled.iter().find(|one| one.reference == redis).unwrap().bytes > 300_000);
    stack.site.up().unwrap();
    assert_eq!(
        (stack.id(&redis), stack.site.containers().unwrap()),
        before,
        "whoever starts the stack by hand gets the old one"
    );

    stack.wants("nginx", "1.03", "1.04");
    let file = "data/web/inc/functions.inc.php";
    stack.site.edit(file, |text| text + "// changed\n").unwrap();
    let new = stack.resolve();
    let images = stack.plan(&new, false).unwrap();
    let changes = stack.changes(&old, &new, &images, &[file, "data/web/index.php"]);
    let expected = [
        ("nginx-mailcow", Action::Recreate),
        ("php-fpm-mailcow", Action::Restart),
        ("redis-mailcow", Action::Recreate),
    ];
    assert_eq!(actions(&changes), expected, "{changes:#?}");
    let pulled = stack.pull(&images).unwrap();
    assert!(
        pulled.iter().all(|one| one.bytes == 0 || one.reference != redis),
        "it is not pulled again: {pulled:#?}"
    );
    let seen =
        meanwhile(&stack.site, || stack.start(&stack.files(), &new, &changes, &meanings(&pulled)));

    assert_eq!(
        interrupted(&seen),
        ["nginx-mailcow", "php-fpm-mailcow", "redis-mailcow"],
        "{seen:#?}"
    );
    assert!(seen.values().all(|seen| seen.ends == 1), "{seen:#?}");
    assert_ne!(stack.id(&redis), before.0);
    assert_eq!(stack.verify(&new), []);
    let seen = stack.site.seen_by("php-fpm-mailcow", "/mailcowauth/functions.inc.php").unwrap();
    assert!(seen.ends_with("// changed"));
    let settled = stack.site.containers().unwrap();
    let images = stack.plan(&new, false).unwrap();
    assert!(stack.changes(&new, &new, &images, &[]).is_empty());
    stack.site.up().unwrap();
    assert_eq!(
        stack.site.containers().unwrap(),
        settled,
        "nothing is left for whoever starts the stack by hand"
    );
}

fn what_was_fetched_ahead_needs_no_registry() {
    let registry = Registry::start().unwrap();
    let stack = Stack::of(Site::on_registry(registry.address()).running());
    stack.site.pushes("postfix", "1.81");
    stack.wants("postfix", "1.80", "1.81");
    let new = stack.resolve();
    let pulled = stack.pull(&stack.plan(&new, false).unwrap()).unwrap();
    stack.wait(images::hold_prefetched(&stack.engine, stack.site.project(), &pulled)).unwrap();
    drop(registry);
    stack.prunes_by_hand();
    for offline in [true, false] {
        let images = stack.plan(&new, offline).unwrap();
        assert!(images.iter().all(|image| !image.pull && image.to.is_some()), "{images:#?}");
        let again = stack.pull(&images).unwrap();
        assert_eq!(meanings(&again), meanings(&pulled));
    }
}

fn an_image_that_nobody_has_is_named_with_its_service() {
    let stack = Stack::of(small(FEW).running());
    stack.wants("postfix", "1.80", "1.99");
    let error = stack.plan(&stack.resolve(), false).unwrap_err();
    assert!(error.headline().contains("postfix:1.99"), "{error}");
    assert!(
        error.causes().contains(&"wanted by postfix-mailcow".to_owned()),
        "{:?}",
        error.causes()
    );
    assert!(
        error.summary().contains("manifest unknown") || error.summary().contains("not found"),
        "the registry's own words: {error}"
    );
    assert!(!error.hints().is_empty());
}

fn an_image_that_was_built_here_is_kept() {
    let stack = Stack::of(small(FEW).running());
    let redis = stack.site.images.reference("redis", "7.4-alpine");
    let mine = stack.site.images.reference("mine", "1");
    stack.site.engine().lines(&["tag", &redis, &mine]).unwrap();
    stack.site.edit("docker-compose.yml", |text| text.replace(&redis, &mine)).unwrap();
    let new = stack.resolve();
    let images = stack.plan(&new, false).unwrap();
    let planned = images.iter().find(|image| image.reference == mine).unwrap();
    assert!(!planned.pull);
    let pulled = stack.pull(&images).unwrap();
    assert_eq!(
        pulled.iter().find(|one| one.reference == mine).map(|one| one.image_id.clone()),
        stack.id(&redis)
    );
}

fn a_registry_that_fails_at_times_is_asked_again() {
    let fails = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&fails);
    let gate = Gate::before(&world::registry(), move |_| {
        let fails = left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .is_ok();
        fails.then_some("500 Internal Server Error")
    });
    let site = Site::on_registry(&gate.address());
    let stack = Stack::of(site);
    let resolved = stack.resolve();
    fails.store(3, Ordering::SeqCst);
    let images = stack.plan(&resolved, false).unwrap();
    assert!(images.iter().all(|image| image.pull), "{images:#?}");
    fails.store(3, Ordering::SeqCst);
    let pulled = stack.pull(&images).unwrap();
    assert_eq!(pulled.len(), 7);
    assert_eq!(fails.load(Ordering::SeqCst), 0);
}

fn the_old_images_come_back_after_a_prune_by_hand() {
    let stack = Stack::of(small(FEW).running());
    let old = stack.resolve();
    let old_compose = stack.site.file("docker-compose.yml");
    let (redis, before) = (stack.site.images.reference("redis", "7.4-alpine"), stack.hold("run1"));
    assert!(before.missing.is_empty() && before.images.len() == 4);
    let was = stack.id(&redis);
    stack
        .site
        .images
        .push("redis", "7.4-alpine", &image_of("redis").label("edition", "second"))
        .unwrap();
    let images = stack.plan(&old, false).unwrap();
    let pulled = stack.pull(&images).unwrap();
    stack.start(&stack.files(), &old, &stack.changes(&old, &old, &images, &[]), &meanings(&pulled));
    assert_ne!(stack.id(&redis), was);
    stack.prunes_by_hand();

    assert_eq!(stack.site.file("docker-compose.yml"), old_compose);
    let changes = stack.changes(&old, &old, &stack.plan(&old, true).unwrap(), &[]);
    stack.start(&stack.files(), &old, &changes, &before.images);
    assert_eq!(stack.id(&redis), was);
    assert_eq!(stack.verify(&old), []);
}

fn services_that_are_not_well_are_named_with_their_log() {
    let site = small(&[
        "unbound-mailcow",
        "mysql-mailcow",
        "redis-mailcow",
        "dovecot-mailcow",
        "solr-mailcow",
    ]);
    let broken = |name: &str| image_of(name).label("edition", "broken");
    site.images.push("redis", "7.4-alpine", &broken("redis").env("EXIT", "3")).unwrap();
    site.images.push("solr", "1.8", &broken("solr").env("START_DELAY", "60000")).unwrap();
    site.images
        .push("dovecot", "2.33", &Image::new().listens(143, "hello").listens(4190, "\"hello\""))
        .unwrap();
    let stack = Stack::of(site.running());
    let redis_is = || {
        let unwell = stack.verify(&stack.resolve());
        unwell.into_iter().find(|one| one.service == "redis-mailcow").expect("redis is not well")
    };
    // The engine tells the code between two starts alone, on a busy machine late; the time between
    // them grows.
    let redis = (0..5).map(|_| redis_is()).find(|redis| redis.reason.contains("code 3"));
    let redis = redis.unwrap_or_else(|| panic!("nobody tells the code: {:?}", redis_is()));
    assert!(redis.log.iter().any(|line| line.contains("told to end with 3")), "{redis:?}");

    stack.site.images.push("redis", "7.4-alpine", &broken("redis")).unwrap();
    stack.site.compose(&["pull", "--quiet", "redis-mailcow"]).unwrap();
    stack.site.up().unwrap();
    let unwell = stack.verify(&stack.resolve());
    assert!(!unwell.is_empty());
    let solr =
        format!("its port {} (in the container: 8983) is not served", stack.site.slot().port(8));
    for one in &unwell {
        let expected = if one.service == "solr-mailcow" {
            solr.as_str()
        } else {
            "does not greet as a mail server does"
        };
        assert!(one.reason.contains(expected), "{unwell:#?}");
    }
    assert!(verify::failure(&unwell).unwrap().headline().contains("solr-mailcow"), "{unwell:#?}");
}

fn what_would_not_work_is_found_before_anything_stops() {
    let stack = Stack::of(Site::customised().running());
    let root = stack.site.root();
    let upstream = root.join("docker-compose.yml");
    let (old, old_files) = (stack.resolve(), stack.files());
    let ports = |of| {
        validate::ports(&stack.engine, &stack.wait(stack.engine.all_containers()).unwrap(), of)
    };
    assert_eq!(ports(&old), [], "its own ports are its own");

    // A port of the site that somebody else listens on.
    let listener = TcpListener::bind(("127.0.0.1", stack.site.slot().port(20))).unwrap();
    let port = listener.local_addr().unwrap().port();
    stack
        .site
        .edit("mailcow.conf", |text| text + &format!("SMTP_PORT=127.0.0.1:{port}\n"))
        .unwrap();
    let new = stack.resolve();
    let found = ports(&new);
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains(&format!("port {port} of postfix-mailcow")), "{found:?}");
    drop(listener);

    // A service that upstream dropped and the site's override still changes, in a scratch folder as
    // an update has it.
    let scratch = root.join("../scratch");
    std::fs::create_dir_all(&scratch).unwrap();
    let text = std::fs::read_to_string(&upstream).unwrap();
    std::fs::write(
        scratch.join("docker-compose.yml"),
        text.replace("    nginx-mailcow:\n", "    web-mailcow:\n"),
    )
    .unwrap();
    let files = vec![scratch.join("docker-compose.yml"), root.join("docker-compose.override.yml")];
    let new_files =
        ComposeFiles { files, env_file: Some(root.join("mailcow.conf")), ..old_files.clone() };
    let error = stack.wait(stack.compose.resolve(&new_files)).unwrap_err();
    assert!(error.summary().contains("nginx-mailcow"), "{error}");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("remove it from docker-compose.override.yml")),
        "{error:?}"
    );

    // The same with an image in the override: it resolves, and would go on running.
    let addition = format!(
        "services:\n  nginx-mailcow:\n    image: {}\n",
        stack.site.images.reference("nginx", "1.03")
    );
    stack.site.write("docker-compose.override.yml", addition).unwrap();
    let new = stack.wait(stack.compose.resolve(&new_files)).unwrap();
    assert_eq!(
        new.services["web-mailcow"].mounts[0].host_path(),
        Some(root.join("data/web")),
        "paths are the site's"
    );
    let left =
        stack.wait(validate::left_over(&stack.compose, &old_files, &new_files, &new)).unwrap();
    assert!(left.len() == 1 && left[0].what.contains("nginx-mailcow"), "{left:?}");
    assert_eq!(validate::problems(&old, &new, &|path| path.exists()), []);
}

fn superseded_images_go_and_needed_ones_stay() {
    let stack = Stack::of(Site::customised().running());
    let old = stack.resolve();
    let project = stack.site.project().to_owned();
    let first = stack.hold("run1");
    stack.site.pushes("postfix", "1.81");
    stack.site.pushes("nginx", "1.04");
    stack.wants("postfix", "1.80", "1.81");
    stack.wants("nginx", "1.03", "1.04");
    let new = stack.resolve();
    let images = stack.plan(&new, false).unwrap();
    let pulled = stack.pull(&images).unwrap();
    stack.start(&stack.files(), &new, &stack.changes(&old, &new, &images, &[]), &meanings(&pulled));

    let own = |resolved: &Resolved| {
        resolved.images().keys().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    let (before, now) = (own(&old), own(&new));
    let nginx = stack.id(&stack.site.images.reference("nginx", "1.03")).unwrap();
    let scope = prune::Scope {
        project: &project,
        named_before: &before,
        named_now: &now,
        way_back: std::slice::from_ref(&nginx),
        ..prune::Scope::default()
    };
    assert_eq!(first.images.len(), 7);
    let prefix = stack.site.images.base();
    let items = stack.wait(prune::candidates(&stack.engine, &scope)).unwrap();
    let mine: Vec<_> = items
        .into_iter()
        .filter(|item| item.references.iter().any(|name| name.starts_with(&prefix)))
        .collect();
    let (postfix, kept): (Vec<_>, Vec<_>) =
        mine.iter().partition(|item| item.action == PruneAction::Remove);
    assert_eq!((postfix.len(), kept.len()), (1, 1), "{mine:#?}");
    assert_eq!(kept[0].id, nginx);
    let removed = stack.wait(prune::remove(&stack.engine, &mine, &Events::default())).unwrap();
    assert_eq!((removed.gone.len(), removed.stayed.len()), (1, 0), "{removed:?}");
    assert_eq!(stack.id(&postfix[0].id), None);
    assert!(stack.id(&nginx).is_some());

    stack.wait(images::release(&stack.engine, &project, &[])).unwrap();
    let tags = stack.wait(stack.engine.image(&nginx)).unwrap().unwrap().tags;
    assert!(!tags.iter().any(|tag| images::is_ours(tag, &project)), "{tags:?}");
    let containers = stack.wait(stack.engine.containers(&project)).unwrap();
    prune::only_while_up(&new, &containers).unwrap();
    let error = prune::only_while_up(&new, &containers[1..]).unwrap_err();
    assert!(error.summary().contains(&containers[0].service), "{error}");
}

fn a_changed_network_takes_the_stack_down_and_up_again() {
    let stack = Stack::of(small(FEW).running());
    let old = stack.resolve();
    let kept = stack.site.root().join("../old-compose.yml");
    std::fs::copy(stack.site.root().join("docker-compose.yml"), &kept).unwrap();
    let mut old_files = stack.files();
    old_files.files[0] = kept;
    let option = "    driver: bridge\n    driver_opts:\n      com.docker.network.bridge.enable_icc: \"true\"\n";
    stack
        .site
        .edit("docker-compose.yml", |text| text.replace("    driver: bridge\n", option))
        .unwrap();
    let new = stack.resolve();
    let images = stack.plan(&new, true).unwrap();
    let changes = stack.changes(&old, &new, &images, &[]);
    assert_eq!(changes.down, ["mailcow-network"]);
    stack.start(&old_files, &new, &changes, &[]);
    assert_eq!(stack.verify(&new), []);
    let starts = stack.site.seen_by("mysql-mailcow", "/var/lib/mysql/starts").unwrap();
    assert_eq!(starts, "started\nstarted", "the volumes are the same");
}
