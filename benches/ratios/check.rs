//! `cowhand check` against the equivalent commands: `git ls-remote` and the log of new commits.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cowhand::demo::engine::Engine;
use cowhand::demo::https::Https;
use cowhand::demo::site::{SERVICES, Site};

use crate::history::git;
use crate::measure::{Row, compare};

/// On a site that is one release behind, and has fetched it.
pub fn ratios() -> [Row; 2] {
    let site = Site::without_images(
        Arc::new(Engine::at("unix:///nonexistent/docker.sock")),
        "127.0.0.1:9",
        SERVICES,
    )
    .unwrap();
    site.upstream.release("2026-03").append("README.md", "\nNews.\n").publish().unwrap();
    site.git(&["fetch", "--quiet"]).unwrap();
    let beside =
        ratio("check, one release behind, upstream a folder on this machine", &site.root(), None);
    let folder = tempfile::tempdir().unwrap();
    let upstream = site.git(&["remote", "get-url", "origin"]).unwrap();
    git(folder.path(), &["clone", "--quiet", "--bare", &upstream, "upstream.git"]);
    let server = Https::serve(folder.path()).unwrap();
    site.git(&["remote", "set-url", "origin", &format!("{}/upstream.git", server.url)]).unwrap();
    let across = ratio(
        "check, one release behind, upstream over https",
        &site.root(),
        Some(&server.trusted),
    );
    [across, beside]
}

fn ratio(what: &'static str, site: &Path, trusted: Option<&Path>) -> Row {
    let cowhand = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowhand"));
        command
            .envs(trusted.map(|file| ("SSL_CERT_FILE", file)))
            .arg("check")
            .arg("--site")
            .arg(site);
        command
    };
    let git = || {
        let mut command = Command::new("sh");
        command.envs(trusted.map(|file| ("GIT_SSL_CAINFO", file))).current_dir(site);
        command.args(["-c", "git ls-remote --quiet origin master && git log --format='%ci - %s' HEAD..origin/master"]);
        command
    };
    compare(
        what,
        ("cowhand check", cowhand),
        ("git ls-remote, then git log HEAD..origin/master", git),
    )
}
