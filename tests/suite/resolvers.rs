//! The resolvers that ship, from outside: what git's strategies lose of a site, kept by the plugin
//! that knows the file.

use serde_json::Value;

use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: a_file_that_upstream_removed_is_kept_whole,
    an_ignored_file_is_kept_where_upstream_adds_one,
    a_renamed_file_keeps_the_block_that_was_appended,
    an_own_dnsbl_list_outlives_upstream_s,
    a_renamed_key_keeps_its_value,
    a_list_of_several_lines_takes_from_both,
    an_untracked_file_is_merged_with_the_one_that_upstream_adds,
    a_regenerated_access_table_keeps_the_site_s_lines,
    pins_in_the_compose_file_outlive_an_update,
    ipv6_that_is_switched_off_is_not_half_merged,
    what_a_resolver_cannot_do_it_leaves_and_says,
    a_mistake_in_a_resolver_s_settings_stops_the_run,
}

const MAIN_CF: &str = "data/conf/postfix/main.cf";
const COMPOSE: &str = "docker-compose.yml";

/// The result of a merge.
struct Merged {
    site: Site,
    merge: Value,
}

impl Merged {
    /// Plans the site's update with this plugin and these settings.
    fn with(site: Site, plugin: &str, settings: &str) -> Self {
        let toml = format!(
            "[[plugin]]\nname = \"{plugin}\"\nsource = \"stock:{plugin}\"\n[plugin.config]\n{settings}\n"
        );
        let site = site.has("cowhand.toml", &toml);
        let before = site.state();
        let plan = site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan");
        site.is_untouched_since(&before);
        Self { merge: plan["merge"].clone(), site }
    }

    /// Plans it as everybody does.
    fn without(site: Site) -> Self {
        let plan = site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan");
        Self { merge: plan["merge"].clone(), site }
    }

    /// A file of the result, if it has that; it ends with a line's end.
    fn file(&self, path: &str) -> Option<String> {
        let tree = self.merge["tree"].as_str().unwrap();
        let there = self.site.git(["ls-tree", "--name-only", tree, path]);
        (!there.is_empty()).then(|| self.site.git(["show", &format!("{tree}:{path}")]) + "\n")
    }

    /// Returns the plugin and the resolution for a file.
    fn decided(&self, path: &str) -> (&str, &str) {
        let conflicts = self.merge["conflicts"].as_array().unwrap();
        let found = conflicts.iter().find(|conflict| conflict["path"] == path);
        let conflict = found.unwrap_or_else(|| panic!("{path} is in no conflict: {conflicts:?}"));
        (conflict["plugin"].as_str().unwrap(), conflict["resolution"].as_str().unwrap())
    }

    /// The lines of a file's that are lost.
    fn lost(&self, path: &str) -> Vec<&str> {
        let losses =
            self.merge["losses"].as_array().unwrap().iter().filter(|loss| loss["path"] == path);
        losses
            .flat_map(|loss| loss["lines"].as_array().unwrap())
            .map(|line| line["text"].as_str().unwrap())
            .collect()
    }
}

fn a_file_that_upstream_removed_is_kept_whole() {
    let path = "data/conf/nginx/site.conf";
    let site = || {
        let site = Site::without_engine();
        site.edit(path, |text| format!("# ours\n{text}")).unwrap();
        site.upstream.release("2026-03").remove(path).publish().unwrap();
        site
    };
    let lost = Merged::without(site());
    assert_eq!((lost.file(path), lost.decided(path)), (None, ("stock-conflicts", "remove")));
    let kept = Merged::with(site(), "keep-local", "whole = [\"data/conf/nginx/**\"]");
    assert_eq!(kept.decided(path), ("keep-local", "ours"));
    assert_eq!(kept.file(path), Some(kept.site.file(path)));
}

fn an_ignored_file_is_kept_where_upstream_adds_one() {
    let path = "data/conf/rspamd/local.d/ratelimit.conf";
    let site = Site::without_engine();
    site.upstream.release("2026-03").write(path, "rates { }\n").publish().unwrap();
    let kept = Merged::with(site, "keep-local", "whole = [\"data/conf/rspamd/local.d/*\"]");
    assert_eq!(kept.decided(path), ("keep-local", "ours"));
    assert_eq!(kept.file(path), Some(kept.site.file(path)));
}

fn a_renamed_file_keeps_the_block_that_was_appended() {
    let (old, new) = ("data/conf/sogo/plist_ldap", "data/conf/sogo/plist_ldap.sh");
    let site = Site::without_engine();
    let begin = (1..20).map(|line| format!("echo key{line}\n")).collect::<String>();
    site.upstream.release("2026-02").write(old, &begin).publish().unwrap();
    site.git(["pull", "--quiet", "--ff-only"]);
    site.edit(old, |text| text + "echo the site's block\n").unwrap();
    let release = site.upstream.release("2026-03").rename(old, new).executable(new, true);
    release.append(new, "echo upstream's end\n").publish().unwrap();
    let kept = Merged::with(site, "keep-local", "hunks = [\"data/conf/sogo/*\"]");
    assert_eq!(kept.decided(new), ("keep-local", "favor-ours"));
    assert_eq!(kept.file(new), Some(begin + "echo the site's block\n"));
    assert_eq!(kept.lost(new), [""; 0]);
}

/// A site with its own DNSBL list, of which upstream removes all, and the container's lines below
/// it.
fn with_own_list() -> Site {
    let site = Site::without_engine().edited(
        MAIN_CF,
        "ix.dnsbl.example=127.0.0.2*2",
        "mine.dnsbl.example*9",
    );
    let list = |text: &str| {
        let from = text.find("postscreen_dnsbl_sites").unwrap();
        let to = text.find("smtp_tls_security_level").unwrap();
        text[from..to].to_owned()
    };
    let release =
        site.upstream.release("2026-03").edit(MAIN_CF, |text| text.replace(&list(&text), ""));
    release
        .replace(MAIN_CF, "\n# Overrides #", "new_upstream_key = 1\n\n# Overrides #")
        .publish()
        .unwrap();
    site
}

fn an_own_dnsbl_list_outlives_upstream_s() {
    let lost = Merged::without(with_own_list());
    assert!(
        !lost.file(MAIN_CF).unwrap().contains("mine.dnsbl.example"),
        "git's strategy loses the whole list"
    );
    let kept = Merged::with(with_own_list(), "key-value", "");
    assert_eq!(kept.decided(MAIN_CF), ("key-value", "content"));
    let text = kept.file(MAIN_CF).unwrap();
    let list = "postscreen_dnsbl_sites = wl.mailspike.example=127.0.0.[18;19;20]*-2\n  list.dnswl.example=127.0.[0..255].[0..3]*-3\n  \
                mine.dnsbl.example*9\nsmtp_tls_security_level = dane\n";
    assert!(text.contains(list), "{text}");
    let end = "new_upstream_key = 1\n\n# Overrides #\nmyhostname = mail.example.org\nmessage_size_limit = 52428800\n";
    assert!(text.ends_with(end), "{text}");
    assert_eq!(
        text.matches("message_size_limit = 104857600\n").count(),
        1,
        "what the container wrote is no edit"
    );
    assert_eq!(kept.lost(MAIN_CF), [""; 0]);
}

fn a_renamed_key_keeps_its_value() {
    let site = || {
        let (from, to) =
            ("postscreen_blacklist_action = ignore", "postscreen_blacklist_action = drop");
        let site = Site::without_engine().edited(MAIN_CF, from, to);
        let release = site.upstream.release("2026-03");
        release
            .replace(MAIN_CF, "postscreen_blacklist_action", "postscreen_denylist_action")
            .publish()
            .unwrap();
        site
    };
    let action = |merged: &Merged| {
        let text = merged.file(MAIN_CF).unwrap();
        text.lines()
            .filter(|line| line.contains("list_action"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(action(&Merged::without(site())), ["postscreen_denylist_action = ignore"]);
    let renamed = "renamed = { postscreen_blacklist_action = \"postscreen_denylist_action\" }";
    assert_eq!(
        action(&Merged::with(site(), "key-value", renamed)),
        ["postscreen_denylist_action = drop"]
    );
}

fn a_list_of_several_lines_takes_from_both() {
    let site = Site::without_engine().edited(
        MAIN_CF,
        "  permit_sasl",
        "  check_client_access hash:/own,\n  permit_sasl",
    );
    let site = site.edited(MAIN_CF, "threshold = 6", "threshold = 4");
    let release =
        site.upstream.release("2026-03").replace(MAIN_CF, "threshold = 6", "threshold = 8");
    release
        .replace(MAIN_CF, "  defer_unauth", "  reject_unlisted_recipient,\n  defer_unauth")
        .publish()
        .unwrap();
    let kept = Merged::with(site, "key-value", "");
    let list = "smtpd_relay_restrictions = permit_mynetworks,\n  check_client_access hash:/own,\n  permit_sasl_authenticated,\n  \
                reject_unlisted_recipient,\n  defer_unauth_destination\n";
    let text = kept.file(MAIN_CF).unwrap();
    assert!(text.contains(list) && text.contains("threshold = 4\n"), "{text}");
    assert_eq!(kept.lost(MAIN_CF), [""; 0]);
}

fn an_untracked_file_is_merged_with_the_one_that_upstream_adds() {
    let path = "data/conf/dovecot/conf.d/lists.conf";
    let own = "# ours\nplugin {\n  fts_autoindex = no\n  fts_own = 1\n}\n";
    let site = Site::without_engine().has(path, own);
    let release = site.upstream.release("2026-03");
    release.write(path, "plugin {\n  fts_autoindex = yes\n  fts_new = 1\n}\n").publish().unwrap();
    let kept = Merged::with(site, "key-value", "");
    assert_eq!(kept.decided(path), ("key-value", "content"));
    assert_eq!(
        kept.file(path).unwrap(),
        "# ours\nplugin {\n  fts_autoindex = no\n  fts_own = 1\n  fts_new = 1\n}\n"
    );
}

fn a_regenerated_access_table_keeps_the_site_s_lines() {
    let path = "data/conf/postfix/postscreen_access.cidr";
    let site = || {
        let site = Site::without_engine();
        site.edit(path, |text| {
            text.replacen('\n', "\n10.9.0.0/16\treject\n", 1) + "0.0.0.0/0\tdunno\n"
        })
        .unwrap();
        let made = "# Networks of large senders; generated anew.\n192.0.2.0/24\tpermit\n198.51.100.0/24\tpermit\n203.0.113.64/27\tpermit\n";
        site.upstream.release("2026-03").write(path, made).publish().unwrap();
        site
    };
    assert!(Merged::without(site()).lost(path).contains(&"10.9.0.0/16\treject"));
    let kept = Merged::with(site(), "union", "");
    let told = "# Networks of large senders; generated anew.\n10.9.0.0/16\treject\n192.0.2.0/24\tpermit\n198.51.100.0/24\tpermit\n\
                203.0.113.64/27\tpermit\n0.0.0.0/0\tdunno\n";
    assert_eq!(kept.file(path).unwrap(), told);
    assert_eq!((kept.decided(path), kept.lost(path)), (("union", "content"), Vec::new()));
}

/// The lines of a compose file that belong to a service, from its name to the next one's.
fn service(compose: &str, name: &str) -> Option<String> {
    let head = format!("    {name}:");
    let mut lines = compose.lines().skip_while(|line| **line != head);
    let first = lines.next()?;
    let is_inside = |line: &&str| line.is_empty() || line.starts_with("     ");
    Some(
        [first]
            .into_iter()
            .chain(lines.take_while(is_inside))
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned(),
    )
}

/// A site with a pinned image, a port taken out and one moved, a service in a profile of its own,
/// one that it removed, and one that upstream is about to remove.
fn with_pins() -> Site {
    let site = Site::without_engine();
    let solr = "\n    solr-mailcow:\n      image: solr:1.8\n      ports:\n        - \"18983:8983\"\n      restart: always\n";
    let olefy = "\n    olefy-mailcow:\n      image: olefy:1.12\n      restart: always\n";
    let services = format!("{solr}{olefy}\nnetworks:\n");
    site.upstream
        .release("2026-02")
        .replace(COMPOSE, "\nnetworks:\n", &services)
        .publish()
        .unwrap();
    site.git(["pull", "--quiet", "--ff-only"]);
    let site = site.edited(COMPOSE, "mariadb:10.11", "mariadb:10.11.9").edited(COMPOSE, olefy, "");
    let site = site.edited(COMPOSE, "18983:8983", "127.0.0.1:18983:8983").edited(
        COMPOSE,
        "${SMTP_PORT:-25}:25",
        "2525:25",
    );
    let site = site.edited(COMPOSE, "        - \"${SIEVE_PORT:-4190}:4190\"\n", "");
    let release = site.upstream.release("2026-03").replace(COMPOSE, solr, "").replace(
        COMPOSE,
        "olefy:1.12",
        "olefy:1.13",
    );
    let release = release.image("mariadb", "10.11.7").image("postfix", "1.81").replace(
        COMPOSE,
        "IMAP_PORT:-143",
        "IMAP_PORT:-0.0.0.0:143",
    );
    release
        .replace(COMPOSE, "\"${SMTP_PORT:-25}:25\"", "\"${SMTP_PORT:-25}:25\" # plain")
        .publish()
        .unwrap();
    site
}

fn pins_in_the_compose_file_outlive_an_update() {
    let lost = Merged::without(with_pins());
    let text = lost.file(COMPOSE).unwrap();
    assert!(
        text.contains("/mariadb:10.11.7\n")
            && text.contains("SIEVE_PORT")
            && text.contains("olefy-mailcow:")
    );
    let kept = Merged::with(with_pins(), "compose-pins", "");
    assert_eq!(kept.decided(COMPOSE), ("compose-pins", "content"));
    let text = kept.file(COMPOSE).unwrap();
    let of = |name: &str| service(&text, name).unwrap();
    assert!(of("mysql-mailcow").contains("/mariadb:10.11.9\n"), "{text}");
    assert!(of("postfix-mailcow").contains("/postfix:1.81\n"), "{text}");
    assert!(
        of("postfix-mailcow").contains(
            "      ports:\n        - \"2525:25\"\n        - \"${SUBMISSION_PORT:-587}:587\"\n"
        ),
        "{text}"
    );
    assert!(
        of("dovecot-mailcow")
            .contains("      ports:\n        - \"${IMAP_PORT:-0.0.0.0:143}:143\"\n      restart"),
        "{text}"
    );
    assert_eq!((service(&text, "solr-mailcow"), service(&text, "olefy-mailcow")), (None, None));
    // The site's lines on a removed service are lost with it, and reported.
    assert_eq!(kept.lost(COMPOSE), ["        - \"127.0.0.1:18983:8983\""]);
    assert_eq!(text.matches("\n\n\n").count(), 0, "{text}");
}

fn ipv6_that_is_switched_off_is_not_half_merged() {
    let site = Site::without_engine();
    let (on, second) = (
        "    driver: bridge\n    enable_ipv6: true\n",
        "        - subnet: ${IPV6_NETWORK:-fd4d::/64}\n",
    );
    let nat = "    ipv6nat-mailcow:\n      image: robbertkl/ipv6nat\n      depends_on:\n        - unbound-mailcow\n      restart: always\n";
    let release = site.upstream.release("2026-02").replace(COMPOSE, "    driver: bridge\n", on);
    let release =
        release.edit(COMPOSE, |text| text.replace(".0/24\n", &format!(".0/24\n{second}")));
    release
        .edit(COMPOSE, |text| text.replace("\nnetworks:\n", &format!("\n{nat}\nnetworks:\n")))
        .publish()
        .unwrap();
    site.git(["pull", "--quiet", "--ff-only"]);
    let site = site
        .edited(COMPOSE, "enable_ipv6: true", "enable_ipv6: false")
        .edited(COMPOSE, second, "")
        .edited(COMPOSE, nat, "");
    let release = site
        .upstream
        .release("2026-03")
        .edit(COMPOSE, |text| text.replace(&format!("{nat}\n"), ""));
    release
        .replace(COMPOSE, "enable_ipv6: true", "enable_ipv6: ${ENABLE_IPV6:-true}")
        .publish()
        .unwrap();
    let kept = Merged::with(site, "compose-pins", "");
    let text = kept.file(COMPOSE).unwrap();
    assert!(
        text.contains("\n    enable_ipv6: false\n") && !text.contains("IPV6_NETWORK"),
        "{text}"
    );
    assert_eq!((service(&text, "ipv6nat-mailcow"), kept.lost(COMPOSE)), (None, Vec::new()));
}

fn what_a_resolver_cannot_do_it_leaves_and_says() {
    let both = "[[plugin]]\nname = \"keys\"\nsource = \"stock:key-value\"\n[[plugin]]\nname = \"pins\"\nsource = \"stock:compose-pins\"\n";
    let site = with_own_list()
        .edited(MAIN_CF, "biff = no", "biff = no\nno assignment")
        .has("cowhand.toml", both);
    let mounts = "        - redis-vol-1:/data/\n";
    let site = site.edited(COMPOSE, mounts, &format!("{mounts}        - mysql-vol-1:/backup\n"));
    let site = site.edited(COMPOSE, "postfix:1.80", "postfix:1.79");
    let release = site.upstream.release("2026-04").image("postfix", "1.81");
    release.replace(COMPOSE, "mysql-vol-1:", "mysql-vol-2:").publish().unwrap();
    let ran = site
        .cowhand(["plan", "--until", "merge", "--json"])
        .exits(0)
        .says("`no assignment` is not understood");
    let ran = ran.says("service redis-mailcow refers to volume mysql-vol-1, which does not exist");
    let merged = Merged { merge: ran.event("plan")["merge"].clone(), site };
    assert_eq!(merged.decided(MAIN_CF), ("stock-conflicts", "favor-theirs"));
    assert_eq!(merged.decided(COMPOSE), ("stock-conflicts", "favor-theirs"));
}

fn a_mistake_in_a_resolver_s_settings_stops_the_run() {
    for (plugin, wrong, near) in [
        ("keep-local", "hole = []", "`whole`"),
        ("key-value", "rename = {}", "`renamed`"),
        ("union", "table = []", "`tables`"),
        ("compose-pins", "key = []", "`keys`"),
    ] {
        let toml = format!(
            "[[plugin]]\nname = \"mine\"\nsource = \"stock:{plugin}\"\nconfig = {{ {wrong} }}\n"
        );
        let site = with_own_list()
            .edited(COMPOSE, "postfix:1.80", "postfix:1.79")
            .has("cowhand.toml", &toml);
        site.upstream.release("2026-04").image("postfix", "1.81").publish().unwrap();
        let before = site.state();
        site.cowhand(["plan", "--until", "merge"])
            .exits(12)
            .says("mine")
            .says(&format!("did you mean {near}?"));
        site.is_untouched_since(&before);
    }
}
