//! The shapes that real updates of mailcow had: what upstream did from one release to the next,
//! what a site had done, and what comes out under the stock policy. Contents are made up; git's own
//! result for each is compared too.

use cowhand::git::conflict::{Kind, Was};
use cowhand::git::merge::{Favor, Merged, Mode};

use crate::kit::{Files, Lab, files, tree_of};
use crate::site::Site;
use crate::upstream::{self, Pair};

/// A shape: three versions of some files.
struct Shape {
    base: Files,
    ours: Files,
    theirs: Files,
}

impl Shape {
    /// `(path, base, ours, theirs)`; an empty text stands for "not there".
    fn new(paths: &[(&str, &str, &str, &str)]) -> Self {
        let tree = |at: usize| {
            let there =
                paths.iter().map(|(path, base, ours, theirs)| (*path, [*base, *ours, *theirs][at]));
            tree_of(&there.filter(|(_, text)| !text.is_empty()).collect::<Vec<_>>())
        };
        Self { base: tree(0), ours: tree(1), theirs: tree(2) }
    }

    /// The result and its files; git's is the same.
    fn merge(&self, favor: Favor) -> (Merged, Files) {
        let lab = Lab::new();
        let base = lab.commit(&self.base, &[]);
        let (ours, theirs) =
            (lab.commit(&self.ours, &[base]), lab.commit_tree(lab.tree(&self.theirs), &[base], 1));
        let merged = lab.merge(ours, theirs, favor, upstream::LABEL);
        let name = if favor == Favor::Theirs { "theirs" } else { "ours" };
        assert_eq!(
            upstream::trees(&lab, &[Pair { ours, theirs }], name),
            [merged.tree],
            "git's tree"
        );
        let files = files(&lab.git, merged.tree);
        (merged, files)
    }
}

fn text(files: &Files, path: &str) -> Option<String> {
    files.get(path.as_bytes()).map(|(_, content)| String::from_utf8(content.clone()).unwrap())
}

fn kinds(merged: &Merged) -> Vec<(String, Kind)> {
    merged.decisions.iter().map(|told| (told.path.text(), told.kind)).collect()
}

/// A line: its number, what the site had done with it, its text.
type Line = (u32, Was, String);

fn lost(merged: &Merged) -> Vec<(String, Vec<Line>)> {
    let lines = |loss: &cowhand::git::conflict::Loss| {
        loss.lines.iter().map(|line| (line.line, line.was, line.text.clone())).collect()
    };
    merged.losses.iter().map(|loss| (loss.path.text(), lines(loss))).collect()
}

fn added(line: u32, text: &str) -> (u32, Was, String) {
    (line, Was::Added, text.to_owned())
}

fn deleted(line: u32, text: &str) -> (u32, Was, String) {
    (line, Was::Deleted, text.to_owned())
}

/// 2024-11b → 2025-01, data/conf/nginx/site.conf.
#[test]
fn a_file_that_upstream_deleted_and_the_site_edited_goes_and_is_named() {
    let path = "data/conf/nginx/site.conf";
    let shape = Shape::new(&[
        (path, "server {\n}\n", "server {\n  mine;\n}\n", ""),
        ("other", "o\n", "o\n", "o\n"),
    ]);
    for favor in [Favor::Theirs, Favor::Ours] {
        let (merged, files) = shape.merge(favor);
        assert_eq!(text(&files, path), None);
        assert_eq!(kinds(&merged), [(path.to_owned(), Kind::ModifyDelete)]);
        assert_eq!(lost(&merged), [(path.to_owned(), vec![added(2, "  mine;")])]);
    }
}

/// The site took a port out; upstream changed the lines around it.
#[test]
fn a_port_that_the_merge_brings_back_is_a_loss() {
    let base = "services:\n  dovecot:\n    image: d:1\n    ports:\n      - 143\n      - 110\n";
    let ours = "services:\n  dovecot:\n    image: d:1\n    ports:\n      - 143\n";
    let theirs = "services:\n  dovecot:\n    image: d:1\n    ports:\n      - 143\n      - 110\n      - 4190\n";
    let path = "docker-compose.yml";
    let (merged, files) = Shape::new(&[(path, base, ours, theirs)]).merge(Favor::Theirs);
    assert_eq!(text(&files, path).unwrap(), theirs);
    assert_eq!(lost(&merged), [(path.to_owned(), vec![deleted(6, "      - 110")])]);
}

/// 2024-11b → 2025-01, docker-compose.yml: upstream removed a service whose port the site had
/// edited.
#[test]
fn a_service_that_upstream_removed_and_the_site_edited() {
    let base = "services:\n  solr:\n    ports:\n      - 18983:8983\n  web:\n    image: w\n";
    let ours = "services:\n  solr:\n    ports:\n      - 28983:8983\n  web:\n    image: w\n";
    let theirs = "services:\n  web:\n    image: w\n";
    let shape = Shape::new(&[("docker-compose.yml", base, ours, theirs)]);
    let (merged, files) = shape.merge(Favor::Theirs);
    assert_eq!(text(&files, "docker-compose.yml").unwrap(), theirs);
    assert_eq!(lost(&merged)[0].1, [added(4, "      - 28983:8983")]);
    let (merged, files) = shape.merge(Favor::Ours);
    assert!(text(&files, "docker-compose.yml").unwrap().contains("28983"), "ours brings it back");
    assert_eq!(lost(&merged), []);
}

/// 2023-05a → 2023-07, data/conf/postfix/main.cf: upstream removed the list, the site had its own.
#[test]
fn a_list_of_the_site_s_own() {
    let base = "a = 1\npostscreen_dnsbl_sites = one*3\n  two*2\n  three*1\nb = 2\n";
    let ours = "a = 1\npostscreen_dnsbl_sites = mine*3\n  other*2\nb = 2\n";
    let theirs = "a = 1\nb = 2\n";
    let (merged, files) = Shape::new(&[("main.cf", base, ours, theirs)]).merge(Favor::Theirs);
    assert_eq!(text(&files, "main.cf").unwrap(), theirs);
    let lines = vec![added(2, "postscreen_dnsbl_sites = mine*3"), added(3, "  other*2")];
    assert_eq!(lost(&merged), [("main.cf".to_owned(), lines)]);
}

/// 2026-05c → 2026-07, data/conf/postfix/main.cf: upstream renamed a directive whose value the site
/// had changed.
#[test]
fn a_renamed_directive() {
    let base = "x = 1\npostscreen_blacklist_action = drop\ny = 2\n";
    let ours = "x = 1\npostscreen_blacklist_action = ignore\ny = 2\n";
    let theirs = "x = 1\npostscreen_denylist_action = drop\ny = 2\n";
    let shape = Shape::new(&[("main.cf", base, ours, theirs)]);
    let (merged, files) = shape.merge(Favor::Theirs);
    assert_eq!(text(&files, "main.cf").unwrap(), theirs);
    assert_eq!(lost(&merged)[0].1, [added(2, "postscreen_blacklist_action = ignore")]);
    let (_, files) = shape.merge(Favor::Ours);
    assert_eq!(text(&files, "main.cf").unwrap(), ours);
}

/// 2025-02 → 2025-03, `data/conf/sogo/plist_ldap` → `plist_ldap.sh`: renamed and made executable;
/// the site appended a block.
#[test]
fn a_rename_with_a_mode_is_followed() {
    let long: String = (0..20).map(|line| format!("line {line}\n")).collect();
    let mut shape = Shape::new(&[("plist_ldap", &long, &format!("{long}the site's block\n"), "")]);
    let changed = long.replace("line 3\n", "line three\n");
    shape
        .theirs
        .insert(b"plist_ldap.sh".to_vec(), (Mode::Executable, changed.clone().into_bytes()));
    let (merged, files) = shape.merge(Favor::Theirs);
    let (mode, content) = &files[&b"plist_ldap.sh"[..]];
    assert_eq!(
        (*mode, content.clone()),
        (Mode::Executable, format!("{changed}the site's block\n").into_bytes())
    );
    assert_eq!((files.len(), merged.decisions.len(), merged.losses.len()), (1, 0, 0));
}

/// The same where upstream changed the end of the file too: the edit is lost, and named under the
/// new name.
#[test]
fn a_rename_that_loses_the_edit_names_it_under_the_new_name() {
    let long: String = (0..20).map(|line| format!("line {line}\n")).collect();
    let shape = Shape::new(&[
        ("plist_ldap", &long, &format!("{long}the site's block\n"), ""),
        ("plist_ldap.sh", "", "", &format!("{long}upstream's block\n")),
    ]);
    let (merged, _) = shape.merge(Favor::Theirs);
    assert_eq!(kinds(&merged), [("plist_ldap.sh".to_owned(), Kind::Content)]);
    assert_eq!(lost(&merged), [("plist_ldap.sh".to_owned(), vec![added(21, "the site's block")])]);
}

/// 2025-07 → 2025-09, docker-compose.yml: IPv6 switched off by the site, made configurable by
/// upstream.
#[test]
fn a_half_merged_switch() {
    let base = "networks:\n  net:\n    enable_ipv6: true\n    subnet6: a\nend: 1\n";
    let ours = "networks:\n  net:\n    enable_ipv6: false\nend: 1\n";
    let theirs =
        "networks:\n  net:\n    enable_ipv6: ${ENABLE_IPV6:-true}\n    subnet6: a\nend: 1\n";
    let (merged, _) =
        Shape::new(&[("docker-compose.yml", base, ours, theirs)]).merge(Favor::Theirs);
    let lines = vec![added(3, "    enable_ipv6: false"), deleted(4, "    subnet6: a")];
    assert_eq!(lost(&merged), [("docker-compose.yml".to_owned(), lines)]);
}

/// 2025-01 → 2025-02, data/conf/redis/redis-conf.sh: upstream's is executable, the site's copy lost
/// the bit.
#[test]
fn a_lost_exec_bit_is_merged_as_git_merges_it() {
    let mut shape = Shape::new(&[(
        "redis-conf.sh",
        "#!/bin/sh\none\n",
        "#!/bin/sh\none\n",
        "#!/bin/sh\ntwo\n",
    )]);
    for (files, mode) in
        [(&mut shape.base, Mode::Executable), (&mut shape.theirs, Mode::Executable)]
    {
        files.get_mut(&b"redis-conf.sh"[..]).unwrap().0 = mode;
    }
    let (merged, files) = shape.merge(Favor::Theirs);
    assert_eq!(files[&b"redis-conf.sh"[..]].0, Mode::File);
    assert_eq!(merged.losses, [], "the site's change is in the result");
}

/// A mode of the site's that the result does not have is a loss without lines.
#[test]
fn a_mode_that_is_lost_is_named() {
    let mut shape = Shape::new(&[("tool", "", "one\n", "two\n")]);
    shape.ours.get_mut(&b"tool"[..]).unwrap().0 = Mode::Executable;
    let (merged, _) = shape.merge(Favor::Theirs);
    assert_eq!(merged.losses[0].path.text(), "tool");
}

/// 2026-03 → 2026-05, `data/conf/postfix/postscreen_access.cidr`: regenerated; the site had lines
/// under the header and at the end.
#[test]
fn a_regenerated_list() {
    let list = |date: &str, from: u32| {
        let lines: String =
            (from..from + 30).map(|number| format!("10.0.{number}.0/24 permit\n")).collect();
        format!("# generated {date}\n# by a script\n{lines}# tail\nlast 1\nlast 2\nlast 3\n")
    };
    let base = list("March", 0);
    let ours =
        base.replace("# by a script\n", "# by a script\n192.0.2.1 reject\n") + "192.0.2.2 reject\n";
    let (merged, files) =
        Shape::new(&[("a.cidr", &base, &ours, &list("May", 2))]).merge(Favor::Theirs);
    let result = text(&files, "a.cidr").unwrap();
    assert!(!result.contains("192.0.2.1") && result.contains("192.0.2.2"), "{result}");
    assert_eq!(lost(&merged)[0].1, [added(3, "192.0.2.1 reject")]);
}

/// 2025-02 → 2025-03, data/web/admin.php → data/web/admin/system.php: followed, nothing lost.
#[test]
fn a_rename_that_keeps_the_edit() {
    let long: String = (0..30).map(|line| format!("line {line}\n")).collect();
    let ours = long.replace("line 25\n", "the site's line\n");
    let theirs = long.replace("line 2\n", "upstream's line\n");
    let shape = Shape::new(&[
        ("data/web/admin.php", &long, &ours, ""),
        ("data/web/admin/system.php", "", "", &theirs),
    ]);
    let (merged, files) = shape.merge(Favor::Theirs);
    let result = text(&files, "data/web/admin/system.php").unwrap();
    assert!(result.contains("the site's line") && result.contains("upstream's line"));
    assert_eq!((merged.decisions.len(), merged.losses.len(), files.len()), (0, 0, 1));
}

/// 2024-11b → 2025-01, data/conf/dovecot/conf.d/fts.conf: upstream adds and ignores it; the site
/// has it, untracked.
/// 2023-11 → 2023-11a, data/conf/rspamd/local.d/ratelimit.conf: upstream force-adds what it
/// ignores; the site has it.
#[test]
fn files_in_the_way() {
    let ignore = "data/conf/rspamd/local.d/*\n";
    let site = Site::new(&tree_of(&[(".gitignore", ignore), ("main", "m\n")]));
    let (fts, ratelimit) =
        ("data/conf/dovecot/conf.d/fts.conf", "data/conf/rspamd/local.d/ratelimit.conf");
    site.write(fts, "the site's\n");
    site.write(ratelimit, "the site's\n");
    let ignore_more = format!("{ignore}{fts}\n");
    site.release(&tree_of(&[
        (".gitignore", &ignore_more),
        ("main", "m\n"),
        (fts, "upstream's\n"),
        (ratelimit, "upstream's\n"),
    ]));
    for (favor, content) in [(Favor::Ours, "the site's\n"), (Favor::Theirs, "upstream's\n")] {
        let merged = site.prepare(favor).merged;
        let told: Vec<_> = merged
            .decisions
            .iter()
            .map(|told| (told.path.text(), told.kind, told.collision.is_some()))
            .collect();
        assert_eq!(
            told,
            [(fts.to_owned(), Kind::AddAdd, true), (ratelimit.to_owned(), Kind::AddAdd, true)]
        );
        let result = site.repo.file_in(merged.tree, &fts.into()).unwrap();
        assert_eq!(result.unwrap(), content.as_bytes());
        assert_eq!(merged.losses.len(), if favor == Favor::Theirs { 2 } else { 0 });
    }
}

/// The site's key pair in ssl-example is rewritten by `generate_config.sh`: its lines are not for
/// showing.
#[test]
fn a_private_key_that_is_lost_is_named_without_its_lines() {
    let key =
        |body: &str| format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let (merged, _) =
        Shape::new(&[("key.pem", &key("AAAA"), &key("BBBB"), &key("CCCC"))]).merge(Favor::Theirs);
    assert_eq!(lost(&merged), [("key.pem".to_owned(), vec![])]);
}

/// docs/merge.md: a file against a link becomes the favoured side, whole, at its own name.
#[test]
fn a_file_against_a_link_becomes_the_favoured_side() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("conf", "one\n"), ("other", "o\n")]), &[]);
    let ours = lab.commit(&tree_of(&[("conf", "mine\n"), ("other", "o\n")]), &[base]);
    let mut link = tree_of(&[("other", "o\n")]);
    link.insert(b"conf".to_vec(), (Mode::Link, b"other".to_vec()));
    let theirs = lab.commit(&link, &[base]);
    for (favor, mode) in [(Favor::Theirs, Mode::Link), (Favor::Ours, Mode::File)] {
        let merged = lab.merge(ours, theirs, favor, upstream::LABEL);
        assert_eq!(kinds(&merged), [("conf".to_owned(), Kind::Type)]);
        let files = files(&lab.git, merged.tree);
        assert_eq!((files.len(), files[&b"conf"[..]].0), (2, mode));
        assert_eq!(merged.losses.len(), usize::from(favor == Favor::Theirs));
    }
}
