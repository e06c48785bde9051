//! `cowhand check`: is there an update? It reads, and needs no engine.

use crate::support::site::Site;
use crate::support::tests;

tests! {
    Nothing: an_update_is_available,
    no_update_is_available,
    a_newer_release_is_told_from_a_newer_commit,
    it_cannot_tell_when_upstream_does_not_answer,
    it_cannot_tell_when_upstream_s_branch_is_gone,
    json_has_both_ends_and_the_commits,
    a_folder_that_is_no_site_cannot_be_told_about,
}

fn an_update_is_available() {
    let site = Site::without_engine().behind_one_release();
    let before = site.state();
    site.cowhand(["check"]).exits(0).says("Release 2026-03");
    site.is_untouched_since(&before);
}

fn no_update_is_available() {
    let site = Site::without_engine();
    let before = site.state();
    site.cowhand(["check"]).exits(3);
    site.is_untouched_since(&before);
}

fn a_newer_release_is_told_from_a_newer_commit() {
    let site = Site::without_engine();
    site.upstream.commit("Not released yet").append("README.md", "news\n").publish().unwrap();
    let before = site.state();
    site.cowhand(["check"]).exits(0);
    site.cowhand(["check", "--tags"]).exits(3).says("2026-01");
    let site = {
        site.is_untouched_since(&before);
        site.behind_one_release()
    };
    let ran = site.cowhand(["check", "--tags", "--json"]).exits(0);
    assert_eq!(ran.event("report")["data"]["tag"], "2026-03");
}

fn it_cannot_tell_when_upstream_does_not_answer() {
    let site = Site::without_engine();
    std::fs::rename(site.upstream.folder(), site.upstream.folder().with_extension("away")).unwrap();
    let before = site.state();
    site.cowhand(["check"]).exits(99).says("upstream");
    site.is_untouched_since(&before);
}

fn it_cannot_tell_when_upstream_s_branch_is_gone() {
    let site = Site::without_engine();
    let repository = site.upstream.repository();
    repository
        .find_reference("refs/heads/master")
        .unwrap()
        .rename("refs/heads/main", false, "")
        .unwrap();
    let before = site.state();
    site.cowhand(["check"]).exits(99).says("master");
    site.is_untouched_since(&before);
}

fn json_has_both_ends_and_the_commits() {
    let site = Site::without_engine().behind_one_release();
    let ran = site.cowhand(["check", "--json"]).exits(0);
    let check = ran.event("check");
    assert_eq!(check["update"], true);
    assert_eq!(check["head"], site.git(["rev-parse", "HEAD"]));
    assert_eq!(check["upstream"], site.upstream.tip().unwrap().to_string());
    assert_eq!(check["branch"], "origin/master");
    assert_eq!(ran.event("outcome")["code"], 0);
}

fn a_folder_that_is_no_site_cannot_be_told_about() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::ran::Cowhand::new(["check"])
        .folder(folder.path())
        .run()
        .exits(99)
        .says("mailcow");
}
