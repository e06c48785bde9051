//! `mailcow.conf` as a release wants it: upstream's own functions, run on a copy, where they can touch nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mailcow::{self, Conf};
use crate::error::{Context, Error, Result};
use crate::files;
use crate::process::Command;

/// The user that upstream's functions run as: `nobody`.
const NOBODY: u32 = 65534;
/// They append some lines; this is ample.
const LIMIT: Duration = Duration::from_mins(1);

/// One option that a migration adds, takes away, or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The option.
    pub name: String,
    /// What happens to it.
    pub change: Kind,
}

/// What happens to an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It is new.
    Added,
    /// The release does not know it any more.
    Removed,
    /// It has another value.
    Changed,
}

/// The functions of a release that bring a `mailcow.conf` up to date, as bash.
#[derive(Clone, Debug)]
pub struct Functions(String);

impl Functions {
    /// From the files of a release, given a reader of them: its modules, or for older ones what its update.sh carries. None where the
    /// release has neither: before 2025-01 they were no functions.
    pub fn of_release(mut file: impl FnMut(&str) -> Result<Option<Vec<u8>>>) -> Result<Option<Self>> {
        let mut modules = String::new();
        for name in mailcow::OPTION_MODULES {
            modules.extend(file(name)?.map(|content| format!("{}\n", String::from_utf8_lossy(&content))));
        }
        if !modules.is_empty() {
            return Ok(Some(Self(modules)));
        }
        let script = file(mailcow::UPDATE_SCRIPT)?.unwrap_or_default();
        let functions =
            mailcow::OPTION_FUNCTIONS.iter().filter_map(|name| function(&String::from_utf8_lossy(&script), name));
        let functions: String = functions.collect();
        Ok(Some(functions).filter(|functions| !functions.is_empty()).map(Self))
    }
}

/// The text of a shell function that begins and ends at the beginning of a line.
fn function(script: &str, name: &str) -> Option<String> {
    let head = format!("{name}()");
    let mut lines = script.lines().skip_while(|line| !line.starts_with(&head)).peekable();
    lines.peek()?;
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
        if line == "}" {
            return Some(text);
        }
    }
    None
}

/// Runs the functions on a copy of `conf` in the new folder `scratch`, and gives what they made of it. They run as nobody, in namespaces
/// of their own: no network, no engine, and nothing to write but the scratch folder. `compose` is how compose is called: `native` or `standalone`.
pub async fn adapt(conf: &[u8], functions: &Functions, scratch: &Path, compose: &str) -> Result<Vec<u8>> {
    files::private_folder(scratch)?;
    let copy = scratch.join(mailcow::CONF);
    files::write(&copy, conf, 0o600)?;
    files::write(&scratch.join("functions.sh"), functions.0.as_bytes(), 0o644)?;
    files::write(&scratch.join("driver.sh"), DRIVER.as_bytes(), 0o644)?;
    for path in [scratch, &copy] {
        chown(path, Some(NOBODY), Some(NOBODY)).what("could not give the scratch copy away")?;
    }
    let output = Command::new("unshare", LIMIT)
        .args([
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--fork",
            "--kill-child",
            "--",
            "bash",
            "-euc",
            JAIL,
            "bash",
        ])
        .arg(scratch)
        .env("DOCKER_COMPOSE_VERSION", compose)
        .without_env("DOCKER_HOST")
        .run_ok()
        .await;
    output.what("could not bring a copy of mailcow.conf up to date with upstream's own functions").map_err(
        |error| {
            error.hint(
                "They run in namespaces of their own, with unshare and setpriv of util-linux: see that both work here.",
            )
        },
    )?;
    let adapted = fs::read(&copy).what("could not read the migrated mailcow.conf")?;
    whole(conf, &adapted).map(|()| adapted)
}

/// A migration that empties the file is a failure, whatever it says of itself.
fn whole(before: &[u8], after: &[u8]) -> Result<()> {
    let names = |text: &[u8]| Conf::parse(&String::from_utf8_lossy(text)).get(mailcow::HOSTNAME).map(str::to_owned);
    if names(before) == names(after) {
        Ok(())
    } else {
        Err(Error::new(format!("migrating mailcow.conf would lose {}", mailcow::HOSTNAME)))
    }
}

/// What differs between two `mailcow.conf`, option by option.
pub fn changes(before: &[u8], after: &[u8]) -> Vec<Change> {
    let parse = |text: &[u8]| -> BTreeMap<String, String> { Conf::parse(&String::from_utf8_lossy(text)).into() };
    let (before, after) = (parse(before), parse(after));
    let change = |name: &String| match (before.get(name), after.get(name)) {
        (None, Some(_)) => Some(Kind::Added),
        (Some(_), None) => Some(Kind::Removed),
        (old, new) if old != new => Some(Kind::Changed),
        _ => None,
    };
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter_map(|name| change(name).map(|change| Change { name: name.clone(), change })).collect()
}

/// Makes everything read-only but `$1`, which appears as /mnt, hides what sockets may lie in /run, and gives up every right.
const JAIL: &str = r#"
mount --make-rprivate /
mount --bind "$1" /mnt
while read -r _ _ _ _ at _; do
    case "$at" in /mnt | /proc | /proc/*) ;; *) mount -o remount,bind,ro "$(printf '%b' "$at")" 2>/dev/null || true ;; esac
done </proc/self/mountinfo
mount -t tmpfs -o ro tmpfs /run
mount -t tmpfs -o ro tmpfs /tmp
mount -t proc proc /proc
cd /mnt
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all bash driver.sh
"#;

/// Calls the functions as update.sh would, with nobody to answer and no engine to change.
const DRIVER: &str = r#"
docker() { :; }
sleep() { :; }
SCRIPT_DIR=/mnt MAILCOW_CONF=/mnt/mailcow.conf TMPDIR=/mnt
compose_type=$DOCKER_COMPOSE_VERSION
source ./mailcow.conf
DOCKER_COMPOSE_VERSION=$compose_type
IPV6_BOOL=${ENABLE_IPV6:-true}
source ./functions.sh
for name in migrate_solr_config_options migrate_config_options adapt_new_options; do
    if declare -F "$name" >/dev/null; then "$name"; fi
done
exit 0
"#;

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "adapt_new_options() {\n  grep -q ^REDISPASS= mailcow.conf || echo REDISPASS=secret >> mailcow.conf\n  sed -i '/^SOLR_HEAP=/d' mailcow.conf\n  touch /etc/cowhand-was-here /tmp/cowhand-was-here 2>/dev/null\n  id -u > who\n  grep -c : /proc/net/dev > net\n}\n";

    fn functions(text: &str) -> Functions {
        Functions::of_release(|name| Ok((name == mailcow::OPTION_MODULES[0]).then(|| text.as_bytes().to_vec())))
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn upstream_s_functions_change_the_copy_and_can_reach_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        let before = b"MAILCOW_HOSTNAME=mail.example.org\nSOLR_HEAP=1\n# kept\n";
        let after = adapt(before, &functions(MODULE), &scratch, "native").await.unwrap();
        assert_eq!(String::from_utf8_lossy(&after), "MAILCOW_HOSTNAME=mail.example.org\n# kept\nREDISPASS=secret\n");
        let named = changes(before, &after);
        assert_eq!(
            named.iter().map(|c| (c.name.as_str(), c.change)).collect::<Vec<_>>(),
            [("REDISPASS", Kind::Added), ("SOLR_HEAP", Kind::Removed)]
        );
        assert!(!Path::new("/etc/cowhand-was-here").exists() && !Path::new("/tmp/cowhand-was-here").exists());
        assert_eq!(fs::read_to_string(scratch.join("who")).unwrap(), "65534\n");
        assert_eq!(fs::read_to_string(scratch.join("net")).unwrap(), "1\n", "only its own loopback");
    }

    #[tokio::test]
    async fn a_migration_that_empties_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let broken = functions("adapt_new_options() {\n  : > mailcow.conf\n}\n");
        assert!(adapt(b"MAILCOW_HOSTNAME=a.b.c\n", &broken, &folder.path().join("s"), "native").await.is_err());
    }

    #[test]
    fn older_releases_carry_their_functions_in_update_sh() {
        let script = "x() {\n}\nadapt_new_options() {\n  echo a\n}\necho rest\n";
        let functions =
            Functions::of_release(|name| Ok((name == mailcow::UPDATE_SCRIPT).then(|| script.as_bytes().to_vec())))
                .unwrap()
                .unwrap();
        assert_eq!(functions.0, "adapt_new_options() {\n  echo a\n}\n");
        assert!(Functions::of_release(|_| Ok(None)).unwrap().is_none());
    }
}
