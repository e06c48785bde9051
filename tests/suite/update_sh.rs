//! Started as `update.sh`: upstream's flags, its exit codes, the lines that others search for, and
//! its branches.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::support::ran::{Cowhand, binary};
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: checks_end_and_speak_as_the_script_does,
    the_site_is_the_current_folder_or_the_link_s,
    what_the_script_would_ignore_is_refused,
    a_failure_ends_with_1,
    a_plan_of_a_switch_shows_what_the_site_itself_changed;
    Stack: the_official_playbook_s_calls_work,
    no_at_the_question_ends_with_0_and_force_asks_nothing,
    a_switch_of_branches_carries_the_site_s_own_changes_and_can_be_taken_back,
}

/// A link to the binary, somewhere on the machine, under the script's name.
struct Link(TempDir);

impl Link {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(binary(), folder.path().join("update.sh")).unwrap();
        Self(folder)
    }

    /// The link, called in the site's folder with these flags.
    fn called<const N: usize>(&self, site: &Site, flags: [&str; N]) -> Cowhand {
        let command = Cowhand::of(self.0.path().join("update.sh"), flags).folder(site.root());
        match site.engine().host() {
            Some(host) => command.env("DOCKER_HOST", host),
            None => command,
        }
    }
}

fn checks_end_and_speak_as_the_script_does() {
    let (site, link) = (Site::without_engine(), Link::new());
    for flags in [["--check"], ["-c"], ["--check-tags"]] {
        link.called(&site, flags).run().exits(3).stdout_has("\nNo updates available.\n");
    }
    let site = site.behind_one_release();
    let before = site.state();
    for flags in [["--check", "--force"], ["--dev", "-c"], ["-c", "--skip-ping-check"]] {
        let ran = link.called(&site, flags).run().exits(0);
        ran.stdout_has("\nUpdated code is available.\n")
            .stdout_has("2026-01-02 - Release 2026-03\n");
    }
    link.called(&site, ["--check-tags"]).run().exits(0).stdout_has("\nNew tag is available.\n");
    site.is_untouched_since(&before);
    std::fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    for flags in [["--check"], ["--check-tags"]] {
        link.called(&site, flags).run().exits(99);
    }
}

fn the_site_is_the_current_folder_or_the_link_s() {
    let (site, link) = (Site::without_engine(), Link::new());
    let script = link.0.path().join("update.sh");
    Cowhand::of(&script, ["--check"]).run().exits(1).says("mailcow.conf");
    Cowhand::of(&script, ["--help"]).run().exits(0).stdout_has("--skip-ping-check");
    let own = site.root().join("data/update.sh");
    symlink(binary(), &own).unwrap();
    Cowhand::of(&own, ["--check"]).folder(site.root()).run().exits(3);
    symlink("../mailcow.conf", site.root().join("data/mailcow.conf")).unwrap();
    // The folder of the link has a mailcow.conf, but is no site.
    Cowhand::of(&own, ["--prefetch"]).folder("/").run().exits(1).says("docker-compose.yml");
}

fn what_the_script_would_ignore_is_refused() {
    let (site, link) = (Site::without_engine().behind_one_release(), Link::new());
    let before = site.state();
    let pairs = [
        ["--check", "--prefetch"],
        ["--gc", "--ours"],
        ["--nightly", "--force"],
        ["-c", "--nightly"],
    ];
    for flags in pairs {
        link.called(&site, flags).run().exits(1);
    }
    link.called(&site, ["--dry-run"]).run().exits(1).says("--dry-run");
    link.called(&site, ["--dev"]).run().exits(1).says("docker compose");
    site.cowhand(["update", "--nightly", "--yes"]).exits(2).says("--yes");
    site.is_untouched_since(&before);
}

fn a_failure_ends_with_1() {
    let (site, link) = (Site::without_engine().behind_one_release(), Link::new());
    let before = site.state();
    link.called(&site, ["--force"]).run().exits(1).says("engine");
    link.called(&site, ["--prefetch"]).run().exits(1).says("engine");
    link.called(&site, ["--gc"]).run().exits(1);
    site.is_untouched_since(&before);
}

/// Upstream has a branch nightly that changed what master did not.
fn with_nightly(site: Site) -> Site {
    let master = site.upstream.tip().unwrap();
    site.upstream
        .commit("Only for testing")
        .replace("data/conf/unbound/unbound.conf", "server:", "server:\n  verbosity: 1")
        .write("data/conf/nightly.conf", "new in nightly\n")
        .publish()
        .unwrap();
    let repository = site.upstream.repository();
    repository.reference("refs/heads/nightly", site.upstream.tip().unwrap(), true, "").unwrap();
    repository.reference("refs/heads/master", master, true, "").unwrap();
    site
}

fn a_plan_of_a_switch_shows_what_the_site_itself_changed() {
    let site = with_nightly(Site::without_engine());
    let before = site.state();
    let plan =
        site.cowhand(["plan", "--nightly", "--until", "merge", "--json"]).exits(0).event("plan");
    assert_eq!(
        (&plan["branch"]["from"], &plan["branch"]["to"]),
        (&"master".into(), &"nightly".into())
    );
    let tree = plan["merge"]["tree"].as_str().unwrap().to_owned();
    let own = site.git(["diff", "--name-only", "HEAD"]);
    assert_eq!(
        site.git(["diff", "--name-only", "origin/nightly", &tree]),
        own,
        "what the site changed, and nothing else"
    );
    site.cowhand(["plan", "--legacy", "--until", "merge"]).exits(13).says("legacy");
    site.cowhand(["plan", "--stable", "--until", "merge"]).exits(0).says("Nothing new");
    site.is_untouched_since(&before);
}

fn the_official_playbook_s_calls_work() {
    let (site, link) = (Site::customised().behind_one_release().running(), Link::new());
    link.called(&site, ["-c"]).run().exits(0).stdout_has("Updated code is available");
    link.called(&site, []).input("y\ny\n").run().exits(0);
    assert_eq!(site.git(["rev-parse", "HEAD^2"]), site.upstream.tip().unwrap().to_string());
    link.called(&site, ["--gc"]).input("y\n").run().exits(0);
    link.called(&site, ["-c"]).run().exits(3).stdout_has("No updates available.");
    assert_eq!(site.containers().unwrap().len(), 7);
}

fn no_at_the_question_ends_with_0_and_force_asks_nothing() {
    let (site, link) = (Site::customised().behind_one_release().running(), Link::new());
    // A release whose notes are to be read: the script asks once more.
    let script = "#!/bin/bash\n    MAJOR_VERSIONS=(\n      \"2026-02\"\n      \"2025-09\"\n    )\n";
    site.upstream.commit("A list of releases").write("update.sh", script).publish().unwrap();
    let before = site.state();
    link.called(&site, []).input("n\n").run().exits(0).says("2026-02").keeps_quiet_about("2025-09");
    link.called(&site, []).input("y\nn\n").run().exits(1);
    site.is_untouched_since(&before);
    let ran = link
        .called(&site, ["--force", "--ours", "--skip-start", "--skip-ping-check"])
        .run()
        .exits(0);
    ran.says("releases/tag/2026-02").says("without confirmation");
    assert_eq!(site.git(["rev-parse", "HEAD^2"]), site.upstream.tip().unwrap().to_string());
}

fn a_switch_of_branches_carries_the_site_s_own_changes_and_can_be_taken_back() {
    let site = with_nightly(Site::customised())
        .has("cowhand.toml", "[verify]\nsettle = \"1s\"\n")
        .running();
    // From now on git's status leaves Cowhand's own files out.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    let link = Link::new();
    let (before, old_tip) = (site.whole(), site.git(["rev-parse", "master"]));
    let cf = "data/conf/postfix/main.cf";
    let edited = site.file(cf);
    link.called(&site, ["--nightly"]).run().exits(0);
    site.is_wholly(&before);
    link.called(&site, ["--nightly"]).input("y\ny\n").run().exits(0).says("nightly");
    assert_eq!(site.git(["symbolic-ref", "HEAD"]), "refs/heads/nightly");
    assert_eq!(site.git(["rev-parse", "--abbrev-ref", "@{upstream}"]), "origin/nightly");
    assert_eq!(site.git(["rev-parse", "HEAD^"]), site.git(["rev-parse", "origin/nightly"]));
    assert_eq!(
        (site.git(["status", "--porcelain"]), site.git(["rev-parse", "master"])),
        (String::new(), old_tip.clone())
    );
    assert_eq!(
        (site.file(cf), site.file("data/conf/nightly.conf")),
        (edited.clone(), "new in nightly\n".to_owned())
    );
    assert!(site.file("data/web/inc/app_info.inc.php").contains("$MAILCOW_BRANCH=\"nightly\""));
    let diffs = std::fs::read_dir(site.root().join("update_diffs")).unwrap().flatten();
    let names: Vec<String> = diffs.map(|diff| diff.file_name().into_string().unwrap()).collect();
    assert!(
        names.len() == 1 && names[0].starts_with("diff_before_upgrade_to_nightly_"),
        "{names:?}"
    );

    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&before);
    assert!(site.git(["branch", "--list", "nightly"]).is_empty());
    assert!(
        !site.file(".git/config").contains("refs/heads/nightly"),
        "nothing follows it any more"
    );

    // Killed on the way: back, or on.
    let killed = |point: &str| {
        link.called(&site, ["--nightly"])
            .env(cowhand::failpoint::VARIABLE, format!("switch:{point}:kill"))
            .input("y\ny\n")
            .run()
            .was_killed()
    };
    killed("acted");
    site.cowhand(["rollback", "--yes"]).exits(0);
    site.is_wholly(&before);
    // A branch that somebody made meanwhile is theirs.
    killed("begun");
    site.git(["branch", "nightly", "master"]);
    site.cowhand(["resume", "--yes"])
        .exits(20)
        .says("somebody moved the branch nightly")
        .says("rolled back");
    assert_eq!(site.git(["rev-parse", "nightly"]), old_tip);
    site.git(["branch", "--delete", "nightly"]);
    site.is_wholly(&before);
    killed("acted");
    site.cowhand(["resume", "--yes"]).exits(0);
    assert_eq!(site.git(["symbolic-ref", "HEAD"]), "refs/heads/nightly");

    // There and back again: of nightly nothing stays.
    site.prepared(["update", "--stable"]).input("y\ny\n").run().exits(0);
    assert_eq!(site.git(["symbolic-ref", "HEAD"]), "refs/heads/master");
    assert!(!site.has_path("data/conf/nightly.conf"));
    assert_eq!(site.file(cf), edited);
    let (ours, theirs) = (site.git(["rev-parse", "HEAD^1"]), site.git(["rev-parse", "HEAD^2"]));
    assert_eq!((ours, theirs), (old_tip, site.git(["rev-parse", "origin/master"])));
    site.upstream.commit("News on master").append("README.md", "news\n").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    assert!(site.file("README.md").ends_with("news\n"));
}
