//! `cowhand check` against the commands that tell the same: `git ls-remote`, and the log of what is new.

use std::process::Command;
use std::sync::Arc;

use cowhand::demo::engine::Engine;
use cowhand::demo::site::{SERVICES, Site};

use crate::measure::{Row, compare};

/// On a site that is one release behind, and has fetched it.
pub fn ratio() -> Row {
    let site =
        Site::without_images(Arc::new(Engine::at("unix:///nonexistent/docker.sock")), "127.0.0.1:9", SERVICES).unwrap();
    site.upstream.release("2026-03").append("README.md", "\nNews.\n").publish().unwrap();
    site.git(&["fetch", "--quiet"]).unwrap();
    let root = site.root();
    let cowhand = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cowhand"));
        command.arg("check").arg("--site").arg(&root);
        command
    };
    let git = || {
        let mut command = Command::new("sh");
        command
            .args(["-c", "git ls-remote --quiet origin master && git log --format='%ci - %s' HEAD..origin/master"])
            .current_dir(&root);
        command
    };
    compare(
        "check, one release behind, upstream a folder on this machine",
        ("cowhand check", cowhand),
        ("git ls-remote, then git log HEAD..origin/master", git),
    )
}
