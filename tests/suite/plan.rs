//! `cowhand plan`: everything a run would do, and nothing done.

use cowhand::demo::site::ALL_SERVICES;
use serde_json::{Value, json};

use crate::support::outside;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Stack: the_site_stays_untouched,
    json_has_the_promised_shape,
    without_compose_s_hashes_nothing_is_planned;
    Nothing: until_merge_needs_no_engine,
    the_tree_is_git_s_own_with_theirs,
    the_tree_is_git_s_own_with_ours,
    losses_and_conflicts_are_named,
    what_no_update_migrates_is_told_with_what_to_do,
    an_unknown_stage_is_an_error,
}

/// A site and an upstream that changed the same line.
fn in_conflict(site: Site) -> Site {
    let site = site.edited(
        "data/conf/postfix/main.cf",
        "postscreen_dnsbl_threshold = 6",
        "postscreen_dnsbl_threshold = 4",
    );
    let release = site.upstream.commit("Raise the threshold");
    release
        .replace(
            "data/conf/postfix/main.cf",
            "postscreen_dnsbl_threshold = 6",
            "postscreen_dnsbl_threshold = 8",
        )
        .publish()
        .unwrap();
    site
}

fn the_site_stays_untouched() {
    let site = in_conflict(Site::customised().behind_one_release().running());
    let before = site.state();
    site.cowhand(["plan"]).exits(0).says("postfix-mailcow").says("data/conf/postfix/main.cf");
    site.is_untouched_since(&before);
}

fn json_has_the_promised_shape() {
    let site = in_conflict(Site::customised().behind_one_release().running());
    let plan = site.cowhand(["plan", "--json"]).exits(0).event("plan");
    let service = |name: &str| {
        plan["services"]
            .as_array()
            .unwrap()
            .iter()
            .find(|service| service["service"] == name)
            .cloned()
            .unwrap()
    };
    assert_eq!(service("postfix-mailcow")["action"], "recreate");
    assert_eq!(service("postfix-mailcow")["reasons"][0]["kind"], "image");
    assert_eq!(
        service("redis-mailcow"),
        json!({"service": "redis-mailcow", "action": "keep", "reasons": []})
    );
    let images = plan["images"].as_array().unwrap();
    let postfix = images
        .iter()
        .find(|image| image["reference"] == site.images.reference("postfix", "1.81"))
        .unwrap();
    assert_eq!(postfix["pull"], true);
    assert!(
        images.iter().filter(|image| **image != *postfix).all(|image| image["pull"] == false),
        "{images:#?}"
    );
    for list in ["files", "prune"] {
        assert!(plan[list].is_array(), "{list}");
    }
}

fn until_merge_needs_no_engine() {
    let site = in_conflict(Site::without_engine().behind_one_release());
    let before = site.state();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    site.is_untouched_since(&before);
}

fn the_tree_is_git_s_own_with_theirs() {
    let site = in_conflict(Site::without_engine().behind_one_release());
    let plan = merge_of(&site, ["plan", "--json", "--until", "merge"]);
    assert_eq!(plan["tree"], git_s_own(&site, &plan, "theirs"));
}

fn the_tree_is_git_s_own_with_ours() {
    let site = in_conflict(Site::without_engine().behind_one_release());
    let plan = merge_of(&site, ["plan", "--json", "--until", "merge", "--ours"]);
    assert_eq!(plan["tree"], git_s_own(&site, &plan, "ours"));
}

fn losses_and_conflicts_are_named() {
    let site = in_conflict(Site::without_engine().behind_one_release());
    let plan = merge_of(&site, ["plan", "--json", "--until", "merge"]);
    let conflict = &plan["conflicts"][0];
    assert_eq!(
        (&conflict["path"], &conflict["kind"]),
        (&json!("data/conf/postfix/main.cf"), &json!("content"))
    );
    assert_eq!(plan["conflicts"].as_array().unwrap().len(), 1);
    let losses = plan["losses"].as_array().unwrap();
    let lost = losses.iter().find(|loss| loss["path"] == "data/conf/postfix/main.cf").unwrap();
    let added: Vec<&Value> =
        lost["lines"].as_array().unwrap().iter().filter(|line| line["was"] == "added").collect();
    assert_eq!(added[0]["text"], "postscreen_dnsbl_threshold = 4");
}

fn what_no_update_migrates_is_told_with_what_to_do() {
    let nginx = |name: &str, port: u16| {
        (format!("data/conf/nginx/{name}.conf"), format!("fastcgi_pass phpfpm:{port};\n"))
    };
    let (old, new) = (nginx("shop", 9000), nginx("forum", 9002));
    let nowhere = Site::without_engine_and(ALL_SERVICES);
    let site = nowhere.has(&old.0, &old.1).has(&new.0, &new.1);
    let nothing = |site: &Site| {
        site.cowhand(["plan", "--until", "merge"])
            .exits(0)
            .keeps_quiet_about("Not migrated by updates")
    };
    site.upstream.commit("A change").append("data/web/index.php", "\n").publish().unwrap();
    nothing(&site);
    let release =
        site.upstream.release("2026-03").image("mariadb", "11.4").without_service("solr-mailcow");
    let release = release.write(
        "data/conf/rspamd/local.d/statistic.conf",
        "classifier \"bayes\" {\n  new_schema = true;\n}\n",
    );
    release
        .append("data/conf/phpfpm/php-fpm.d/pools.conf", "listen = [::]:9001\n")
        .publish()
        .unwrap();
    let before = site.state();
    let told = |site: &Site| {
        site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan")["by_hand"]
            .clone()
    };
    let list = told(&site);
    let what: Vec<&str> =
        list.as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(
        matches!(what.as_slice(), [nginx, rspamd, database] if nginx.ends_with("(data/conf/nginx/shop.conf)")
        && rspamd.contains("spam and ham") && database.ends_with("(10.11 → 11.4)")),
        "{what:#?}"
    );
    assert_eq!(list[0]["remedy"], "Write phpfpm:9002 there.");
    site.cowhand(["plan", "--until", "merge"])
        .exits(0)
        .says("Not migrated by updates")
        .says("Write phpfpm:9002 there.");
    site.is_untouched_since(&before);
    // Upstream skips the search unless told otherwise; this site has an index to lose.
    let site = site.edited("mailcow.conf", "TZ=", "SKIP_SOLR=n\nTZ=");
    assert_eq!(told(&site).as_array().unwrap().len(), 4);
}

fn an_unknown_stage_is_an_error() {
    let site = Site::without_engine();
    let before = site.state();
    site.cowhand(["plan", "--until", "merg"]).exits(2).says("merge");
    site.is_untouched_since(&before);
}

fn merge_of<const N: usize>(site: &Site, arguments: [&str; N]) -> Value {
    site.cowhand(arguments).exits(0).event("plan")["merge"].clone()
}

/// The tree that git makes of the same two commits.
fn git_s_own(site: &Site, plan: &Value, favour: &str) -> String {
    let commit = |side: &str| plan[side].as_str().unwrap().to_owned();
    let (ours, theirs, favour) = (commit("ours"), commit("theirs"), format!("-X{favour}"));
    site.git(["merge-tree", "--write-tree", &favour, "-Xpatience", &ours, &theirs])
}

fn without_compose_s_hashes_nothing_is_planned() {
    let site = Site::customised().behind_one_release().running();
    let docker = tempfile::tempdir().unwrap();
    let plugins = docker.path().join("cli-plugins");
    std::fs::create_dir(&plugins).unwrap();
    let script = "#!/bin/sh\n\
        case \" $* \" in *\" --hash \"*) echo no hashes today >&2; exit 1;; esac\n\
        for lib in /usr/local/lib /usr/local/libexec /usr/lib /usr/libexec; do\n\
          compose=$lib/docker/cli-plugins/docker-compose\n\
          [ ! -x $compose ] || exec $compose \"$@\"\n\
        done\n";
    outside::program(&plugins.join("docker-compose"), script.as_bytes());
    let before = site.state();
    let update = site.prepared(["update", "--yes"]).env("DOCKER_CONFIG", docker.path());
    let ran = update.run().says("no hashes today");
    assert!(matches!(ran.code(), Some(10..=13)), "{ran}");
    site.is_untouched_since(&before);
}
