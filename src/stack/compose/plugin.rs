//! Finds the program behind `docker compose`. Called directly it answers in a third of the time:
//! `docker` starts it twice for each call, and up to version 28.3 each of its other plugins once.

#![expect(clippy::disallowed_methods, reason = "programs of the host")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::process;
use crate::stack::docker_config::{self, DockerConfig};

/// The program's name in a directory of plugins.
const NAME: &str = "docker-compose";
/// Its first argument, as `docker` gives it.
pub(super) const ARGUMENT: &str = "compose";
/// The variable that makes the program act as the plugin (docker/cli, `cli-plugins/manager`).
pub(super) const CALLED_BY: (&str, &str) = ("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "docker");
/// The directories that `docker` searches after those of the calling user (same source).
const PLACES: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// Returns the program that `docker compose` would start; `None` if that cannot be known.
pub(super) fn find() -> Option<PathBuf> {
    let folder = docker_config::folder(&docker_config::variable)?;
    if is_dockers_own(&process::find("docker")?) { first(&places(&folder)) } else { None }
}

/// Returns true if it is Docker's own program. A script may call it in its own way, and a link may
/// lead elsewhere: a snap has its own compose inside.
fn is_dockers_own(program: &Path) -> bool {
    let named = program.canonicalize().is_ok_and(|program| program.ends_with("docker"));
    let mut start = [0; 2];
    named
        && File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start != *b"#!"
}

/// Returns the directories to search, in this order.
fn places(configuration: &Path) -> Vec<PathBuf> {
    // An unreadable file must not keep us from searching the usual directories.
    let more = DockerConfig::read(configuration).unwrap_or_default().plugins();
    more.into_iter()
        .chain([configuration.join("cli-plugins")])
        .chain(PLACES.map(PathBuf::from))
        .collect()
}

/// Returns the absolute path of the first program that exists.
fn first(places: &[PathBuf]) -> Option<PathBuf> {
    let program = places.iter().map(|place| place.join(NAME)).find(|program| program.exists())?;
    std::path::absolute(program).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_dockers_and_the_persons_own_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let (root, own) = (folder.path(), folder.path().join("cli-plugins"));
        let add = |place: &Path| {
            std::fs::create_dir_all(place).unwrap();
            std::fs::write(place.join(NAME), "").unwrap();
        };
        assert!(
            first(&places(root)).is_none_or(|system| !system.starts_with(root)),
            "nothing is there yet"
        );
        add(&own);
        assert_eq!(first(&places(root)), Some(own.join(NAME)));
        let more = root.join("more");
        std::fs::write(
            root.join("config.json"),
            serde_json::json!({"cliPluginsExtraDirs": [more]}).to_string(),
        )
        .unwrap();
        assert_eq!(first(&places(root)), Some(own.join(NAME)), "the folder is empty");
        add(&more);
        assert_eq!(first(&places(root)), Some(more.join(NAME)));
    }

    #[test]
    fn scripts_and_links_to_something_else_are_not_dockers_own() {
        let folder = tempfile::tempdir().unwrap();
        let [script, program, snap] =
            ["script/docker", "bin/docker", "snap/docker"].map(|path| folder.path().join(path));
        for path in [&script, &program, &snap] {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::copy("/bin/true", &program).unwrap();
        std::os::unix::fs::symlink("/bin/true", &snap).unwrap();
        assert_eq!(
            [&script, &program, &snap].map(|path| is_dockers_own(path)),
            [false, true, false]
        );
    }
}
