//! Trust in grants, seen from outside: files that only root or the caller can change, or root
//! itself.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use cowhand::failpoint::VARIABLE;

use crate::support::probe::probe;
use crate::support::ran::{Ran, binary};
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: a_grant_in_another_user_s_file_is_refused,
    a_grant_in_a_file_that_others_may_write_is_refused,
    an_approval_in_another_user_s_file_is_none,
    memory_and_time_need_no_owner,
    root_approves_exactly_one_grant,
    a_mount_of_what_holds_the_site_is_not_granted,
    what_upstream_tracks_of_the_site_s_own_is_not_merged;
    Stack: the_ways_out_are_never_refused,
    an_update_brings_nothing_of_the_site_s_own;
}

/// Some user who is not root.
const JO: u32 = 4321;

fn plan(site: &Site) -> Ran {
    site.cowhand(["plan", "--until", "merge"])
}

fn give(site: &Site, path: &str, user: u32) {
    chown(site.root().join(path), Some(user), None).unwrap();
}

fn set_mode(site: &Site, path: &str, bits: u32) {
    fs::set_permissions(site.root().join(path), Permissions::from_mode(bits)).unwrap();
}

/// A plan is refused with this command, in which `SITE` stands for the site's directory.
fn refused(site: &Site, fix: &str) {
    plan(site)
        .exits(10)
        .says("needs an approval")
        .says(&fix.replace("SITE", &site.root().display().to_string()))
        .says("As root, `cowhand plugin approve mine`");
}

/// A site with a stock plugin that is granted something.
fn with_stock(site: Site) -> Site {
    site.has(
        "cowhand.toml",
        "[[plugin]]\nname = \"mine\"\nsource = \"stock:certificates\"\n\
         on-failure = \"skip\"\ngrant = { read = [\"/root\"] }\n",
    )
}

/// A site with the probe, which is granted this.
fn with_probe(grant: &str) -> Site {
    let site = Site::without_engine().behind_one_release();
    site.write("plugins/mine.wasm", fs::read(probe()).unwrap()).unwrap();
    granting(site, grant)
}

fn granting(site: Site, grant: &str) -> Site {
    site.has(
        "cowhand.toml",
        &format!(
            "[[plugin]]\nname = \"mine\"\nsource = \"plugins/mine.wasm\"\ngrant = {{ {grant} }}\n"
        ),
    )
}

fn a_grant_in_another_user_s_file_is_refused() {
    let site = with_stock(Site::without_engine().behind_one_release());
    plan(&site).exits(0);
    give(&site, "cowhand.toml", JO);
    refused(&site, "`chown root SITE/cowhand.toml`");
    site.cowhand(["plugin", "verify"]).exits(10).says("belongs to user 4321");
    for command in ["status", "history"] {
        site.cowhand([command]).exits(0);
    }
    give(&site, "cowhand.toml", 0);
    plan(&site).exits(0);
    give(&site, "", JO);
    refused(&site, "`chown root SITE`");
    give(&site, "", 0);
    plan(&site).exits(0);
}

fn a_grant_in_a_file_that_others_may_write_is_refused() {
    let site = with_stock(Site::without_engine().behind_one_release());
    set_mode(&site, "cowhand.toml", 0o646);
    refused(&site, "`chmod o-w SITE/cowhand.toml`");
    // No group of this number is listed, so that its members are unknown.
    chown(site.root().join("cowhand.toml"), None, Some(JO)).unwrap();
    set_mode(&site, "cowhand.toml", 0o664);
    refused(&site, "`chmod g-w SITE/cowhand.toml`");
    set_mode(&site, "cowhand.toml", 0o644);
    plan(&site).exits(0);
    set_mode(&site, "", 0o777);
    refused(&site, "`chmod o-w SITE`");
    // Directories above the site are not judged.
    set_mode(&site, "", 0o755);
    let above = site.root().parent().unwrap().to_owned();
    let before = above.metadata().unwrap().mode();
    fs::set_permissions(&above, Permissions::from_mode(0o777)).unwrap();
    plan(&site).exits(0);
    fs::set_permissions(&above, Permissions::from_mode(before)).unwrap();
}

fn an_approval_in_another_user_s_file_is_none() {
    let site = with_probe("env = [\"PROBE\"]");
    site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(0);
    plan(&site).exits(0);
    let state = tempfile::tempdir().unwrap();
    let elsewhere = |site: &Site| {
        // Root's approval is not known here.
        let plan = site.prepared(["plan", "--until", "merge"]);
        plan.env("COWHAND_STATE", state.path().join("none")).run()
    };
    elsewhere(&site).exits(0);
    give(&site, "cowhand.lock", JO);
    elsewhere(&site).exits(10).says("cowhand.lock belongs to user 4321");
    plan(&site).exits(0);
    fs::rename(site.root().join("cowhand.lock"), site.root().join("kept.lock")).unwrap();
    std::os::unix::fs::symlink("kept.lock", site.root().join("cowhand.lock")).unwrap();
    plan(&site).exits(10).says("cowhand.lock");
}

fn memory_and_time_need_no_owner() {
    let site = with_probe("memory = \"128MiB\", time = \"5s\"");
    give(&site, "cowhand.toml", JO);
    plan(&site).exits(0);
}

fn root_approves_exactly_one_grant() {
    let site = with_probe("env = [\"PROBE\"]");
    give(&site, "", JO);
    give(&site, "cowhand.toml", JO);
    refused(&site, "`chown root SITE/cowhand.toml`");
    site.cowhand(["plugin", "approve", "mine", "--yes"]).exits(0).says("may env: PROBE");
    plan(&site).exits(0);
    site.cowhand(["plugin", "approve"]).exits(0).says("Nothing to approve");
    // jo's changes to the site's own files have no effect.
    give(&site, "cowhand.lock", JO);
    plan(&site).exits(0);
    let site = granting(site, "env = [\"PROBE\"], http = [\"evil.example\"]");
    plan(&site).exits(10).says("grants exceed its approval: http `evil.example`");
    let site = granting(site, "http = [\"evil.example\"]");
    plan(&site).exits(10).says("grants are less than root's approval: env `PROBE`");
    let site = granting(site, "env = [\"PROBE\"]");
    plan(&site).exits(0);
    site.cowhand(["plugin", "remove", "mine"]).exits(0);
    let site = granting(site, "env = [\"PROBE\"]");
    plan(&site).exits(10);
    // A stock plugin is no exception.
    let site = with_stock(site);
    plan(&site).exits(10).says("has grants: read `/root`");
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    plan(&site).exits(0);
}

fn a_mount_of_what_holds_the_site_is_not_granted() {
    let mut site = with_probe("");
    let mount = tempfile::tempdir().unwrap();
    let root = site.root().canonicalize().unwrap();
    let [_, above, further, ..] = root.ancestors().collect::<Vec<_>>()[..] else { panic!() };
    // The site's directory, its parent, and its content.
    for (mounted, granted) in
        [(above, ""), (further, ""), (above, "site"), (&*root.join(".git"), "hooks")]
    {
        let folder = mount.path().join(granted);
        site = granting(site, &format!("read = [\"{}\"]", folder.display()));
        let script = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";
        let binary = binary();
        let [from, to, binary] =
            [mounted, mount.path(), &binary].map(|path| path.to_str().unwrap());
        let mounts = ["-m", "sh", "-c", script, "sh", from, to, binary];
        let plan = [&mounts[..], &["plan", "--until", "merge"]].concat();
        site.by("unshare", &plan).run().exits(2).says("would expose");
    }
}

/// Upstream publishes files at the names that are the site's alone.
fn behind_such_a_release(site: Site) -> Site {
    let release = site.upstream.release("2026-03");
    let release = release.replace(
        "data/web/inc/functions.inc.php",
        "htmlspecialchars($title)",
        "htmlspecialchars($title, ENT_QUOTES)",
    );
    let config = "[[plugin]]\nname = \"evil\"\nsource = \"plugins/evil.wasm\"\n";
    let release = release.write("cowhand.toml", config).write("cowhand.lock", "version = 1\n");
    release.write("plugins/evil.wasm", fs::read(probe()).unwrap()).publish().unwrap();
    site
}

const NOTE: &str = "Upstream tracks cowhand.lock, cowhand.toml, plugins: not merged.";

fn what_upstream_tracks_of_the_site_s_own_is_not_merged() {
    let site = behind_such_a_release(Site::without_engine());
    plan(&site).exits(0).says(NOTE);
    site.cowhand(["check"]).exits(0).says(NOTE);
    let site = behind_such_a_release(Site::without_engine().has("cowhand.toml", "# ours\n"));
    plan(&site).exits(0).says(NOTE);
    assert_eq!(site.file("cowhand.toml"), "# ours\n");
}

fn an_update_brings_nothing_of_the_site_s_own() {
    let site = behind_such_a_release(Site::customised().running());
    site.cowhand(["update", "--yes"]).exits(0).says(NOTE);
    for name in ["cowhand.toml", "cowhand.lock", "plugins"] {
        assert!(!site.has_path(name), "{name}");
        assert_eq!(site.git(["ls-tree", "HEAD", name]), "");
    }
    assert!(site.file("data/web/inc/functions.inc.php").contains("ENT_QUOTES"));
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(!site.has_path("cowhand.toml"));
}

fn the_ways_out_are_never_refused() {
    let site = with_stock(Site::customised().behind_one_release()).running();
    site.prepared(["update", "--yes"]).env(VARIABLE, "switch:acted:kill").run().was_killed();
    give(&site, "cowhand.toml", JO);
    plan(&site).exits(23);
    for command in ["status", "history"] {
        site.cowhand([command]).exits(0);
    }
    site.cowhand(["resume", "--yes"]).exits(0);
    let run = site.cowhand(["status", "--json"]).event("report")["data"]["run"].clone();
    site.cowhand(["show", run.as_str().unwrap()]).exits(0);
    site.cowhand(["rollback", "--yes"]).exits(0);
    plan(&site).exits(10);
}
