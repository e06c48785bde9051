//! A process that asks a hook once, warm, against the shell script that people would write instead.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cowhand::error::{Error, Result};
use cowhand::event::Events;
use cowhand::path::SitePath;
use cowhand::plugin::types::{Blobs, Conflict, ConflictKind, Favor, FileMode, Hunk, Side, TextMerge, Version};
use cowhand::plugin::{Cache, Options, Plugins};

use crate::measure::{Row, compare};

/// What a site's script for the same would be: it decides by the path alone.
const SCRIPT: &str = "case $1 in data/conf/*) echo theirs ;; *) echo pass ;; esac\n";

/// From the start of the process to the first answer of the stock conflict policy; the stock plugins are all loaded, from the cache.
pub fn ratio() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("hook.sh");
    std::fs::write(&script, SCRIPT).unwrap();
    let program = std::env::current_exe().unwrap();
    let cowhand = || {
        let mut command = Command::new(&program);
        command.arg("hook").arg(folder.path());
        command
    };
    let bash = || {
        let mut command = Command::new("bash");
        command.arg(&script).arg("data/conf/postfix/main.cf");
        command
    };
    compare(
        "a process that asks a conflict resolver once, compiled code cached, five plugins loaded",
        ("the plugin host", cowhand),
        ("bash hook.sh", bash),
    )
}

/// The side that is measured.
pub fn once(site: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Options {
            site: Path::new(site).to_owned(),
            cache: Cache::of_the_platform(),
            offline: true,
            events: Events::default(),
            text_merge: Arc::new(Unread),
        };
        let mut plugins = Plugins::load(&[], &options).await.unwrap();
        let path = SitePath::from("data/conf/postfix/main.cf");
        let version = Some(Version { path: path.clone(), mode: FileMode::File });
        let conflict = Conflict {
            path,
            kind: ConflictKind::Content,
            collision: None,
            prefers: Favor::Theirs,
            base: version.clone(),
            ours: version.clone(),
            theirs: version,
        };
        println!("{:?}", plugins.resolve(&conflict, Arc::new(Unread)).await.unwrap());
    });
}

/// The texts of a conflict that is decided by its path: nobody reads them.
struct Unread;

impl Blobs for Unread {
    fn size(&self, _: Side) -> Result<u64> {
        Err(Error::new("nobody reads this"))
    }

    fn read(&self, _: Side) -> Result<Vec<u8>> {
        Err(Error::new("nobody reads this"))
    }
}

impl TextMerge for Unread {
    fn merge(&self, _: &[u8], _: &[u8], _: &[u8], _: Option<Favor>) -> Result<Vec<Hunk>> {
        Err(Error::new("nobody merges this"))
    }
}
