//! Plugins of a site and their approvals, seen from outside: a run accepts no plugin without an
//! approval.

use std::fs;

use serde_json::Value;

use crate::support::probe::{another_probe, probe};
use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: what_is_granted_something_must_be_approved_first,
    what_can_only_answer_needs_no_approval_unless_the_site_says_so,
    a_changed_file_must_be_approved_again,
    a_wider_grant_must_be_approved_again_and_a_narrower_one_not,
    another_source_must_be_approved_again,
    adding_writes_what_a_run_needs_and_leaves_the_rest_alone,
    adding_again_updates,
    nobody_agrees_and_nothing_is_added,
    what_is_removed_is_gone,
    verify_names_what_a_run_would_refuse,
    explain_tells_requested_granted_and_effective,
    inspect_runs_nothing,
    a_list_has_also_what_cannot_be_used,
    a_lock_file_of_a_later_version_is_refused,
    another_run_is_not_disturbed,
    places_that_are_never_granted,
    an_approval_is_bound_to_the_folder_and_not_to_a_link,
    a_file_from_outside_the_site_must_be_approved,
    what_must_be_approved_is_not_skipped,
    several_are_approved_one_by_one;
}

const GRANT: &str = "[plugin.grant]\nenv = [\"PROBE\"]\n";

/// A site with the probe as a hand-written plugin.
fn site(more: &str) -> Site {
    let site = Site::without_engine().behind_one_release();
    site.write("plugins/mine.wasm", fs::read(probe()).unwrap()).unwrap();
    with(site, more)
}

fn with(site: Site, more: &str) -> Site {
    site.has(
        "cowhand.toml",
        &format!("[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n{more}"),
    )
}

/// A plan and an unattended update are both refused before they begin, with the command to run.
fn refused(site: &Site, words: &[&str]) {
    let before = site.state();
    for command in [&["plan", "--until", "merge"][..], &["update", "--until", "merge", "--yes"]] {
        let [one, two, three] = [command[0], command[1], command[2]];
        let ran = match command.get(3) {
            None => site.cowhand([one, two, three]),
            Some(four) => site.cowhand([one, two, three, four]),
        };
        let ran = ran.exits(10).says("needs an approval").says("`cowhand plugin approve mine`");
        words.iter().fold(ran, |ran, word| ran.says(word));
    }
    site.is_untouched_since(&before);
}

fn taken(site: &Site) -> Ran {
    site.cowhand(["plan", "--until", "merge", "--json"]).exits(0)
}

fn data(ran: &Ran) -> Value {
    ran.event("report")["data"].clone()
}

fn what_is_granted_something_must_be_approved_first() {
    let site = site(GRANT);
    refused(&site, &["env `PROBE`"]);
    // A failure may be skipped; a missing approval may not.
    let site = with(site, &format!("on-failure = \"skip\"\n{GRANT}"));
    refused(&site, &[]);
    site.cowhand(["plugin", "approve", "mine"]).exits(11).says("Declined. Nothing was changed.");
    assert!(!site.has_path("cowhand.lock"));
    site.prepared(["plugin", "approve", "mine"])
        .input("y\n")
        .run()
        .exits(0)
        .says("may env: PROBE")
        .says("requests env PROBE");
    taken(&site);
    let lock: toml::Table = site.file("cowhand.lock").parse().unwrap();
    let [mine] = lock["plugin"].as_array().unwrap().as_slice() else { panic!("{lock}") };
    assert_eq!((lock["version"].as_integer(), mine["name"].as_str()), (Some(1), Some("mine")));
    assert!(
        mine["digest"].as_str().unwrap().starts_with("sha256:") && mine["approved-by"].is_str()
    );
    assert_eq!(mine["grant"]["env"].as_array().unwrap()[0].as_str(), Some("PROBE"));
    assert_eq!(mine["request"].as_array().unwrap().len(), 4);
    assert_eq!(site.git(["status", "--porcelain", "cowhand.lock", "cowhand.toml", "plugins"]), "");
    site.cowhand(["plugin", "approve"]).exits(0).says("Nothing to approve");
}

fn what_can_only_answer_needs_no_approval_unless_the_site_says_so() {
    let site = site("[plugin.grant]\nmemory = \"128MiB\"\n");
    taken(&site);
    assert!(!site.has_path("cowhand.lock"), "a run approves nothing");
    let site = with(site, "[trust]\napproval = \"always\"\n");
    refused(&site, &["it is not approved yet"]);
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    taken(&site);
}

fn a_changed_file_must_be_approved_again() {
    let site = site("");
    site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(0);
    site.write("plugins/mine.wasm", another_probe("new")).unwrap();
    refused(&site, &["it changed since its approval"]);
    site.cowhand(["plugin", "approve", "--yes"]).exits(0).says("since its approval");
    taken(&site);
}

fn a_wider_grant_must_be_approved_again_and_a_narrower_one_not() {
    let site =
        site("[plugin.grant]\nhttp = [\"ntfy.sh\", \"example.org\"]\nread = [\"data/assets\"]\n");
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    let site = with(
        site,
        "[plugin.grant]\nhttp = [\"ntfy.sh\"]\nread = [\"data/assets/ssl\"]\ntime = \"5s\"\n",
    );
    taken(&site);
    let site = with(
        site,
        "[plugin.grant]\nhttp = [\"ntfy.sh\", \"http://example.org\"]\ntime = \"11s\"\n",
    );
    refused(&site, &["grants exceed its approval: http `http://example.org`, time `11s`"]);
    let site = with(site, "[plugin.grant]\nread = [\"data\"]\n");
    refused(&site, &["grants exceed its approval: read `data`"]);
}

fn another_source_must_be_approved_again() {
    let site = site("");
    site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(0);
    fs::copy(probe(), site.root().join("plugins/other.wasm")).unwrap();
    let site =
        site.has("cowhand.toml", "[[plugin]]\nname = \"mine\"\nsource = \"plugins/other.wasm\"\n");
    refused(&site, &["it was approved with the source `plugins/mine.wasm`"]);
}

const TOML: &str =
    "# ours\n[merge]\nfavor = \"ours\" # always\n\n[trust] # strict\napproval = \"always\"\n";

fn adding_writes_what_a_run_needs_and_leaves_the_rest_alone() {
    let site = Site::without_engine().behind_one_release().has("cowhand.toml", TOML);
    fs::set_permissions(
        site.root().join("cowhand.toml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    let cache = tempfile::tempdir().unwrap();
    let compiled = cache.path().join("cowhand");
    let add = [
        "plugin",
        "add",
        probe().to_str().unwrap(),
        "--name",
        "mine",
        "--grant",
        "env=PROBE",
        "--yes",
        "--json",
    ];
    let added = site.prepared(add).env("COWHAND_CACHE", &compiled).run().exits(0);
    let compiles = |ran: &Ran| ran.stderr.contains("compile mine");
    assert!(compiles(&added), "it is compiled with progress");
    assert_eq!(data(&added)["effective"]["env"][0], "PROBE");
    let toml = site.file("cowhand.toml");
    assert_eq!(
        toml.strip_prefix(TOML).unwrap(),
        "\n[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\n\n[plugin.grant]\nenv = [\"PROBE\"]\n"
    );
    let mode =
        std::os::unix::fs::MetadataExt::mode(&site.root().join("cowhand.toml").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o640);
    let plan = ["plan", "--until", "merge", "--json"];
    let plan = site.prepared(plan).env("COWHAND_CACHE", &compiled).run().exits(0);
    assert!(!compiles(&plan), "a run compiles nothing that was added");
}

fn adding_again_updates() {
    let site = Site::without_engine().behind_one_release();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme_policy.wasm");
    for note in ["one", "two"] {
        fs::write(&file, another_probe(note)).unwrap();
        site.cowhand(["plugin", "add", file.to_str().unwrap(), "--yes"])
            .exits(0)
            .says("Added `acme-policy`");
        taken(&site);
    }
    assert_eq!(
        fs::read(site.root().join("plugins/acme-policy.wasm")).unwrap(),
        another_probe("two")
    );
    assert_eq!(site.file("cowhand.toml").matches("[[plugin]]").count(), 1);
    // A file that another plugin has is not overwritten.
    site.write("plugins/taken.wasm", "theirs").unwrap();
    site.cowhand(["plugin", "add", file.to_str().unwrap(), "--name", "taken", "--yes"])
        .exits(2)
        .says("exists and does not belong");
    assert_eq!(site.file("plugins/taken.wasm"), "theirs");
}

fn nobody_agrees_and_nothing_is_added() {
    let site = Site::without_engine();
    let before = site.state();
    let file = probe().to_str().unwrap();
    site.cowhand(["plugin", "add", file])
        .exits(11)
        .says("requests env PROBE: to try what can be seen");
    let wrong = format!("sha256:{}", "0".repeat(64));
    site.cowhand(["plugin", "add", file, "--digest", &wrong, "--yes"])
        .exits(10)
        .says("has an unexpected digest");
    site.cowhand(["plugin", "add", file, "--grant", "sudo=yes", "--yes"])
        .exits(2)
        .says("KEY=VALUE");
    site.cowhand(["plugin", "add", "/nonexistent.wasm", "--yes"]).exits(2);
    site.cowhand(["plugin", "add", "/etc/hostname", "--yes"]).exits(10).says("not WebAssembly");
    site.cowhand(["plugin", "add", "http://example.org/x.wasm", "--yes"]).exits(2).says("https://");
    site.is_untouched_since(&before);
}

fn what_is_removed_is_gone() {
    let site = site(GRANT);
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    site.cowhand(["plugin", "remove", "nime"]).exits(2).says("Did you mean `mine`");
    site.cowhand(["plugin", "remove", "mine"]).exits(0);
    assert!(
        !site.file("cowhand.toml").contains("plugin")
            && !site.file("cowhand.lock").contains("mine")
    );
    assert!(site.has_path("plugins/mine.wasm"), "a file of the site's stays");
    site.cowhand(["plugin", "remove", "mine"]).exits(2);
}

fn verify_names_what_a_run_would_refuse() {
    let site = site(GRANT);
    let told = data(&site.cowhand(["plugin", "verify", "--json"]).exits(10));
    assert_eq!((told[0]["name"].as_str(), told[0]["ok"].as_bool()), (Some("mine"), Some(false)));
    assert!(told[0]["hints"][0].as_str().unwrap().contains("cowhand plugin approve mine"));
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    site.cowhand(["plugin", "verify"]).exits(0).says("matches its approval");
    site.write("plugins/mine.wasm", "damaged").unwrap();
    site.cowhand(["plugin", "verify"]).exits(10).says("mine").says("not WebAssembly");
}

fn explain_tells_requested_granted_and_effective() {
    let site = site("[plugin.grant]\nenv = [\"PROBE\", \"HOME\"]\n");
    let told = data(&site.cowhand(["plugin", "explain", "mine", "--json"]).exits(0));
    assert_eq!(told["requests"].as_array().unwrap().len(), 4);
    assert_eq!(told["granted"]["env"].as_array().unwrap().len(), 2);
    assert_eq!(told["effective"]["env"].as_array().unwrap().as_slice(), ["PROBE"]);
    assert_eq!(
        (told["standing"].as_str(), told["idle"][0].as_str()),
        (Some("not approved"), Some("env `HOME`"))
    );
    let lacking: Vec<_> = told["lacking"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["request"].as_str().unwrap())
        .collect();
    assert_eq!(lacking, ["read `*`", "install `*`", "http `*`"]);
    let ran = site
        .cowhand(["plugin", "explain", "mine"])
        .exits(0)
        .says("requested, not granted: http `*`");
    ran.says("add to `[plugin.grant]` of `mine` in cowhand.toml: http = [");
    site.cowhand(["plugin", "explain", "certificates"]).exits(0).says("status   stock");
    site.cowhand(["plugin", "explain", "certificate"]).exits(2).says("Did you mean `certificates`");
}

fn inspect_runs_nothing() {
    let site = Site::without_engine();
    let told =
        data(&site.cowhand(["plugin", "inspect", probe().to_str().unwrap(), "--json"]).exits(0));
    assert_eq!(
        (told["version"].as_str(), told["hooks"].as_array().unwrap().len()),
        (Some("0.1.0"), 5)
    );
    assert_eq!(told["size"].as_u64(), Some(fs::metadata(probe()).unwrap().len()));
    assert_eq!(told["requests"][2]["reason"], "to try which hosts can be reached");
    assert!(
        told["imports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("cowhand:hooks/log"))
    );
    site.cowhand(["plugin", "inspect", "stock:notify"])
        .exits(0)
        .says("requests http")
        .says("digest");
    site.cowhand(["plugin", "inspect", "/etc/hostname"]).exits(2).says("is not a plugin");
}

fn a_list_has_also_what_cannot_be_used() {
    let site = site("[[plugin]]\nname = \"gone\"\nsource = \"plugins/gone.wasm\"\n");
    let told = data(&site.cowhand(["plugin", "list", "--json"]).exits(0));
    let names: Vec<_> =
        told.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["mine", "gone"]);
    assert!(names.contains(&"stock-conflicts"));
    assert_eq!(
        (told[0]["standing"].as_str(), told[1]["standing"].as_str()),
        (Some("not pinned"), Some("unusable"))
    );
    site.cowhand(["plugin", "list"]).exits(0).says("gone  (plugins/gone.wasm; unusable)");
}

fn a_lock_file_of_a_later_version_is_refused() {
    let site = site("").has("cowhand.lock", "version = 2\n");
    site.cowhand(["plan", "--until", "merge"]).exits(10).says("version 2");
    let site = site.has("cowhand.lock", "version = 1\n[[plugin]]\n");
    site.cowhand(["plan", "--until", "merge"]).exits(10).says("cowhand.lock, line 2");
}

fn another_run_is_not_disturbed() {
    let site = site(GRANT);
    fs::create_dir_all(site.root().join(".git/cowhand")).unwrap();
    let lock = fs::File::create(site.root().join(".git/cowhand/lock")).unwrap();
    lock.lock().unwrap();
    site.cowhand(["plugin", "approve", "--yes"]).exits(30);
    site.cowhand(["plugin", "explain", "mine"]).exits(0);
}

fn places_that_are_never_granted() {
    let site = site("");
    std::os::unix::fs::symlink("../.git/hooks", site.root().join("data/harmless")).unwrap();
    std::os::unix::fs::symlink(site.root(), site.root().join("data/self")).unwrap();
    let (root, git) =
        (site.root().display().to_string(), site.root().join(".git/cowhand").display().to_string());
    let read = ["/", &root, &git, "data/self", ".git", "/run", "/var/run"]
        .map(|folder| ("read", folder.to_owned()));
    let install =
        ["data/harmless", ".Git", "data/.git", "MailCow.conf", "plugins", "data/self/data"];
    let install = install.map(|folder| ("install", folder.to_owned()));
    let mut site = site;
    for (key, folder) in read.into_iter().chain(install) {
        site = with(site, &format!("[plugin.grant]\n{key} = [{folder:?}]\n"));
        let before = site.state();
        site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(2).says("is not valid");
        site.cowhand(["plan", "--until", "merge"]).exits(2).says("is not valid");
        site.is_untouched_since(&before);
    }
}

fn an_approval_is_bound_to_the_folder_and_not_to_a_link() {
    let folders = tempfile::tempdir().unwrap();
    let (one, other, link) =
        (folders.path().join("one"), folders.path().join("other"), folders.path().join("link"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let site = site(&format!("[plugin.grant]\nread = [\"{}\"]\n", link.display()));
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    taken(&site);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    refused(&site, &["grants exceed its approval: read"]);
}

fn a_file_from_outside_the_site_must_be_approved() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("x.wasm");
    fs::copy(probe(), &outside).unwrap();
    let site = Site::without_engine().behind_one_release();
    fs::create_dir_all(site.root().join("plugins")).unwrap();
    std::os::unix::fs::symlink(&outside, site.root().join("plugins/link.wasm")).unwrap();
    let mut site = site;
    for source in [outside.to_str().unwrap(), "plugins/link.wasm"] {
        site = site
            .has("cowhand.toml", &format!("[[plugin]]\nname = \"mine\"\nsource = {source:?}\n"));
        refused(&site, &["it is not approved yet"]);
    }
}

fn what_must_be_approved_is_not_skipped() {
    let skip = "on-failure = \"skip\"\nmonitor = true\n";
    let site = site(skip);
    site.write("plugins/mine.wasm", "damaged").unwrap();
    taken(&site);
    let plan = ["plan", "--until", "merge"];
    let site = with(site, &format!("{skip}{GRANT}"));
    site.cowhand(plan).exits(10).says("not WebAssembly");
    let site = with(site, &format!("{skip}[plugin.grant]\nread = [\"/\"]\n"));
    fs::copy(probe(), site.root().join("plugins/mine.wasm")).unwrap();
    site.cowhand(plan).exits(2).says("is not valid");
    let site = with(site, skip);
    site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(0);
    site.write("plugins/mine.wasm", "damaged").unwrap();
    site.cowhand(plan).exits(10).says("not WebAssembly");
    let remote =
        format!("[[plugin]]\nname = \"mine\"\nsource = \"registry.example.org/acme/x:1\"\n{skip}");
    let site = site.has("cowhand.toml", &remote);
    site.cowhand(plan).exits(10).says("is not fetched yet").says("cowhand plugin approve mine");
}

fn several_are_approved_one_by_one() {
    let other = "[[plugin]]\nname = \"other\"\nsource = \"plugins/mine.wasm\"\n[plugin.grant]\nenv = [\"PROBE\"]\n";
    let gone = "[[plugin]]\nname = \"gone\"\nsource = \"plugins/gone.wasm\"\n";
    let stock = "[[plugin]]\nname = \"notify\"\nsource = \"stock:notify\"\n";
    let site = site(&format!("{GRANT}{other}{gone}{stock}"));
    let ran = site
        .prepared(["plugin", "approve", "notify", "mine", "other"])
        .input("y\nn\n")
        .run()
        .exits(11);
    ran.says("Approved: `mine`.").says("`other` was declined");
    site.cowhand(["plugin", "approve", "--yes"])
        .exits(10)
        .says("`gone` cannot be approved")
        .says("Approved: `other`.");
    site.cowhand(["plugin", "add", "plugins/mine.wasm", "--name", "../x", "--yes"])
        .exits(2)
        .says("is not a valid plugin name");
}
