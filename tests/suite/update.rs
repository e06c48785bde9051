//! `cowhand update` on a running site: what git, the working tree and the stack are like
//! afterwards.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use cowhand::failpoint::VARIABLE;

use crate::support::site::Site;
use crate::support::stack::{interrupted, meanwhile};
use crate::support::tests;

tests! {
    Stack: it_takes_theirs_unless_told_otherwise,
    it_takes_ours_on_request,
    only_what_changed_is_restarted,
    old_code_does_not_meet_new_files,
    folders_that_the_site_calls_live_restart_nobody,
    nothing_new_touches_no_container,
    a_file_that_upstream_removed_goes_and_its_local_version_is_kept,
    an_ignored_file_in_the_way_is_kept_before_it_is_replaced,
    certificates_that_the_merge_removed_come_back,
    a_service_that_upstream_dropped_goes,
    a_changed_network_takes_the_stack_down_once_and_keeps_its_volumes,
    a_compose_file_of_old_that_only_compose_1_read_is_left_behind,
    a_missing_image_is_found_before_anything_stops,
    the_end_of_input_at_the_question_means_no,
    yes_at_the_question_updates,
    skip_start_leaves_the_containers_alone,
    only_the_reviewed_tree_is_applied,
    mailcow_conf_stays_private_and_the_env_link_a_link,
    prefetched_images_need_no_registry,
    a_second_update_finds_nothing_to_do,
}

/// The site and upstream changed the same line of postfix's configuration.
fn in_conflict() -> Site {
    let site = Site::customised()
        .edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4")
        .running();
    site.pushes("postfix", "1.81");
    let release = site.upstream.release("2026-03").image("postfix", "1.81");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    site
}

fn it_takes_theirs_unless_told_otherwise() {
    let site = in_conflict();
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(site.file("data/conf/postfix/main.cf").contains("postscreen_dnsbl_threshold = 8\n"));
    assert!(
        site.file("data/conf/postfix/main.cf").contains("message_size_limit = 52428800\n"),
        "the rest of the site's edits stays"
    );
    let kept = site.kept("data/conf/postfix/main.cf");
    assert!(
        kept.iter().any(|text| text.contains("postscreen_dnsbl_threshold = 4\n")),
        "the losing version is kept"
    );
    it_is_on_the_new_release(&site);
}

fn it_takes_ours_on_request() {
    let site = in_conflict();
    site.cowhand(["update", "--yes", "--ours"]).exits(0);
    assert!(site.file("data/conf/postfix/main.cf").contains("postscreen_dnsbl_threshold = 4\n"));
    it_is_on_the_new_release(&site);
}

/// On its branch, clean, with the two commits, and with the new postfix.
fn it_is_on_the_new_release(site: &Site) {
    assert_eq!(site.git(["symbolic-ref", "HEAD"]), "refs/heads/master");
    assert_eq!(site.git(["status", "--porcelain"]), "");
    let subjects = site.git(["log", "--first-parent", "-n", "2", "--format=%s|%an|%ae"]);
    let subjects: Vec<&str> = subjects.lines().collect();
    assert!(
        subjects[0].starts_with("After update on 20") && subjects[0].ends_with("|moo|moo@cow.moo"),
        "{subjects:?}"
    );
    assert!(subjects[1].starts_with("Before update on 20"), "{subjects:?}");
    assert_eq!(site.git(["rev-parse", "HEAD^2"]), site.upstream.tip().unwrap().to_string());
    let postfix = site.images.reference("postfix", "1.81");
    assert!(
        site.containers()
            .unwrap()
            .iter()
            .any(|line| line.starts_with(&format!("postfix-mailcow {postfix} ")))
    );
    assert_eq!(site.containers().unwrap().len(), 7);
}

fn only_what_changed_is_restarted() {
    let site = Site::customised().behind_one_release().running();
    let started = |service: &str| site.started(service);
    let others =
        ["unbound-mailcow", "mysql-mailcow", "redis-mailcow", "dovecot-mailcow", "nginx-mailcow"];
    let before = others.map(started);
    let (postfix, php_fpm) = (started("postfix-mailcow"), started("php-fpm-mailcow"));
    site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(others.map(started), before);
    assert_ne!(started("postfix-mailcow"), postfix, "its image changed");
    assert_ne!(started("php-fpm-mailcow"), php_fpm, "a single file that it mounts changed");
    let seen = site.seen_by("php-fpm-mailcow", "/mailcowauth/functions.inc.php").unwrap();
    assert_eq!(seen, site.file("data/web/inc/functions.inc.php").trim_end());
}

fn old_code_does_not_meet_new_files() {
    let site = Site::customised().running();
    site.pushes("phpfpm", "1.94");
    let release = site.upstream.release("2026-03").image("phpfpm", "1.94");
    release.append("data/web/index.php", "// news\n").publish().unwrap();
    let page = site.root().join("data/web/index.php");
    // Killed once the files are new: the way back starts what was stopped.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    let before = site.whole();
    site.prepared(["update", "--yes"]).env(VARIABLE, "switch:acted:kill").run().was_killed();
    assert_eq!(site.containers().unwrap().len(), 6, "php-fpm is stopped");
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&before);

    let seen = meanwhile(&site, || drop(site.cowhand(["update", "--yes"]).exits(0)));
    assert_eq!(interrupted(&seen), ["php-fpm-mailcow"], "{seen:#?}");
    let written = fs::metadata(page)
        .unwrap()
        .modified()
        .unwrap()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let php = &seen["php-fpm-mailcow"];
    // A file's time comes from a clock that ticks every few milliseconds.
    let tick = std::time::Duration::from_millis(20);
    assert!(
        php.ended < Some(written + tick) && Some(written) < php.started,
        "{php:?}, files at {written:?}"
    );
}

fn folders_that_the_site_calls_live_restart_nobody() {
    let site = Site::customised()
        .has("cowhand.toml", "[start]\nread-live = [\"./data/conf/dovecot\"]\n")
        .running();
    site.upstream
        .commit("More")
        .append("data/conf/dovecot/dovecot.conf", "# more\n")
        .publish()
        .unwrap();
    let seen = meanwhile(&site, || drop(site.cowhand(["update", "--yes"]).exits(0)));
    assert!(seen.is_empty(), "{seen:#?}");
}

fn nothing_new_touches_no_container() {
    let site = Site::customised().running();
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(0);
    site.is_untouched_since(&before);
}

fn a_file_that_upstream_removed_goes_and_its_local_version_is_kept() {
    for favour in ["--theirs", "--ours"] {
        let site = Site::customised()
            .edited("data/conf/phpfpm/php-fpm.d/pools.conf", "= 50", "= 75")
            .running();
        let release =
            site.upstream.release("2026-03").remove("data/conf/phpfpm/php-fpm.d/pools.conf");
        let mount = "        - ./data/conf/phpfpm/php-fpm.d/pools.conf:/usr/local/etc/php-fpm.d/z-pools.conf:Z\n";
        release.replace("docker-compose.yml", mount, "").publish().unwrap();
        site.cowhand(["update", "--yes", favour])
            .exits(0)
            .says("data/conf/phpfpm/php-fpm.d/pools.conf");
        assert!(!site.has_path("data/conf/phpfpm/php-fpm.d/pools.conf"), "{favour}");
        let kept = site.kept("data/conf/phpfpm/php-fpm.d/pools.conf");
        assert!(
            kept.iter().any(|text| text.contains("pm.max_children = 75")),
            "{favour}: {kept:?}"
        );
    }
}

fn an_ignored_file_in_the_way_is_kept_before_it_is_replaced() {
    let site = Site::customised().running();
    let release = site.upstream.release("2026-03");
    release
        .write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n")
        .publish()
        .unwrap();
    site.cowhand(["update", "--yes"]).exits(0).says("data/conf/rspamd/local.d/ratelimit.conf");
    assert_eq!(
        site.file("data/conf/rspamd/local.d/ratelimit.conf"),
        "rates { to = \"10 / 1h\"; }\n"
    );
    let kept = site.kept("data/conf/rspamd/local.d/ratelimit.conf");
    assert!(kept.iter().any(|text| text == "rates { to = \"100 / 1h\"; }\n"), "{kept:?}");
}

fn certificates_that_the_merge_removed_come_back() {
    let site = Site::customised();
    // Upstream once tracked a certificate; the site put its own in its place; then upstream stopped
    // tracking it.
    site.upstream
        .commit("An example")
        .write("data/assets/ssl/mail/cert.pem", "example\n")
        .publish()
        .unwrap();
    site.git(["stash", "--quiet"]);
    site.git(["pull", "--quiet", "--ff-only"]);
    site.git(["stash", "pop", "--quiet"]);
    let site = site.edited("data/assets/ssl/mail/cert.pem", "example", "the site's own").running();
    site.upstream.release("2026-03").remove("data/assets/ssl/mail/cert.pem").publish().unwrap();
    let link = fs::read_link(site.root().join("data/assets/ssl/cert.pem")).unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(site.file("data/assets/ssl/mail/cert.pem"), "the site's own\n");
    assert_eq!(fs::read_link(site.root().join("data/assets/ssl/cert.pem")).unwrap(), link);
}

fn a_service_that_upstream_dropped_goes() {
    let services = ["unbound-mailcow", "redis-mailcow", "solr-mailcow"];
    let site = Site::with_services(&services)
        .has("docker-compose.override.yml", "services: {}\n")
        .running();
    let site = site.edited("mailcow.conf", "TZ=", "SKIP_SOLR=n\nTZ=");
    let before = [site.container("unbound-mailcow"), site.container("redis-mailcow")];
    site.upstream.release("2026-03").without_service("solr-mailcow").publish().unwrap();
    let ran = site.cowhand(["update", "--yes", "--json"]).exits(0).says("solr-mailcow");
    let hints = ran.event("outcome")["hints"].to_string();
    assert!(
        hints.contains("Not migrated: Solr's index") && hints.contains("doveadm index"),
        "{hints}"
    );
    assert_eq!(site.containers().unwrap().len(), 2);
    assert_eq!([site.container("unbound-mailcow"), site.container("redis-mailcow")], before);
}

fn a_changed_network_takes_the_stack_down_once_and_keeps_its_volumes() {
    let site = Site::customised().running();
    let release = site.upstream.release("2026-03");
    let option = "    driver: bridge\n    driver_opts:\n      com.docker.network.bridge.enable_icc: \"true\"\n";
    release.replace("docker-compose.yml", "    driver: bridge\n", option).publish().unwrap();
    let plan = site.cowhand(["plan", "--json"]).exits(0).event("plan");
    assert_eq!(plan["down"].as_array().map(Vec::len), Some(1), "{plan:#}");
    // Killed when the new stack is up: what goes on with the run does not take it down again.
    site.prepared(["update", "--yes"]).env(VARIABLE, "start:acted:kill").run().was_killed();
    site.cowhand(["resume"]).exits(0).keeps_quiet_about("taking the stack down");
    assert_eq!(site.containers().unwrap().len(), 7);
    assert_eq!(site.seen_by("mysql-mailcow", "/var/lib/mysql/starts").unwrap(), "started\nstarted");
}

fn a_compose_file_of_old_that_only_compose_1_read_is_left_behind() {
    let site = Site::customised().running();
    let (new, old) = ("${HTTP_BIND:-}", "${HTTP_BIND:-:}");
    site.upstream.commit("As it was").replace("docker-compose.yml", new, old).publish().unwrap();
    site.git(["pull", "--quiet"]);
    let site = site.edited("mailcow.conf", "HTTP_BIND=127.0.0.1", "HTTP_BIND=");
    site.upstream.release("2026-03").replace("docker-compose.yml", old, new).publish().unwrap();
    let before = site.state();
    site.cowhand(["plan"]).exits(0);
    site.is_untouched_since(&before);
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(site.file("docker-compose.yml").contains(new));
    site.cowhand(["rollback", "--yes"]).exits(0);
    assert!(
        site.file("docker-compose.yml").contains(old),
        "the file is what it was, and its stack runs"
    );
    assert_eq!(site.containers().unwrap().len(), 7);
}

fn a_missing_image_is_found_before_anything_stops() {
    let site = Site::customised().running();
    site.upstream.release("2026-03").image("postfix", "1.99").publish().unwrap();
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(13).says("postfix:1.99");
    site.is_untouched_since(&before);
}

fn the_end_of_input_at_the_question_means_no() {
    let site = Site::customised().behind_one_release().running();
    let before = site.state();
    site.cowhand(["update"]).exits(11);
    site.is_untouched_since(&before);
}

fn yes_at_the_question_updates() {
    let site = Site::customised().behind_one_release().running();
    site.prepared(["update"]).input("y\n").run().exits(0);
    it_is_on_the_new_release(&site);
}

fn skip_start_leaves_the_containers_alone() {
    let site = Site::customised().behind_one_release().running();
    let before = site.containers().unwrap();
    site.cowhand(["update", "--yes", "--skip-start"]).exits(0);
    assert_eq!(site.containers().unwrap(), before);
    assert_eq!(site.git(["rev-parse", "HEAD^2"]), site.upstream.tip().unwrap().to_string());
}

fn only_the_reviewed_tree_is_applied() {
    let site = Site::customised().behind_one_release().running();
    let plan = site.cowhand(["plan", "--json"]).exits(0).event("plan");
    let reviewed = plan["merge"]["tree"].as_str().unwrap().to_owned();
    site.upstream.commit("One more").append("README.md", "\nOne more line.\n").publish().unwrap();
    let before = site.state();
    site.cowhand(["update", "--yes", "--expect-tree", &reviewed]).exits(12);
    site.is_untouched_since(&before);
    let plan = site.cowhand(["plan", "--json"]).exits(0).event("plan");
    let reviewed = plan["merge"]["tree"].as_str().unwrap().to_owned();
    site.cowhand(["update", "--yes", "--expect-tree", &reviewed]).exits(0);
    assert_eq!(site.git(["rev-parse", "HEAD^{tree}"]), reviewed);
}

fn mailcow_conf_stays_private_and_the_env_link_a_link() {
    let site = Site::customised().behind_one_release().running();
    let before = site.file("mailcow.conf");
    let ran = site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(site.file("mailcow.conf"), before);
    assert_eq!(
        fs::metadata(site.root().join("mailcow.conf")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_link(site.root().join(".env")).unwrap().to_str(), Some("mailcow.conf"));
    assert_eq!(
        fs::metadata(site.root().join(".git/cowhand")).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let password = before.lines().find_map(|line| line.strip_prefix("DBPASS=")).unwrap();
    ran.keeps_quiet_about(password);
}

fn prefetched_images_need_no_registry() {
    let registry = cowhand::demo::registry::Registry::start().unwrap();
    let site = Site::on_registry(registry.address()).behind_one_release().running();
    let before = site.state();
    site.cowhand(["prefetch"]).exits(0);
    site.is_untouched_since(&before);
    let log = registry.log().lines().filter(|line| line.contains("/blobs/")).count();
    site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(
        registry.log().lines().filter(|line| line.contains("/blobs/")).count(),
        log,
        "no layer is pulled twice"
    );
    it_is_on_the_new_release(&site);
}

fn a_second_update_finds_nothing_to_do() {
    let site = in_conflict();
    site.cowhand(["update", "--yes"]).exits(0);
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(0);
    site.is_untouched_since(&before);
    site.cowhand(["check"]).exits(3);
}
