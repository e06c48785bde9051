//! Bad input: one clear message, the right exit code, an untouched site.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::support::outside;
use crate::support::ran::{Cowhand, Ran};
use crate::support::site::Site;
use crate::support::{tests, world};

tests! {
    Nothing: a_folder_that_is_no_site,
    a_site_that_is_no_git_clone,
    a_missing_mailcow_conf,
    an_unreadable_mailcow_conf,
    somebody_who_is_not_root,
    an_engine_that_does_not_answer,
    an_engine_that_is_too_old,
    a_merge_under_way,
    a_rebase_under_way,
    a_detached_head,
    a_stale_lock_of_git,
    a_typo_in_cowhand_toml,
    a_value_that_cowhand_toml_cannot_have,
    an_unknown_option_names_the_nearest,
    an_unknown_command_names_the_nearest,
    an_upstream_that_does_not_answer,
    an_upstream_without_the_branch,
    another_run_that_holds_the_lock;
    Stack: a_docker_without_compose,
    a_compose_that_is_too_old,
    a_registry_that_answers_500,
    a_registry_that_does_not_answer,
    a_registry_that_wants_a_login,
    a_registry_that_refuses_a_layer,
    an_engine_that_says_nothing,
    what_cannot_be_started_is_found_before_anything_stops,
    no_space_left_for_the_run,
    an_override_that_does_not_resolve,
}

/// Demands the exit code and the words from `update --yes`, that it says what was left as it was
/// and what to do, and that the site is as before.
fn refused(site: &Site, code: i32, words: &str) {
    untouched(site, code, words, || {
        let ran = site.cowhand(["update", "--yes", "--json"]);
        let outcome = ran.event("outcome");
        assert_eq!(outcome["code"], code, "{ran}");
        assert!(outcome["left"].is_string(), "what was left as it was is not said: {ran}");
        assert!(
            outcome["hints"].as_array().is_some_and(|hints| !hints.is_empty()),
            "what to do is not said: {ran}"
        );
        ran
    });
}

fn untouched(site: &Site, code: i32, words: &str, run: impl FnOnce() -> Ran) {
    let before = site.state();
    run().exits(code).says(words);
    site.is_untouched_since(&before);
}

fn a_folder_that_is_no_site() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["update", "plan", "prefetch"] {
        Cowhand::new([command]).folder(folder.path()).run().exits(10).says("mailcow");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    Cowhand::new(["update", "--site", "/nonexistent/folder"])
        .run()
        .exits(10)
        .says("/nonexistent/folder");
}

fn a_site_that_is_no_git_clone() {
    let site = Site::without_engine();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(site.root().join("mailcow.conf"), folder.path().join("mailcow.conf")).unwrap();
    fs::copy(site.root().join("docker-compose.yml"), folder.path().join("docker-compose.yml"))
        .unwrap();
    Cowhand::new(["update", "--yes"]).folder(folder.path()).run().exits(10).says("git");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

fn a_missing_mailcow_conf() {
    let site = Site::without_engine();
    fs::remove_file(site.root().join("mailcow.conf")).unwrap();
    refused(&site, 10, "mailcow.conf");
}

fn an_unreadable_mailcow_conf() {
    let site = Site::without_engine();
    fs::remove_file(site.root().join("mailcow.conf")).unwrap();
    symlink("/nonexistent/mailcow.conf", site.root().join("mailcow.conf")).unwrap();
    refused(&site, 10, "mailcow.conf");
    fs::remove_file(site.root().join("mailcow.conf")).unwrap();
    fs::create_dir(site.root().join("mailcow.conf")).unwrap();
    refused(&site, 10, "mailcow.conf");
}

fn somebody_who_is_not_root() {
    let site = Site::without_engine().behind_one_release();
    // A user who can read the site and start the program, wherever it was built.
    let program = tempfile::tempdir().unwrap();
    fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let cowhand = program.path().join("cowhand");
    outside::program(&cowhand, &fs::read(crate::support::ran::binary()).unwrap());
    let fixture = site.root().parent().map(Path::to_owned).unwrap();
    fs::set_permissions(fixture, fs::Permissions::from_mode(0o755)).unwrap();
    untouched(&site, 10, "root", || {
        let arguments = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            cowhand.to_str().unwrap(),
            "update",
            "--yes",
        ];
        Cowhand::of("setpriv", arguments).folder(site.root()).run()
    });
}

fn an_engine_that_does_not_answer() {
    let site = Site::without_engine().behind_one_release();
    refused(&site, 10, "engine");
}

fn an_engine_that_is_too_old() {
    let site = Site::without_engine().behind_one_release();
    let engine = outside::OldEngine::start();
    untouched(&site, 10, "17.05", || {
        site.prepared(["update", "--yes"]).env("DOCKER_HOST", engine.host()).run()
    });
}

fn a_docker_without_compose() {
    let site = Site::customised().behind_one_release();
    let path = outside::path_with(&[(
        "docker",
        "#!/bin/sh\necho \"docker: unknown command: $1\" >&2\nexit 1\n",
    )]);
    untouched(&site, 10, "compose", || {
        site.prepared(["update", "--yes"]).env("PATH", path.path()).run()
    });
}

fn a_compose_that_is_too_old() {
    let site = Site::customised().behind_one_release();
    let path = outside::path_with(&[
        ("docker", "#!/bin/sh\necho \"docker: unknown command: $1\" >&2\nexit 1\n"),
        ("docker-compose", "#!/bin/sh\necho 1.29.2\n"),
    ]);
    untouched(&site, 10, "1.29.2", || {
        site.prepared(["update", "--yes"]).env("PATH", path.path()).run()
    });
}

fn a_merge_under_way() {
    let site = Site::without_engine();
    site.git(["stash", "--quiet"]);
    site.git([
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "of the site",
    ]);
    site.upstream.commit("news").append("README.md", "news\n").publish().unwrap();
    site.git(["fetch", "--quiet"]);
    site.git(["merge", "--quiet", "--no-commit", "origin/master"]);
    refused(&site, 10, "merge");
}

fn a_rebase_under_way() {
    let site = Site::without_engine();
    site.git(["stash", "--quiet"]);
    let site = site.edited("README.md", "throw-away", "local");
    site.git([
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@x",
        "commit",
        "--quiet",
        "--all",
        "-m",
        "of the site",
    ]);
    site.upstream.commit("news").replace("README.md", "throw-away", "remote").publish().unwrap();
    site.git(["fetch", "--quiet"]);
    let rebase = cowhand::demo::site::Site::git(
        &site,
        &["-c", "user.name=x", "-c", "user.email=x@x", "rebase", "origin/master"],
    );
    assert!(rebase.is_err(), "the rebase stops at the conflict");
    refused(&site, 10, "rebase");
}

fn a_detached_head() {
    let site = Site::without_engine().behind_one_release();
    site.git(["checkout", "--quiet", "--detach"]);
    refused(&site, 10, "branch");
}

fn a_stale_lock_of_git() {
    let site = Site::without_engine().behind_one_release();
    fs::write(site.root().join(".git/index.lock"), "").unwrap();
    refused(&site, 10, "index.lock");
}

fn a_typo_in_cowhand_toml() {
    let site = Site::without_engine().has("cowhand.toml", "[merge]\nfovor = \"ours\"\n");
    untouched(&site, 2, "favor", || {
        site.cowhand(["update", "--yes"]).says("cowhand.toml").says("line 2")
    });
}

fn a_value_that_cowhand_toml_cannot_have() {
    let site = Site::without_engine().has("cowhand.toml", "[merge]\nfavor = \"our\"\n");
    refused(&site, 2, "ours");
}

fn an_unknown_option_names_the_nearest() {
    let site = Site::without_engine();
    untouched(&site, 2, "--theirs", || site.cowhand(["update", "--their"]));
    untouched(&site, 2, "--dry-run", || site.cowhand(["update", "--dry-run"]));
}

fn an_unknown_command_names_the_nearest() {
    Cowhand::new(["updat"]).run().exits(2).says("update");
}

fn an_upstream_that_does_not_answer() {
    let site = Site::without_engine();
    fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    untouched(&site, 13, "upstream.git", || site.cowhand(["plan", "--until", "merge"]));
}

fn an_upstream_without_the_branch() {
    let site = Site::without_engine();
    let repository = site.upstream.repository();
    repository
        .find_reference("refs/heads/master")
        .unwrap()
        .rename("refs/heads/main", false, "")
        .unwrap();
    untouched(&site, 13, "master", || site.cowhand(["plan", "--until", "merge"]));
}

fn another_run_that_holds_the_lock() {
    let site = Site::without_engine().behind_one_release();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    let lock = fs::File::create(site.root().join(".git/cowhand/lock")).unwrap();
    lock.lock().unwrap();
    refused(&site, 30, "Another run");
    site.cowhand(["check"]).exits(0);
}

fn a_registry_that_answers_500() {
    let broken = outside::Gate::broken();
    let site = Site::customised().running();
    let image = format!("{}/postfix:1.81", broken.address());
    let release = site.upstream.release("2026-03");
    release
        .replace("docker-compose.yml", &site.images.reference("postfix", "1.80"), &image)
        .publish()
        .unwrap();
    refused(&site, 13, "postfix:1.81");
}

fn a_registry_that_does_not_answer() {
    let registry = cowhand::demo::registry::Registry::start().unwrap();
    let address = registry.address().to_owned();
    let site = Site::on_registry(&address).behind_one_release().running();
    drop(registry);
    refused(&site, 13, &address);
}

fn a_registry_that_wants_a_login() {
    let gate = outside::Gate::before(&world::registry(), |head| {
        let known = head.to_lowercase().contains("authorization: basic dxnlcjpwyxnz");
        (!known).then_some("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"")
    });
    let (registry, site) = (gate.address(), Site::customised().running());
    let release = |tag: &str| {
        site.pushes("postfix", tag);
        let image = site.images.reference("postfix", tag).replace(&world::registry(), &registry);
        let compose = site.upstream.read("docker-compose.yml").unwrap();
        let was = compose.lines().find(|line| line.contains("/postfix:")).unwrap();
        let text = compose.replace(was, &format!("      image: {image}"));
        site.upstream.commit("Postfix").write("docker-compose.yml", text).publish().unwrap();
    };
    release("1.81");
    refused(&site, 13, &format!("docker login {registry}"));

    // As `docker login` writes it, for `user` with the password `pass`; then through a helper.
    let docker = tempfile::tempdir().unwrap();
    let prefetch = |config: &str, helper: &str| {
        fs::write(docker.path().join("config.json"), config).unwrap();
        let program = docker.path().join("docker-credential-cowhand-test");
        let script = format!(
            "#!/bin/sh\nread -r server\n[ \"$server\" = {registry} ] || exit 1\n{helper}\n"
        );
        outside::program(&program, script.as_bytes());
        let path = format!("{}:{}", docker.path().display(), std::env::var("PATH").unwrap());
        site.prepared(["prefetch"]).env("DOCKER_CONFIG", docker.path()).env("PATH", path).run()
    };
    prefetch(&format!(r#"{{"auths": {{"{registry}": {{"auth": "dXNlcjpwYXNz"}}}}}}"#), "exit 1")
        .exits(0);
    release("1.82");
    let helped = format!(r#"{{"credHelpers": {{"{registry}": "cowhand-test"}}}}"#);
    prefetch(&helped, "echo 'the vault is closed' >&2; exit 1")
        .exits(13)
        .says("the vault is closed");
    prefetch(&helped, r#"echo '{"Username": "user", "Secret": "pass"}'"#).exits(0);
}

fn a_registry_that_refuses_a_layer() {
    let gate = outside::Gate::before(&world::registry(), |head| {
        head.contains("/blobs/").then_some("403 Forbidden")
    });
    let site = Site::customised().running();
    site.pushes("postfix", "1.81");
    let image =
        site.images.reference("postfix", "1.81").replace(&world::registry(), &gate.address());
    let release = site.upstream.release("2026-03");
    release
        .replace("docker-compose.yml", &site.images.reference("postfix", "1.80"), &image)
        .publish()
        .unwrap();
    refused(&site, 13, "could not pull");
}

fn an_engine_that_says_nothing() {
    let site = Site::without_engine().behind_one_release();
    let folder = tempfile::tempdir().unwrap();
    let host = outside::silent_engine(folder.path());
    untouched(&site, 10, "no answer in time", || {
        site.prepared(["update", "--yes"]).env("DOCKER_HOST", host).run()
    });
}

/// Each would leave the site without mail, or without its data, once the old stack is down.
fn what_cannot_be_started_is_found_before_anything_stops() {
    let site = Site::with_services(&[
        "unbound-mailcow",
        "redis-mailcow",
        "postfix-mailcow",
        "mysql-mailcow",
    ])
    .has("docker-compose.override.yml", "services: {}\n")
    .running();
    let compose = site.upstream.read("docker-compose.yml").unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", site.slot().port(20))).unwrap();
    let port = format!("port {} of redis-mailcow", site.slot().port(20));
    let published =
        format!("    redis-mailcow:\n      ports: [\"127.0.0.1:{}:6379\"]\n", site.slot().port(20));
    let cases = [
        ("    redis-mailcow:\n", published.as_str(), port.as_str()),
        (
            "redis-vol-1:/data/\n",
            "redis-vol-1:/data/\n        - ./data/conf/none.conf:/none.conf\n",
            "data/conf/none.conf, which does not exist",
        ),
        ("  redis-vol-1:\n", "  redis-vol-1: {name: elsewhere}\n", "without its data"),
    ];
    for (from, to, words) in cases {
        assert!(compose.contains(from), "{from}");
        let text = compose.replacen(from, to, 1);
        site.upstream.commit("A mistake").write("docker-compose.yml", text).publish().unwrap();
        refused(&site, 13, words);
    }
    drop(listener);
    // A site from before the option: its project would be called after the folder now.
    let named = format!("COMPOSE_PROJECT_NAME={}", site.project());
    let site = site.edited("mailcow.conf", &named, "# no name");
    refused(&site, 13, &format!("Set {named} in mailcow.conf"));
}

fn no_space_left_for_the_run() {
    let site = Site::customised().behind_one_release().running();
    let small = outside::SmallDisk::mount(&site.root().join(".git/cowhand"));
    let before = site.state();
    let ran = site.cowhand(["update", "--yes"]).says("pace");
    drop(small);
    site.is_untouched_since(&before);
    drop(ran.exits(13));
}

fn an_override_that_does_not_resolve() {
    let site = Site::with_services(&["unbound-mailcow", "redis-mailcow", "solr-mailcow"]);
    let site = site
        .has(
            "docker-compose.override.yml",
            "services:\n  solr-mailcow:\n    labels:\n      site: \"yes\"\n",
        )
        .running();
    site.upstream.release("2026-03").without_service("solr-mailcow").publish().unwrap();
    refused(&site, 13, "solr-mailcow");
}
