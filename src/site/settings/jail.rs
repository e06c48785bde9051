//! Where upstream's functions run: as nobody, in namespaces of their own, without network, engine, or anything to write but a scratch folder.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use super::{Functions, Wish, mailcow};
use crate::error::{Context, Result};
use crate::files;
use crate::process::Command;

/// The user that upstream's functions run as: `nobody`.
const NOBODY: u32 = 65534;
/// The file to which the stand-in for the engine's client writes what it was asked to do.
const ASKED: &str = "asked";

/// A run of a release's functions.
pub struct Jail<'a> {
    /// What is known of the site.
    pub wish: &'a Wish<'a>,
    /// The functions.
    pub functions: &'a Functions,
    /// A new folder to run in.
    pub scratch: &'a Path,
}

/// What came of a run.
pub struct Outcome {
    /// What they made of the settings.
    pub conf: Vec<u8>,
    /// What else they would have done.
    pub left_out: Vec<String>,
}

impl Jail<'_> {
    /// Runs them on a copy of `conf`, with copies of the other files that they name.
    pub async fn run(&self, conf: &[u8], mut file: impl FnMut(&str) -> Result<Option<Vec<u8>>>) -> Result<Outcome> {
        self.put(mailcow::CONF, conf)?;
        self.put("functions.sh", self.functions.text().as_bytes())?;
        self.put("driver.sh", driver().as_bytes())?;
        self.put("volumes", self.wish.volumes.join("\n").as_bytes())?;
        let mut named = Vec::new();
        for name in self.functions.files() {
            if let Some(content) = file(name)? {
                self.put(name, &content)?;
                named.push((name, content));
            }
        }
        self.enter().await?;
        let read = |name: &str| fs::read(self.scratch.join(name)).ok();
        let touched = named.iter().filter_map(|(name, before)| match read(name) {
            None => Some(format!("remove {name}")),
            Some(after) => (after != *before).then(|| format!("change {name}")),
        });
        let mut left_out: Vec<String> = touched.collect();
        left_out.extend(String::from_utf8_lossy(&read(ASKED).unwrap_or_default()).lines().map(str::to_owned));
        let conf = fs::read(self.scratch.join(mailcow::CONF)).what("could not read the migrated mailcow.conf")?;
        Ok(Outcome { conf, left_out })
    }

    /// Writes a file that the functions may change.
    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.scratch.join(name);
        let folder = path.parent().unwrap_or(self.scratch);
        files::private_folder(folder)?;
        files::write(&path, content, 0o600)?;
        let mut ours = Some(path.as_path());
        while let Some(one) = ours.filter(|one| one.starts_with(self.scratch)) {
            chown(one, Some(NOBODY), Some(NOBODY)).what("could not give the scratch copy away")?;
            ours = one.parent();
        }
        Ok(())
    }

    async fn enter(&self) -> Result<()> {
        let namespaces = ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--"];
        let ran = Command::new("unshare", self.wish.limit)
            .args(namespaces)
            .args(["bash", "-euc", JAIL, "bash"])
            .arg(self.scratch)
            .env("DOCKER_COMPOSE_VERSION", self.wish.compose)
            .env("IPV6_BOOL", self.wish.ipv6.to_string())
            .without_env("DOCKER_HOST")
            .run_ok()
            .await;
        let doing = "could not bring a copy of mailcow.conf up to date with upstream's own functions";
        ran.what(doing).map(drop).map_err(|error| {
            error.hint(
                "They run in namespaces of their own, with unshare and setpriv of util-linux: see that both work here.",
            )
        })
    }
}

/// Makes everything read-only but `$1`, which appears as /mnt, hides what sockets may lie in /run and /tmp, and gives up every right. The kernel forgets
/// who dies with its parent where the user changes: `--pdeathsig` says it again, or what loops would go on beyond its time.
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
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all --pdeathsig KILL bash driver.sh
"#;

/// Calls the functions as update.sh would, with nobody to answer.
fn driver() -> String {
    let names = std::iter::once(mailcow::INLINE_OPTIONS).chain(mailcow::OPTION_FUNCTIONS);
    let calls = names.map(|name| format!("if declare -F {name} >/dev/null; then {name}; fi\n"));
    calls.fold(DRIVER.to_owned(), |driver, call| driver + &call) + "exit 0\n"
}

/// What has to be there before the functions are called. The engine's client is a stand-in that knows the volumes' names and writes
/// down what it is asked to do; told not to ask, the functions say what they would do.
const DRIVER: &str = r#"
docker() {
    if [[ "$1 $2" == "volume ls" ]]; then
        local filter=${!#}
        grep -E -- "${filter#*name=}" volumes || true
    else
        echo "docker $*" >>asked
    fi
}
sleep() { :; }
SCRIPT_DIR=/mnt MAILCOW_CONF=/mnt/mailcow.conf TMPDIR=/mnt FORCE=y
compose_type=$DOCKER_COMPOSE_VERSION ipv6=$IPV6_BOOL
source ./mailcow.conf
DOCKER_COMPOSE_VERSION=$compose_type IPV6_BOOL=$ipv6
source ./functions.sh
"#;
