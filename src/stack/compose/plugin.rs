//! Where `docker` keeps the program behind `docker compose`: called as `docker` itself calls it, it answers in a third of the time, since
//! `docker` starts it twice for each call, and first looks at what else it could start.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::process;
use crate::stack::endpoint::configuration_folder;

/// What the program is called in a folder of plugins.
const NAME: &str = "docker-compose";
/// Its first argument, as `docker` gives it.
pub(super) const ARGUMENT: &str = "compose";
/// By this variable the program knows that it is the plugin (docker/cli, package `cli-plugins/manager`).
pub(super) const CALLED_BY: (&str, &str) = ("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "docker");
/// Where `docker` looks after the places of the one who calls it (the same).
const PLACES: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// The program that `docker compose` would start; none where that is not for us to know: without `docker`, or where `docker` is a script,
/// which is somebody's own way of calling it.
pub(super) fn find() -> Option<PathBuf> {
    let docker = process::find("docker")?;
    let folder = configuration_folder(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    if is_script(&docker) { None } else { first(&places(folder.as_deref())) }
}

fn is_script(program: &Path) -> bool {
    let mut start = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

/// The folders that are looked through, in this order.
fn places(configuration: Option<&Path>) -> Vec<PathBuf> {
    #[derive(Default, Deserialize)]
    struct Config {
        #[serde(rename = "cliPluginsExtraDirs", default)]
        more: Vec<PathBuf>,
    }
    let text = configuration.and_then(|folder| std::fs::read_to_string(folder.join("config.json")).ok());
    let config: Config = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let own = configuration.map(|folder| folder.join("cli-plugins"));
    config.more.into_iter().chain(own).chain(PLACES.map(PathBuf::from)).collect()
}

fn first(places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().map(|place| place.join(NAME)).find(|program| program.exists())
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
        assert_eq!(first(&places(Some(root))), first(&places(None)), "nothing is there yet");
        add(&own);
        assert_eq!(first(&places(Some(root))), Some(own.join(NAME)));
        let more = root.join("more");
        std::fs::write(root.join("config.json"), serde_json::json!({"cliPluginsExtraDirs": [more]}).to_string())
            .unwrap();
        assert_eq!(first(&places(Some(root))), Some(own.join(NAME)), "the folder is empty");
        add(&more);
        assert_eq!(first(&places(Some(root))), Some(more.join(NAME)));
    }

    #[test]
    fn a_script_is_told_from_a_program() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("docker");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(is_script(&script) && !is_script(&std::env::current_exe().unwrap()));
    }
}
