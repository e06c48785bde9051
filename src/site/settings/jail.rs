//! The jail in which upstream's functions run: as a user that nothing else runs as, in namespaces
//! and a session of their own, without network, engine, terminal or devices, within limits, on
//! copies in memory. What they leave comes back through a pipe: no file of theirs is ever opened
//! from outside.

use std::path::Path;

use super::{Functions, Wish, mailcow};
use crate::error::{Context, Error, Result};
use crate::files;
use crate::path::quoted;
use crate::process::{Command, Confinement};

/// The user that upstream's functions run as. Nothing else on a machine has this number, so that
/// the limit on processes counts theirs alone.
const USER: &str = "2147418112";
/// The file to which the stand-in for the engine's client writes what it was asked to do.
const ASKED: &str = "asked";
/// The largest file that comes back, in bytes.
const MOST_OF_A_FILE: usize = 1 << 20;
/// The limits: the functions append some lines with grep and sed.
const LIMITS: Confinement =
    Confinement { processes: Some(64), memory: 256 << 20, file: 16 << 20, seconds: 60 };

/// A run of a release's functions.
pub struct Jail<'a> {
    /// The facts about the site.
    pub wish: &'a Wish<'a>,
    /// The functions.
    pub functions: &'a Functions,
    /// A new directory for their input.
    pub scratch: &'a Path,
}

/// The result of a run.
pub struct Outcome {
    /// The settings afterwards.
    pub conf: Vec<u8>,
    /// The other actions that were prevented.
    pub left_out: Vec<String>,
}

impl Jail<'_> {
    /// Runs them on a copy of `conf`, with copies of the other files that they name.
    pub async fn run(
        &self,
        conf: &[u8],
        mut file: impl FnMut(&str) -> Result<Option<Vec<u8>>>,
    ) -> Result<Outcome> {
        self.put(mailcow::CONF, conf)?;
        let mut named = Vec::new();
        for name in self.functions.files() {
            if let Some(content) = file(name)? {
                self.put(name, &content)?;
                named.push((name, content));
            }
        }
        self.put("functions.sh", self.functions.text().as_bytes())?;
        self.put("volumes", self.wish.volumes.join("\n").as_bytes())?;
        let names = [mailcow::CONF, ASKED].into_iter().chain(named.iter().map(|(name, _)| *name));
        let names: Vec<&str> = names.collect();
        self.put("driver.sh", driver(&names).as_bytes())?;
        let mut left = Left(self.enter(names.len()).await?);
        let conf = left.next()?.ok_or_else(|| unreadable("they removed mailcow.conf"))?;
        let asked = left.next()?.unwrap_or_default();
        let mut left_out = Vec::new();
        for (name, before) in named {
            match left.next()? {
                None => left_out.push(format!("remove {name}")),
                Some(after) if after != before => left_out.push(format!("change {name}")),
                Some(_) => {}
            }
        }
        left_out.extend(String::from_utf8_lossy(&asked).lines().map(str::to_owned));
        Ok(Outcome { conf, left_out })
    }

    fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.scratch.join(name);
        files::private_folder(path.parent().unwrap_or(self.scratch))?;
        files::write(&path, content, 0o600)
    }

    /// Runs the driver, and returns what it says of `files` files.
    async fn enter(&self, files: usize) -> Result<Vec<u8>> {
        let namespaces =
            ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--"];
        let ran = Command::new("unshare", self.wish.limit)
            .args(namespaces)
            .args(["bash", "-euc", JAIL, "bash"])
            .arg(self.scratch)
            .arg(USER)
            .confined(LIMITS)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/mnt")
            .env("LANG", "C.UTF-8")
            .env("DOCKER_COMPOSE_VERSION", self.wish.compose)
            .env("IPV6_BOOL", self.wish.ipv6.to_string())
            .most_output((files + 1) * (MOST_OF_A_FILE + 64))
            .run_ok()
            .await;
        let doing = "could not migrate a copy of mailcow.conf with upstream's own functions";
        ran.what(doing).map(|output| output.stdout).map_err(|error| {
            error.hint(
                "Check that unshare and setpriv (util-linux) work here; the functions run in their own \
                 namespaces.",
            )
        })
    }
}

/// The driver's account of the files, one after the other: `SIZE`, a line end, and so many bytes;
/// or `-` and a line end for one that is no regular file any more.
struct Left(Vec<u8>);

impl Left {
    fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| unreadable("they ended early"))?;
        let line = String::from_utf8_lossy(&self.0[..end]).into_owned();
        let rest = self.0.split_off(end + 1);
        if line == "-" {
            self.0 = rest;
            return Ok(None);
        }
        let size = line.parse().ok().filter(|size| *size <= MOST_OF_A_FILE.min(rest.len()));
        let size = size.ok_or_else(|| unreadable("a file of theirs is too large"))?;
        let mut content = rest;
        self.0 = content.split_off(size);
        Ok(Some(content))
    }
}

fn unreadable(why: &str) -> Error {
    Error::new("could not read what upstream's own functions made of mailcow.conf").because(why)
}

/// Makes everything read-only, and hides what sockets may lie in /run and /tmp, /sys, and all
/// devices but five. The copies from `$1` lie in memory, as /mnt. Then gives up every right and
/// becomes the user `$2`. The kernel forgets who dies with its parent where the user changes:
/// `--pdeathsig` says it again, or what loops would go on beyond its time.
const JAIL: &str = r#"
mount --make-rprivate /
mount -t tmpfs -o size=32m,nr_inodes=4096,mode=755 tmpfs /mnt
cp -r "$1/." /mnt
chown -R "$2:$2" /mnt
while read -r _ _ _ _ at _; do
    case "$at" in /mnt | /proc | /proc/*) ;; *) mount -o remount,bind,ro "$(printf '%b' "$at")" 2>/dev/null || true ;; esac
done </proc/self/mountinfo
mount -t tmpfs -o size=64k,mode=755 tmpfs /run
mkdir /run/dev
mount -t tmpfs -o size=64k,mode=755 tmpfs /run/dev
for device in null zero full random urandom; do
    : >/run/dev/$device
    mount --bind /dev/$device /run/dev/$device
done
ln -s /proc/self/fd /run/dev/fd
mount --move /run/dev /dev
mount -o remount,ro /dev
mount -o remount,ro /run
mount -t tmpfs -o ro tmpfs /tmp
mount -t tmpfs -o ro tmpfs /sys
mount -t proc proc /proc
cd /mnt
exec setpriv --reuid="$2" --regid="$2" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all --pdeathsig KILL bash driver.sh
"#;

/// Calls the functions as update.sh would, with nobody to answer, and prints what they leave of the
/// named files in the end, however they end.
fn driver(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(Path::new(name))).collect();
    let functions = std::iter::once(mailcow::INLINE_OPTIONS).chain(mailcow::OPTION_FUNCTIONS);
    let calls = functions.map(|name| format!("if declare -F {name} >/dev/null; then {name}; fi\n"));
    let head = format!("left=({})\nmost={MOST_OF_A_FILE}\n", quoted.join(" "));
    calls.fold(head + DRIVER, |driver, call| driver + &call) + "exit 0\n"
}

/// The preparations for the functions. The engine's client is a stand-in that knows the volumes'
/// names and records its calls. The functions, told not to ask, print what they would do.
const DRIVER: &str = r#"
exec 3>&1 >&2
print_what_is_left() {
    local name size
    for name in "${left[@]}"; do
        if [[ -f /mnt/$name && ! -L /mnt/$name ]] && size=$(stat -c %s "/mnt/$name") && ((size <= most)); then
            printf '%s\n' "$size"
            head -c "$size" "/mnt/$name"
        elif [[ -f /mnt/$name && ! -L /mnt/$name ]]; then
            printf 'large\n'
        else
            printf -- '-\n'
        fi
    done >&3
}
trap print_what_is_left EXIT
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
