//! The same site updated by Cowhand under the script's name and by a small update.sh of our own:
//! the same exit codes, lines and effects.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::support::ran::{Cowhand, Ran, binary};
use crate::support::site::Site;
use crate::support::tests;
use crate::support::whole::{Whole, files_of};

tests! {
    Nothing: checks_and_refusals_end_alike,
    a_blocked_network_is_told_only_where_the_site_asks_for_it,
    tools_that_upstream_s_functions_need_are_missed_at_once;
    Stack: answers_and_effects_are_alike,
    what_the_script_does_to_the_machine_is_told_and_not_done,
}

/// Links to the script of our own and to Cowhand, both called `update.sh`.
struct Both(TempDir);

/// The flags that only ask, and what the script says when it has found something.
const CHECKS: [&str; 3] = ["--check", "-c", "--check-tags"];

/// A release's own functions: an option that is new, one with a secret, one that is obsolete; and a
/// list of releases to read of.
const NEW_OPTIONS: &str = "adapt_new_options() {\n  sed -i --follow-symlinks '$a\\' mailcow.conf\n  \
    if ! grep -q '^SKIP_OLEFY=' mailcow.conf; then\n    echo '# Whether to look into office documents - y/n' >> mailcow.conf\n    \
    echo 'SKIP_OLEFY=n' >> mailcow.conf\n  fi\n  \
    grep -q '^SOGO_URL_ENCRYPTION_KEY=' mailcow.conf || echo \"SOGO_URL_ENCRYPTION_KEY=$RANDOM$RANDOM\" >> mailcow.conf\n}\n";
const OBSOLETE_OPTIONS: &str =
    "migrate_config_options() {\n  sed -i '/^SOLR_PORT=/d' mailcow.conf\n}\n";
const MAJORS: &str = "majors() {\n    MAJOR_VERSIONS=(\n      \"2026-02\"\n    )\n  echo \"${MAJOR_VERSIONS[@]}\"\n}\n";

impl Both {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["script", "cowhand"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/peer/update.sh");
        symlink(script, folder.path().join("script/update.sh")).unwrap();
        symlink(binary(), folder.path().join("cowhand/update.sh")).unwrap();
        Self(folder)
    }

    fn called(&self, which: &str, site: &Site, flags: &[&str], input: &'static str) -> Ran {
        let program = self.0.path().join(which).join("update.sh");
        let command = Cowhand::of(program, flags.iter().copied()).folder(site.root()).input(input);
        match site.engine().host() {
            Some(host) => command.env("DOCKER_HOST", host).run(),
            None => command.run(),
        }
    }

    /// Calls both and demands the same exit code; gives what each said.
    fn end_alike(&self, site: &Site, flags: &[&str], input: &'static str) -> [Ran; 2] {
        let script = self.called("script", site, flags, input);
        let cowhand = self.called("cowhand", site, flags, input);
        assert_eq!(cowhand.code(), script.code(), "{flags:?} with {input:?}: {cowhand}\n{script}");
        [script, cowhand]
    }
}

fn checks_and_refusals_end_alike() {
    let (site, both) = (Site::without_engine(), Both::new());
    let found_alike = |site: &Site| {
        for flag in CHECKS {
            let [script, cowhand] = both.end_alike(site, &[flag], "");
            let line = script.stdout.lines().last().unwrap_or_default();
            assert!(
                line.ends_with("available.") && cowhand.stdout.lines().any(|said| said == line),
                "{cowhand}"
            );
        }
    };
    found_alike(&site);
    let site = site.behind_one_release();
    found_alike(&site);
    both.end_alike(&site, &["--help"], "");
    let conf = site.file("mailcow.conf");
    for name in ["mail", "mail.example.org."] {
        site.write("mailcow.conf", conf.replace("mail.example.org", name)).unwrap();
        both.end_alike(&site, &[], "y\ny\n");
    }
    site.write("mailcow.conf", conf).unwrap();
    fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    for flag in CHECKS {
        both.end_alike(&site, &[flag], "");
    }
    fs::remove_file(site.root().join("mailcow.conf")).unwrap();
    both.end_alike(&site, &[], "");
}

/// Upstream changes, adds and removes what the site changed, has and needs; and its functions bring
/// mailcow.conf up to date.
fn with_much_to_do(site: Site) -> Site {
    let site = site
        .edited(
            "data/conf/postfix/main.cf",
            "postscreen_dnsbl_threshold = 6",
            "postscreen_dnsbl_threshold = 4",
        )
        .edited("data/conf/rspamd/local.d/actions.conf", "reject = 15", "reject = 12")
        .has("data/conf/rspamd/custom/global_from_blacklist.map", "/bad/i\n")
        .has("data/conf/rspamd/local.d/metrics.conf", "own = true;\n")
        .has("data/conf/rspamd/override.d/worker-controller-password.inc", "password = \"own\";\n")
        .has("data/web/inc/app_info.inc.php", "<?php\n  $MAILCOW_GIT_VERSION=\"2026-01\";\n?>\n");
    site.git(["add", "--force", "data/conf/rspamd/override.d/worker-controller-password.inc"]);
    site.edit("mailcow.conf", |conf| conf + "MY_OWN=kept # yes\n").unwrap();
    site.upstream
        .release("2026-03a")
        .replace(
            "data/conf/postfix/main.cf",
            "postscreen_dnsbl_threshold = 6",
            "postscreen_dnsbl_threshold = 8",
        )
        .remove("data/conf/rspamd/local.d/actions.conf")
        .write("data/conf/nginx/templates.conf", "server { listen 80; }\n")
        .write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n")
        .write("data/assets/ssl-example/ecdsa-cert.pem", "an example\n")
        .write("_modules/scripts/core.sh", MAJORS)
        .write("_modules/scripts/new_options.sh", NEW_OPTIONS)
        .write("_modules/scripts/migrate_options.sh", OBSOLETE_OPTIONS)
        .publish()
        .unwrap();
    site
}

fn answers_and_effects_are_alike() {
    let (site, both) =
        (with_much_to_do(Site::customised().behind_one_release().running()), Both::new());
    answers_end_alike(&site, &both);
    for flags in [["--force", "--skip-start"].as_slice(), &["--force", "--skip-start", "--ours"]] {
        let expected = by_the_script(&site, &both, flags);
        let head = site.git(["rev-parse", "HEAD"]);
        both.called("cowhand", &site, flags, "").exits(0);
        effects_are(&site, &expected);
        site.cowhand(["rollback", "--yes"]).exits(0);
        assert_eq!(site.git(["rev-parse", "HEAD"]), head);
    }
}

/// No at one question or another. Nobody changes anything.
fn answers_end_alike(site: &Site, both: &Both) {
    let before = site.whole();
    let repository = site.upstream.repository();
    repository.reference("refs/heads/nightly", site.upstream.tip().unwrap(), true, "").unwrap();
    for (flags, input) in [(&[][..], "n\n"), (&[], "y\nn\n"), (&["--nightly"], "")] {
        both.end_alike(site, flags, input);
    }
    let conf = site.file("mailcow.conf");
    site.write("mailcow.conf", conf.replace("mail.example.org", "example.org")).unwrap();
    for input in ["n\n", "y\nn\n"] {
        both.end_alike(site, &[], input);
    }
    site.write("mailcow.conf", conf).unwrap();
    site.is_wholly(&before);
}

/// The state of a site.
struct Effects {
    tree: String,
    history: String,
    changes: String,
    files: Whole,
}

/// Lets the script of our own update a copy of the site.
fn by_the_script(site: &Site, both: &Both, flags: &[&str]) -> Effects {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("site");
    let copied =
        std::process::Command::new("cp").arg("-a").arg(site.root()).arg(&copy).status().unwrap();
    assert!(copied.success());
    let program = both.0.path().join("script/update.sh");
    Cowhand::of(program, flags.iter().copied()).folder(&copy).run().exits(0);
    effects(&copy)
}

fn effects(root: &Path) -> Effects {
    let git = |arguments: &[&str]| {
        let output =
            std::process::Command::new("git").arg("-C").arg(root).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let history = git(&["log", "-3", "--first-parent", "--format=%s %an <%ae> %cn %P"]);
    Effects {
        tree: git(&["rev-parse", "HEAD^{tree}"]),
        history: history.lines().map(|line| undated(line) + "\n").collect(),
        changes: git(&["status", "--porcelain"]),
        files: files_of(root),
    }
}

/// A subject without its time, and parents' ids of commits that were made just now without them.
fn undated(line: &str) -> String {
    line.split(' ')
        .filter(|word| !word.starts_with("20") && word.len() != 40)
        .collect::<Vec<_>>()
        .join(" ")
}

fn effects_are(site: &Site, expected: &Effects) {
    let found = effects(&site.root());
    assert_eq!(
        (&found.tree, &found.history, &found.changes),
        (&expected.tree, &expected.history, &expected.changes)
    );
    let looked_into = ["mailcow.conf", "update_diffs", "cowhand.toml"];
    let differences = found.files.differences(&expected.files);
    let unexpected: Vec<&String> = differences
        .iter()
        .filter(|name| !looked_into.iter().any(|known| name.starts_with(known)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    let conf = |whole: &Whole| -> Vec<String> {
        let without_secret = |line: &&str| !line.starts_with("SOGO_URL_ENCRYPTION_KEY=");
        whole.text("mailcow.conf").lines().filter(without_secret).map(str::to_owned).collect()
    };
    assert_eq!(conf(&found.files), conf(&expected.files));
    assert!(found.files.text("mailcow.conf").contains("SOGO_URL_ENCRYPTION_KEY="));
    let diffs =
        |whole: &Whole| whole.names().filter(|name| name.starts_with("update_diffs/")).count();
    assert_eq!((diffs(&found.files), diffs(&expected.files)), (1, 1));
}

fn a_blocked_network_is_told_only_where_the_site_asks_for_it() {
    let site = Site::without_engine().behind_one_release();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plan = || site.cowhand(["plan", "--until", "merge"]).exits(0);
    plan().keeps_quiet_about("Spamhaus");
    site.write("cowhand.toml", format!("[preflight]\nasn-check = \"http://{address}/\"\n"))
        .unwrap();
    let service = std::thread::spawn(move || {
        for status in ["503 Service Unavailable", "503 Service Unavailable", "200 OK"] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 2048]);
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
        }
    });
    plan().says("SPAMHAUS_DQS_KEY is not set");
    site.edit("mailcow.conf", |conf| conf + "SPAMHAUS_DQS_KEY=abc\n").unwrap();
    plan().says("SPAMHAUS_DQS_KEY is set and used");
    plan().says("does not block");
    service.join().unwrap();
    plan().says("Could not determine if Spamhaus");
}

fn tools_that_upstream_s_functions_need_are_missed_at_once() {
    let site = Site::without_engine().behind_one_release();
    let tools = tempfile::tempdir().unwrap();
    let plan = || site.prepared(["plan"]).env("PATH", tools.path()).run().exits(10);
    plan().says("installed: bash, cut").says("util-linux");
    for tool in ["bash", "cut", "head", "mount", "setpriv", "tr", "unshare", "grep", "busybox"] {
        fs::write(tools.path().join(tool), "").unwrap();
    }
    symlink("busybox", tools.path().join("sed")).unwrap();
    plan().says("sed is BusyBox'");
}

fn what_the_script_does_to_the_machine_is_told_and_not_done() {
    let site = Site::customised().behind_one_release();
    site.upstream
        .commit("Look after IPv6")
        .write("_modules/scripts/ipv6_controller.sh", "# looks\n")
        .publish()
        .unwrap();
    site.edit("mailcow.conf", |conf| conf.replace("ENABLE_IPV6=false", "ENABLE_IPV6=true"))
        .unwrap();
    let bridge = "networks:\n  mailcow-network:\n    driver_opts:\n      com.docker.network.bridge.name: br-mailcow\n";
    site.edit("docker-compose.override.yml", |text| text + bridge).unwrap();
    let (network, root) = (site.slot().network(), site.root());
    let rule =
        |bridge: &str| format!("-A POSTROUTING -s {network}.0/24 ! -o {bridge} -j MASQUERADE");
    // A network of its own, without any route, so that the machine's own rules and routes play no
    // part.
    let script = format!(
        "iptables -t nat {}; iptables -t nat {}; {} plan --until validate --site {}; iptables -t nat -S POSTROUTING",
        rule("br-mailcow"),
        rule("br-other"),
        binary().display(),
        root.display()
    );
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let command = Cowhand::of("unshare", ["--net", "bash", "-ec", &script]).env("PATH", path);
    let ran = match site.engine().host() {
        Some(host) => command.env("DOCKER_HOST", host).run(),
        None => command.run(),
    };
    let ran = ran
        .exits(0)
        .says("Not done (update.sh would)")
        .says("set ENABLE_IPV6=false in mailcow.conf");
    let told = |bridge| ran.stdout.contains(&format!("delete the rule `{}`", rule(bridge)));
    assert!(told("br-other") && !told("br-mailcow"), "{ran}");
    assert!(ran.stdout.trim_end().ends_with(&rule("br-other")), "the rules are still there: {ran}");
    assert!(site.file("mailcow.conf").contains("ENABLE_IPV6=true"));
}
