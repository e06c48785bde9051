//! The merge from outside: untracked files taken along, an upstream that means harm, losses asked
//! about, and what is written down.

use cowhand::exit::Exit;
use git2::ObjectType;
use serde_json::Value;

use crate::support::ran::Cowhand;
use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: untracked_files_are_part_of_the_site_where_it_says_so,
    an_upstream_that_means_harm_is_refused_before_the_merge;
    Stack: losses_are_asked_about_refused_or_let_go_and_keys_stay_secret,
}

fn untracked_files_are_part_of_the_site_where_it_says_so() {
    let site = Site::without_engine();
    let site =
        site.has("data/conf/new.conf", "the site's\n").has("data/conf/mine.conf", "the site's\n");
    let site = site.has("cowhand.toml", "[merge]\ninclude-untracked = true\n");
    site.upstream.release("2026-03").write("data/conf/new.conf", "upstream's\n").publish().unwrap();
    let before = site.state();
    let merge =
        site.cowhand(["plan", "--until", "merge", "--json"]).exits(0).event("plan")["merge"]
            .clone();
    site.is_untouched_since(&before);
    let conflict = &merge["conflicts"][0];
    assert_eq!(
        (&conflict["kind"], &conflict["collision"]),
        (&Value::from("add-add"), &Value::Null),
        "{merge:#}"
    );
    let committed = site.git(["ls-tree", "-r", "--name-only", merge["ours"].as_str().unwrap()]);
    assert!(committed.contains("data/conf/mine.conf") && committed.contains("data/conf/new.conf"));
    assert!(
        !committed.contains("cowhand.toml") && !committed.contains("mailcow.conf\n"),
        "{committed}"
    );
}

fn an_upstream_that_means_harm_is_refused_before_the_merge() {
    let site = Site::without_engine();
    let repository = site.upstream.repository();
    let odb = repository.odb().unwrap();
    let tip = repository.find_commit(site.upstream.tip().unwrap()).unwrap();
    let folder = |name: &str, inner: git2::Oid| {
        let entries: Vec<u8> = [format!("40000 {name}\0").as_bytes(), inner.as_bytes()].concat();
        odb.write(ObjectType::Tree, &entries).unwrap()
    };
    let mut bomb = folder("x", tip.tree_id());
    for _ in 0..14 {
        let entries = (10..26)
            .flat_map(|name| [format!("40000 {name}\0").as_bytes(), bomb.as_bytes()].concat());
        bomb = odb.write(ObjectType::Tree, &entries.collect::<Vec<u8>>()).unwrap();
    }
    for tree in [folder(".git", folder("hooks", tip.tree_id())), folder("..", tip.tree_id()), bomb]
    {
        let (who, tree) = (tip.author(), repository.find_tree(tree).unwrap());
        let commit = repository.commit(None, &who, &who, "Harmless", &tree, &[&tip]).unwrap();
        repository.reference("refs/heads/master", commit, true, "harm").unwrap();
        let before = site.state();
        let ran = site.cowhand(["plan", "--until", "merge"]).exits(i32::from(Exit::Prepare.code()));
        drop(ran.says("not safe to check out"));
        site.is_untouched_since(&before);
    }
}

fn losses_are_asked_about_refused_or_let_go_and_keys_stay_secret() {
    let cf = "data/conf/postfix/main.cf";
    let site = Site::customised().edited(cf, "threshold = 6", "threshold = 4").running();
    site.upstream
        .release("2026-03")
        .replace(cf, "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    let before = site.state();
    // At a terminal, which `script` makes: the lines are shown, then the question; the answer is
    // no.
    let host = site.engine().host().map(|host| format!("DOCKER_HOST={host} ")).unwrap_or_default();
    let binary = crate::support::ran::binary();
    let command = format!("{host}{} update --site {}", binary.display(), site.root().display());
    let asked = Cowhand::of("script", ["-qec", &command, "/dev/null"]).input("n\n").run().exits(11);
    drop(asked.says("threshold = 4").says("The merge drops").says(cf));
    site.is_untouched_since(&before);

    let site = site.has("cowhand.toml", "[merge]\non-loss = \"stop\"\n");
    let before = site.state();
    site.cowhand(["update", "--yes"]).exits(12).says(cf).says("on-loss");
    site.is_untouched_since(&before);

    let site = site.has("cowhand.toml", "[merge]\non-loss = \"report\"\n");
    let key = site.file("data/assets/ssl-example/key.pem");
    site.cowhand(["update", "--yes", "--skip-start"]).exits(0).says("threshold = 4");
    let diffs = std::fs::read_dir(site.root().join("update_diffs")).unwrap().flatten();
    let diffs: Vec<String> =
        diffs.map(|diff| std::fs::read_to_string(diff.path()).unwrap()).collect();
    let [diff] = &diffs[..] else { panic!("one diff: {diffs:?}") };
    assert!(
        diff.contains("+postscreen_dnsbl_threshold = 4") && diff.contains("ssl-example/key.pem"),
        "{diff}"
    );
    let inner = key.lines().filter(|line| !line.contains("-----"));
    assert!(
        inner.clone().count() > 0 && inner.into_iter().all(|line| !diff.contains(line)),
        "{diff}"
    );
}
