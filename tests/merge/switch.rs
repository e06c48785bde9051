//! The switch moves a real clone to the merge and back, from any point in between.

use std::os::unix::fs::PermissionsExt;

use cowhand::event::Events;
use cowhand::git::conflict::{Collision, Kind};
use cowhand::git::merge::{Favor, Mode};
use cowhand::git::switch::{Standing, Switch};

use crate::kit::{Files, tree_of};
use crate::site::{Prepared, Site};

/// A site with an edit of its own, an ignored and an untracked file in the way, and a release that
/// touches all of it.
fn busy_site() -> Site {
    let mut files = tree_of(&[
        (".gitignore", "local.d/*\nmailcow.conf\n"),
        ("main.cf", "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"),
        ("gone/inner/file", "to be deleted\n"),
        ("kept/file", "to be deleted, but its folder holds more\n"),
        ("becomes-folder", "file\n"),
        ("becomes-file/inner", "file\n"),
        ("tool.sh", "#!/bin/sh\n"),
        ("same", "untouched\n"),
        ("moved", "a file\nwith some lines\nthat upstream moves\nelsewhere\n"),
    ]);
    files.insert(b".env".to_vec(), (Mode::Link, b"mailcow.conf".to_vec()));
    let site = Site::new(&files);
    site.write("mailcow.conf", "SECRET=1\n");
    site.write("main.cf", "one\nTWO\nthree\nfour\nfive\nsix\nseven\n");
    site.write("kept/mine", "the site's\n");
    site.write("local.d/ratelimit.conf", "the site's, ignored\n");
    site.write("new.conf", "the site's, untracked\n");
    std::fs::set_permissions(site.path("main.cf"), std::fs::Permissions::from_mode(0o640)).unwrap();
    site.release(&release(files));
    site
}

fn release(mut files: Files) -> Files {
    for gone in [&b"gone/inner/file"[..], b"kept/file", b"becomes-folder", b"becomes-file/inner"] {
        files.remove(gone);
    }
    let moved = files.remove(&b"moved"[..]).unwrap();
    files.insert(b"elsewhere/moved".to_vec(), moved);
    files.get_mut(&b"tool.sh"[..]).unwrap().0 = Mode::Executable;
    files.insert(b".env".to_vec(), (Mode::Link, b"./mailcow.conf".to_vec()));
    for (path, content) in [
        ("main.cf", "one\ntwo\nthree\nfour\nfive\nsix\nSEVEN\n"),
        ("becomes-folder/inner", "file\n"),
        ("becomes-file", "file\n"),
        ("local.d/ratelimit.conf", "upstream's\n"),
        ("new.conf", "upstream's\n"),
        ("deep/er/new", "new\n"),
    ] {
        files.insert(path.as_bytes().to_vec(), (Mode::File, content.as_bytes().to_vec()));
    }
    files
}

fn events() -> Events {
    Events::default()
}

#[test]
fn the_site_becomes_the_merge_and_comes_back() {
    let site = busy_site();
    let before = site.snapshot();
    let Prepared { local, merged, switch, .. } = site.prepare(Favor::Theirs);
    assert_eq!(site.snapshot(), before, "preparing changes nothing");
    assert_eq!(switch.standing(&site.repo).unwrap(), Standing::Old);

    switch.apply(&site.repo, "update", &events()).unwrap();
    assert_eq!(switch.standing(&site.repo).unwrap(), Standing::New);
    let after = site.snapshot();
    assert_eq!(after.head, merged.commit.to_string());
    assert_eq!(after.status, "?? kept/\n!! mailcow.conf");
    assert_eq!(site.git(&["write-tree"]), merged.tree.to_string());
    assert_eq!(site.git(&["symbolic-ref", "HEAD"]), "refs/heads/master");
    assert_eq!(
        site.git(&["log", "--format=%s", "--first-parent", "-2"]),
        "After update\nBefore update"
    );
    assert_eq!(
        site.git(&["rev-parse", "HEAD^1", "HEAD^2"]),
        format!("{}\n{}", local.commit, merged.theirs)
    );
    assert_eq!(site.read("main.cf").unwrap(), "one\nTWO\nthree\nfour\nfive\nsix\nSEVEN\n");
    assert_eq!(after.files["main.cf"].0 & 0o777, 0o640, "permissions stay");
    assert_eq!(after.files["tool.sh"].0 & 0o777, 0o755);
    assert!(!site.path("gone").exists() && site.path("kept/mine").exists());
    assert_eq!(site.read("becomes-folder/inner").unwrap(), "file\n");
    assert_eq!(site.read("new.conf").unwrap(), "upstream's\n");
    site.git(&["fsck", "--strict"]);

    switch.apply(&site.repo, "update", &events()).unwrap();
    assert_eq!(site.snapshot(), after, "twice is once");

    assert_eq!(switch.undo(&site.repo, "rollback", &events()).unwrap(), []);
    assert_eq!(site.snapshot(), before);
    assert_eq!(switch.standing(&site.repo).unwrap(), Standing::Old);
    assert_eq!(switch.undo(&site.repo, "rollback", &events()).unwrap(), []);
    assert_eq!(site.snapshot(), before);
}

#[test]
fn files_in_the_way_are_conflicts_and_kept() {
    let site = busy_site();
    let merged = site.prepare(Favor::Theirs).merged;
    let told: Vec<_> =
        merged.decisions.iter().map(|told| (told.path.text(), told.kind, told.collision)).collect();
    assert_eq!(
        told,
        [
            ("local.d/ratelimit.conf".to_owned(), Kind::AddAdd, Some(Collision::Ignored)),
            ("new.conf".to_owned(), Kind::AddAdd, Some(Collision::Untracked)),
        ]
    );
    let kept: Vec<_> = merged.kept.iter().map(|kept| site.repo.blob(kept.oid).unwrap()).collect();
    assert_eq!(kept, [b"the site's, ignored\n".to_vec(), b"the site's, untracked\n".to_vec()]);
    let lost: Vec<_> =
        merged.losses.iter().map(|loss| (loss.path.text(), loss.lines[0].text.clone())).collect();
    assert_eq!(
        lost,
        [
            ("local.d/ratelimit.conf".to_owned(), "the site's, ignored".to_owned()),
            ("new.conf".to_owned(), "the site's, untracked".to_owned()),
        ]
    );
}

#[test]
fn a_kill_between_any_two_steps_can_be_finished_or_undone() {
    let site = busy_site();
    let before = site.snapshot();
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    let (removals, writes): (Vec<_>, Vec<_>) =
        switch.steps.iter().cloned().partition(|step| step.becomes.is_none());
    let in_order: Vec<_> = removals.into_iter().rev().chain(writes).collect();
    for stop in 0..=in_order.len() {
        // The state after a kill at that step: files moved, index and branch not.
        let cut = Switch { steps: in_order[..stop].to_vec(), ..switch.clone() };
        cut.apply(&site.repo, "cut short", &events()).unwrap();
        site.git(&["update-ref", "refs/heads/master", &switch.from.to_string()]);
        let expected = if stop == 0 { Standing::Old } else { Standing::Between };
        assert_eq!(switch.standing(&site.repo).unwrap(), expected, "after {stop} steps");
        if stop % 2 == 0 {
            switch.apply(&site.repo, "finished", &events()).unwrap();
            assert_eq!(switch.standing(&site.repo).unwrap(), Standing::New);
            assert_eq!(site.git(&["status", "--porcelain"]), "?? kept/");
        }
        switch.undo(&site.repo, "undone", &events()).unwrap();
        assert_eq!(site.snapshot(), before, "after {stop} steps");
    }
}

#[test]
fn a_plan_survives_the_journal() {
    let site = busy_site();
    let Prepared { switch, .. } = site.prepare(Favor::Ours);
    let text = serde_json::to_string(&switch).unwrap();
    assert_eq!(serde_json::from_str::<Switch>(&text).unwrap(), switch);
}

#[test]
fn what_changes_after_the_plan_stops_the_switch_before_it_begins() {
    let site = busy_site();
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    site.write("main.cf", "changed meanwhile\n");
    let before = site.snapshot();
    let error = switch.apply(&site.repo, "update", &events()).unwrap_err();
    assert!(error.headline().contains("main.cf"), "{error}");
    assert_eq!(site.snapshot(), before);
}

#[test]
fn what_was_written_since_is_kept_when_the_switch_is_undone() {
    let site = busy_site();
    let before = site.snapshot();
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    switch.apply(&site.repo, "update", &events()).unwrap();
    site.write("main.cf", "a container rewrote it\n");
    let kept = switch.undo(&site.repo, "rollback", &events()).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].path.text(), "main.cf");
    assert_eq!(site.repo.blob(kept[0].oid).unwrap(), b"a container rewrote it\n");
    assert_eq!(site.snapshot(), before);
}

#[test]
fn files_that_need_no_change_keep_their_times() {
    let site = busy_site();
    let times = |path: &str| std::fs::metadata(site.path(path)).unwrap().modified().unwrap();
    let (same, conf) = (times("same"), times("mailcow.conf"));
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    switch.apply(&site.repo, "update", &events()).unwrap();
    assert_eq!((same, conf), (times("same"), times("mailcow.conf")));
    // git need not read anything again: what the index says of each file is true.
    assert_eq!(site.git(&["diff-files", "--name-only"]), "");
}

/// Writes files of the site as soon as the switch has moved its first one.
struct Meddler {
    root: std::path::PathBuf,
    done: bool,
}

impl cowhand::event::Sink for Meddler {
    fn event(&mut self, event: &cowhand::event::Event) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        assert!(matches!(event, cowhand::event::Event::Progress { .. }));
        for path in ["tool.sh", "main.cf", "deep/er/new"] {
            let path = self.root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "written by a container meanwhile\n").unwrap();
        }
    }
}

#[test]
fn what_is_written_while_files_are_switched_is_kept_and_named() {
    let site = busy_site();
    let before = site.snapshot();
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    let events = events();
    events.add(Box::new(Meddler { root: site.path(""), done: false }));
    let kept = switch.apply(&site.repo, "update", &events).unwrap();
    let named: Vec<String> = kept.iter().map(|kept| kept.path.to_string()).collect();
    assert_eq!(named, ["deep/er/new", "main.cf", "tool.sh"]);
    for kept in kept {
        assert_eq!(site.repo.blob(kept.oid).unwrap(), b"written by a container meanwhile\n");
    }
    assert_eq!(switch.standing(&site.repo).unwrap(), Standing::New);
    switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
    assert_eq!(site.snapshot(), before);
}

#[test]
fn what_a_killed_switch_had_swapped_out_is_kept_by_the_next_one() {
    let site = busy_site();
    let Prepared { switch, .. } = site.prepare(Favor::Theirs);
    switch.apply(&site.repo, "update", &events()).unwrap();
    // As a kill between the swap and the next step leaves it.
    site.write(".cowhand-main.cf", "written by a container meanwhile\n");
    site.git(&["update-ref", "refs/heads/master", &switch.from.to_string()]);
    let kept = switch.apply(&site.repo, "update", &events()).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].path.to_string(), "main.cf");
    assert_eq!(site.read(".cowhand-main.cf"), None);
}
