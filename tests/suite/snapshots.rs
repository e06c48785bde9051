//! Everything that users read, kept as snapshots: no wording changes without a reviewed diff.
//!
//! `INSTA_UPDATE=always` rewrites them. They show the words; whether those are right, the other
//! tests and the reviewer say.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use clap::CommandFactory;
use cowhand::cli::Arguments;
use cowhand::demo::images::Image;
use cowhand::demo::site::{ALL_SERVICES, image_of};
use cowhand::failpoint::VARIABLE;

use crate::support::ran::{Cowhand, binary};
use crate::support::site::Site;
use crate::support::snapshots::Snapshots;
use crate::support::stack::{FEW, small};
use crate::support::tests;

tests! {
    Nothing: every_help_text,
    the_manual_page,
    usage_errors,
    a_site_without_a_run,
    checks,
    plans_up_to_the_merge,
    refused_updates,
    the_commands_under_the_script_s_name,
    plugins_of_a_site,
    a_new_plugin_and_its_cases;
    Stack: the_life_of_a_site;
}

fn every_help_text() {
    let mut names = BTreeSet::new();
    help_below(&Arguments::command(), &[], &mut |path| {
        let name = if path.is_empty() { "cowhand".to_owned() } else { path.join("-") };
        let ran = Cowhand::new(path.iter().copied().chain(["--help"])).run().exits(0);
        Snapshots::default().show(&format!("help/{name}"), &ran);
        names.insert(format!("{name}.snap"));
    });
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/snapshots/help");
    let kept: BTreeSet<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(kept, names, "a snapshot without a command");
}

/// Calls `each` with the words of every command that is not hidden, parents first.
fn help_below<'c>(command: &'c clap::Command, path: &[&'c str], each: &mut impl FnMut(&[&str])) {
    each(path);
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        help_below(below, &[path, &[below.get_name()]].concat(), each);
    }
}

fn the_manual_page() {
    Snapshots::default().show("man", &Cowhand::new(["man"]).run().exits(0));
}

fn usage_errors() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().display().to_string();
    let snapshots = Snapshots::default().replacing(&path, "[DIRECTORY]");
    let show = |name: &str, line: &[&str]| {
        snapshots.show(name, &Cowhand::new(line.iter().copied()).folder(empty.path()).run());
    };
    show("usage/no-command", &[]);
    show("usage/unknown-command", &["upgrade"]);
    show("usage/unknown-option", &["update", "--nonsense"]);
    show("usage/unknown-stage", &["plan", "--until", "merg"]);
    show("usage/missing-argument", &["show"]);
    show("usage/options-that-exclude-each-other", &["update", "--ours", "--theirs"]);
    show("usage/no-site", &["status"]);
    let site = Site::without_engine();
    let show = |name: &str, site: &Site, line: &[&str]| {
        Snapshots::about(site).show(name, &site.runs(line));
    };
    show("usage/no-object-id", &site, &["update", "--yes", "--expect-tree", "some"]);
    show("usage/switch-without-a-question", &site, &["update", "--nightly", "--yes"]);
    let site = site.has("cowhand.toml", "[verfy]\nsettle = \"1s\"\n");
    show("usage/unknown-setting", &site, &["plan"]);
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"soon\"\n");
    show("usage/wrong-setting", &site, &["plan"]);
}

fn a_site_without_a_run() {
    let site = Site::without_engine();
    let show = |name: &str, line: &[&str]| Snapshots::about(&site).show(name, &site.runs(line));
    show("status/no-run", &["status"]);
    show("history/no-run", &["history"]);
    show("show/no-run", &["show", "2"]);
    show("resume/no-run", &["resume"]);
    show("rollback/no-run", &["rollback", "--yes"]);
}

fn checks() {
    let site = Site::without_engine();
    let show = |name: &str, site: &Site, line: &[&str]| {
        Snapshots::about(site).show(name, &site.runs(line));
    };
    show("check/nothing-new", &site, &["check"]);
    show("check/no-newer-release", &site, &["check", "--tags"]);
    let site = site.behind_one_release();
    show("check/something-new", &site, &["check"]);
    show("check/a-newer-release", &site, &["check", "--tags"]);
    fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    show("check/no-answer", &site, &["check"]);
}

/// A site and an upstream that changed the same line, and a file that upstream deleted.
fn in_conflict() -> Site {
    let site = Site::without_engine();
    let site = site.edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4");
    let site = site.edited("data/conf/nginx/site.conf", "TLSv1.2 TLSv1.3", "TLSv1.3");
    let release = site.upstream.release("2026-03").remove("data/conf/nginx/site.conf");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    site
}

fn plans_up_to_the_merge() {
    let show = |name: &str, site: &Site, line: &[&str]| {
        Snapshots::about(site).show(name, &site.runs(line));
    };
    let until_merge = ["plan", "--until", "merge"];
    let site = in_conflict();
    show("plan/until-merge", &site, &until_merge);
    show("plan/until-merge-ours", &site, &[&until_merge[..], &["--ours"]].concat());
    show("update/until-merge", &site, &["update", "--until", "merge"]);

    let site = Site::without_engine();
    show("plan/nothing-new", &site, &until_merge);
    let master = site.upstream.tip().unwrap();
    let nightly = site.upstream.commit("Only for testing");
    let tip = nightly.append("README.md", "For testing.\n").publish().unwrap();
    let repository = site.upstream.repository();
    repository.reference("refs/heads/nightly", tip, true, "").unwrap();
    repository.reference("refs/heads/master", master, true, "").unwrap();
    show("plan/switch-of-branches", &site, &[&until_merge[..], &["--nightly"]].concat());

    let shop = "fastcgi_pass phpfpm:9000;\n";
    let site = Site::without_engine_and(ALL_SERVICES).has("data/conf/nginx/shop.conf", shop);
    let site = site.edited("mailcow.conf", "TZ=", "SKIP_SOLR=n\nTZ=");
    let release = site.upstream.release("2026-03").image("mariadb", "11.4");
    let release = release.without_service("solr-mailcow").write("_modules/scripts/core.sh", MAJORS);
    release
        .append("data/conf/phpfpm/php-fpm.d/pools.conf", "listen = [::]:9001\n")
        .publish()
        .unwrap();
    show("plan/by-hand", &site, &until_merge);
}

/// A list of releases whose notes an operator has to read, as upstream keeps it.
const MAJORS: &str = "MAJOR_VERSIONS=(\n  \"2026-02\"\n  \"2026-05\"\n)\n";

fn refused_updates() {
    let show = |name: &str, site: &Site, line: &[&str]| {
        Snapshots::about(site).show(name, &site.runs(line));
    };
    let update = ["update", "--yes"];
    let site = in_conflict();
    show("update/refused-no-engine", &site, &update);
    let mut runs = fs::read_dir(site.root().join(".git/cowhand/runs")).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    for name in ["journal.json", "journal.previous.json"] {
        fs::write(run.join(name), "{").unwrap();
    }
    show("status/damaged-journal", &site, &["status"]);
    fs::remove_dir_all(run).unwrap();

    let until_merge = ["update", "--yes", "--until", "merge"];
    let tree = "0".repeat(40);
    let other_tree = [&until_merge[..], &["--expect-tree", &tree]].concat();
    show("update/refused-other-tree", &site, &other_tree);
    let gate = "[[plugin]]\nname = \"gate\"\nsource = \"stock:release-gate\"\n[plugin.config]\n";
    let site = site.has("cowhand.toml", &format!("{gate}hold-at = \"2026-01\"\n"));
    show("update/refused-not-now", &site, &until_merge);
    show("plan/not-now", &site, &["plan", "--until", "merge"]);
    let site = site.has("cowhand.toml", &format!("{gate}min-aeg = \"3d\"\n"));
    show("update/refused-plugin-failed", &site, &until_merge);
    let unknown = "[[plugin]]\nname = \"gate\"\nsource = \"stock:release-gat\"\n";
    let site = site.has("cowhand.toml", unknown);
    show("update/refused-no-plugin", &site, &until_merge);
    fs::remove_file(site.root().join("cowhand.toml")).unwrap();
    site.git(["checkout", "--quiet", "--detach"]);
    show("update/refused-no-branch", &site, &update);
}

fn the_commands_under_the_script_s_name() {
    let site = Site::without_engine();
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("update.sh");
    symlink(binary(), &script).unwrap();
    let show = |name: &str, site: &Site, flags: &[&str]| {
        let ran = Cowhand::of(&script, flags.iter().copied()).folder(site.root()).run();
        Snapshots::about(site).show(name, &ran);
    };
    show("update.sh/help", &site, &["--help"]);
    show("update.sh/nothing-new", &site, &["--check"]);
    show("update.sh/flags-that-exclude-each-other", &site, &["--check", "--prefetch"]);
    show("update.sh/without-a-merge", &site, &["--dev"]);
    show("update.sh/failed", &site, &["--force"]);
    let site = site.behind_one_release();
    show("update.sh/something-new", &site, &["--check"]);
    show("update.sh/a-newer-release", &site, &["--check-tags"]);
    let nowhere = Cowhand::of(&script, ["--check"]).folder(directory.path()).run();
    Snapshots::default().show("update.sh/no-site", &nowhere);
}

fn plugins_of_a_site() {
    let site = Site::without_engine().behind_one_release();
    let directory = tempfile::tempdir().unwrap();
    // A stock plugin's component under another name stands for one that somebody else wrote.
    let (bytes, _) = cowhand::plugin::read_source("stock:notify").unwrap();
    let component = directory.path().join("webhook.wasm");
    fs::write(&component, &bytes).unwrap();
    let source = component.to_str().unwrap();
    let path = directory.path().display().to_string();
    let snapshots = Snapshots::about(&site).replacing(&path, "[DIRECTORY]");
    let show = |name: &str, line: &[&str]| {
        snapshots.show(&format!("plugin/{name}"), &site.runs(line));
    };

    show("list-stock", &["plugin", "list"]);
    show("inspect", &["plugin", "inspect", source]);
    show("inspect-no-plugin", &["plugin", "inspect", "/dev/null"]);
    let grant = ["--grant", "http=hooks.example.org"];
    show("add-declined", &[&["plugin", "add", source][..], &grant].concat());
    show("add", &[&["plugin", "add", source, "--yes"][..], &grant].concat());
    show("list", &["plugin", "list"]);
    show("explain", &["plugin", "explain", "webhook"]);
    show("explain-stock", &["plugin", "explain", "certificates"]);
    show("explain-unknown", &["plugin", "explain", "webhok"]);
    show("verify", &["plugin", "verify"]);
    show("approve-nothing", &["plugin", "approve"]);

    site.edit("cowhand.toml", |text| text + "env = [\"WEBHOOK_TOKEN\"]\n").unwrap();
    show("list-unapproved", &["plugin", "list"]);
    show("explain-unapproved", &["plugin", "explain", "webhook"]);
    show("verify-unapproved", &["plugin", "verify"]);
    show("plan-unapproved", &["plan", "--until", "merge"]);
    show("approve-declined", &["plugin", "approve"]);
    show("approve", &["plugin", "approve", "--yes"]);

    // A custom section of two bytes: its name is empty, and its content is a space.
    let copy = site.root().join("plugins/webhook.wasm");
    fs::write(&copy, [&bytes[..], b"\0\x02\0 "].concat()).unwrap();
    show("verify-changed", &["plugin", "verify"]);
    show("approve-changed", &["plugin", "approve", "webhook", "--yes"]);
    fs::write(&copy, "damaged").unwrap();
    show("list-damaged", &["plugin", "list"]);
    show("verify-damaged", &["plugin", "verify"]);
    show("approve-damaged", &["plugin", "approve", "--yes"]);
    show("remove", &["plugin", "remove", "webhook"]);
    show("remove-unknown", &["plugin", "remove", "webhook"]);
}

fn a_new_plugin_and_its_cases() {
    let directory = tempfile::tempdir().unwrap();
    let show = |name: &str, line: &[&str]| {
        let ran = Cowhand::new(line.iter().copied()).folder(directory.path()).run();
        Snapshots::default().show(&format!("plugin/{name}"), &ran);
    };
    for language in ["rust", "python", "javascript"] {
        let line = ["plugin", "new", language, "--lang", language, "--hook", "pre-merge"];
        show(&format!("new-{language}"), &line);
        let readme = directory.path().join(language).join("README.md");
        let readme = fs::read_to_string(readme).unwrap();
        Snapshots::default().hold(&format!("plugin/new-{language}-readme"), &readme);
    }
    show("new-again", &["plugin", "new", "rust", "--lang", "rust", "--hook", "observer"]);
    show("test-without-component", &["plugin", "test"]);
    show("test-without-directory", &["plugin", "test", "stock:stock-conflicts"]);
    fs::create_dir(directory.path().join("cases")).unwrap();
    show("test-without-cases", &["plugin", "test", "stock:stock-conflicts"]);
    for (case, answer) in [("held", "theirs"), ("broken", "ours")] {
        let text = format!(
            "[conflict-resolver]\npath = \"a\"\nkind = \"binary\"\n[conflict-resolver.ours]\n\
             [conflict-resolver.theirs]\n[expect]\nanswer = \"{answer}\"\n"
        );
        let case = directory.path().join("cases").join(case);
        fs::create_dir_all(&case).unwrap();
        fs::write(case.join("case.toml"), text).unwrap();
    }
    show("test-failed", &["plugin", "test", "stock:stock-conflicts"]);
    let held = ["plugin", "test", "stock:stock-conflicts", "--cases", "cases/held"];
    show("test-passed", &held);
}

/// One site walks through every state that a site can be in.
fn the_life_of_a_site() {
    let site = small(FEW)
        .edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4")
        .has("cowhand.toml", CONFIG)
        .running();
    let life = Life { snapshots: Snapshots::about(&site), site };
    life.show("prune/nothing", &["prune", "--dry-run"]);
    life.is_rolled_back();
    life.is_interrupted();
    life.is_new();
    life.is_not_healthy();
    life.show("history/many-runs", &["history"]);
}

/// Short timeouts, so that nothing waits for a service that will never be healthy.
const CONFIG: &str = "[verify]\nsettle = \"300ms\"\nports = \"2s\"\n";

/// The site and its snapshots.
struct Life {
    site: Site,
    snapshots: Snapshots,
}

impl Life {
    fn show(&self, name: &str, line: &[&str]) {
        self.snapshots.show(name, &self.site.runs(line));
    }

    /// Shows a command at whose failpoint something happens.
    fn show_with(&self, failpoint: &str, name: &str, line: &[&str]) {
        self.snapshots.show(name, &self.site.prepare(line).env(VARIABLE, failpoint).run());
    }

    /// Pulls the image of a tag, as an operator does by hand.
    fn pull(&self, name: &str, tag: &str) -> String {
        let reference = self.site.images.reference(name, tag);
        self.site.engine().lines(&["pull", "--quiet", &reference]).unwrap();
        reference
    }

    fn is_rolled_back(&self) {
        let Self { site, .. } = self;
        site.upstream
            .release("2026-03")
            .image("postfix", "1.81")
            .write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n")
            .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
            .publish()
            .unwrap();
        self.show("update/failed", &["update", "--yes"]);
        site.images.push("postfix", "1.81", &mute()).unwrap();
        self.show("plan/whole", &["plan"]);
        site.write("cowhand.toml", format!("{CONFIG}[merge]\non-loss = \"stop\"\n")).unwrap();
        self.show("update/refused-loss", &["update", "--yes"]);
        site.write("cowhand.toml", CONFIG).unwrap();
        self.show("update/declined", &["update"]);
        self.show("update/rolled-back", &["update", "--yes"]);
        self.show("status/rolled-back", &["status"]);

        // Under another name the mute image stays: a prune of what has no name takes seconds.
        let reference = self.pull("postfix", "1.81");
        let kept = site.images.reference("mute", "1");
        site.engine().lines(&["tag", &reference, &kept]).unwrap();
        site.images.push("postfix", "1.81", &mute().label("edition", "second")).unwrap();
        self.pull("postfix", "1.81");
        self.show("prune/dry-run", &["prune", "--dry-run"]);
        self.show("prune/declined", &["prune"]);
        self.show("prune/done", &["prune", "--yes"]);
    }

    fn is_interrupted(&self) {
        self.site.pushes("postfix", "1.81");
        self.show("prefetch/done", &["prefetch"]);
        self.show_with("switch:acted:term", "update/interrupted", &["update", "--yes"]);
        self.show("status/between", &["status"]);
        self.show("plan/over-an-unfinished-run", &["plan"]);
        self.show("update/over-an-unfinished-run", &["update"]);
        self.show("resume/done", &["resume"]);
        self.show("status/new", &["status"]);
        self.show("rollback/declined", &["rollback"]);
        self.show_with("switch:undone:error", "rollback/failed", &["rollback", "--yes"]);
        self.show("status/rollback-unfinished", &["status"]);
        self.show("rollback/done", &["rollback", "--yes"]);
    }

    fn is_new(&self) {
        let update = self.site.prepared(["update", "--yes"]).env(VARIABLE, "start:begun:stop");
        let update = update.start();
        update.stops();
        self.show("status/running", &["status"]);
        self.show("update/locked", &["update", "--yes"]);
        update.goes_on();
        self.snapshots.show("update/done", &update.ends());
        self.show("update/nothing-new", &["update", "--yes"]);
        let status = self.site.cowhand(["status", "--json"]).exits(0).event("report");
        self.show("show/done", &["show", status["data"]["run"].as_str().unwrap()]);
    }

    fn is_not_healthy(&self) {
        let Self { site, snapshots } = self;
        let network = |text: String| {
            text.replace("    driver: bridge\n", "    driver: bridge\n    labels: {edition: new}\n")
        };
        let compose = site.upstream.read("docker-compose.yml").unwrap();
        let release = site.upstream.release("2026-04").edit("docker-compose.yml", network);
        release.publish().unwrap();
        self.show("plan/changed-network", &["plan"]);

        site.write("cowhand.toml", format!("{CONFIG}[backup]\ndatabase = true\n")).unwrap();
        let database = image_of("mariadb").label("edition", "second");
        site.images.push("mariadb", "11.4", &database).unwrap();
        // Of two pulls, either may end first.
        self.pull("mariadb", "11.4");
        site.images.push("postfix", "1.82", &mute()).unwrap();
        let release = site.upstream.release("2026-05").write("docker-compose.yml", compose);
        let release = release.image("mariadb", "11.4").image("postfix", "1.82");
        release
            .write("_modules/scripts/core.sh", MAJORS)
            .write("_modules/scripts/new_options.sh", NEW_OPTIONS)
            .write("_modules/scripts/migrate_options.sh", OBSOLETE_OPTIONS)
            .publish()
            .unwrap();
        let declined = site.prepared(["update"]).input("y\nn\n").run();
        snapshots.show("update/notes-not-read", &declined);
        self.show("update/not-healthy", &["update", "--yes"]);
        self.show("status/not-healthy", &["status"]);

        site.upstream.commit("More").append("README.md", "More.\n").publish().unwrap();
        self.show("update/not-started", &["update", "--yes", "--skip-start"]);
    }
}

/// A postfix that listens and does not greet.
fn mute() -> Image {
    Image::new().listens(25, "hello").listens(587, "hello")
}

/// A release's functions: they add an option and a secret one, and remove an obsolete one.
const NEW_OPTIONS: &str = "adapt_new_options() {\n\
    echo 'SKIP_OLEFY=n' >> mailcow.conf\n\
    echo 'SOGO_URL_ENCRYPTION_KEY=secret' >> mailcow.conf\n}\n";
const OBSOLETE_OPTIONS: &str =
    "migrate_config_options() {\n  sed -i '/^SOLR_PORT=/d' mailcow.conf\n}\n";
