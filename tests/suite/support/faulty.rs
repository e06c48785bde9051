//! A small running site for faults, which knows what it is like before its update and after it.

use std::cell::Cell;
use std::fs::{self, File};
use std::time::{Duration, Instant};

use cowhand::failpoint::VARIABLE;
use cowhand::site::lock::Lock;
use cowhand::site::mailcow::APP_INFO;

use super::outside::{ReadOnly, SmallDisk};
use super::ran::Ran;
use super::site::Site;
use super::stack::small;
use super::whole::{Stands, Whole};

/// So much is free on the site's file system: more than an update asks for.
const MEGABYTES: u32 = 400;

/// A fault, and its point in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails.
    Error,
    /// The process dies when the stage is done and the journal does not say so yet.
    KilledBefore,
    /// The process dies when the journal says so.
    KilledAfter,
    /// The process is asked to end.
    Term,
    /// The folder of the runs can be read, not written.
    Journal,
    /// The site's file system is full.
    Full,
    /// Neither a command nor the engine answers in time.
    Late,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Error,
        Self::KilledBefore,
        Self::KilledAfter,
        Self::Term,
        Self::Journal,
        Self::Full,
        Self::Late,
    ];

    fn at(self) -> &'static str {
        match self {
            Self::Error => "begun:error",
            Self::KilledBefore => "acted:kill",
            Self::KilledAfter => "recorded:kill",
            Self::Term => "begun:term",
            Self::Journal | Self::Full => "begun:stop",
            Self::Late => "begun:time-out",
        }
    }
}

/// The site, on a file system of its own.
pub struct Faulty {
    disk: SmallDisk,
    /// The site.
    pub site: Site,
    /// The site before its update.
    pub old: Whole,
    /// The site after its update.
    pub new: Whole,
    /// The duration of the update.
    pub length: Duration,
    /// True if the last fault was a full file system.
    was_full: Cell<bool>,
}

impl Faulty {
    /// Its update replaces a container, restarts one and takes one away; it changes files, meets a
    /// conflict and a file in the way.
    pub fn make() -> Self {
        let services = [
            "unbound-mailcow",
            "mysql-mailcow",
            "redis-mailcow",
            "postfix-mailcow",
            "memcached-mailcow",
        ];
        let site =
            small(&services).edited("data/conf/postfix/main.cf", "threshold = 6", "threshold = 4");
        let site = site.has("cowhand.toml", "[verify]\nsettle = \"300ms\"\n");
        let disk = SmallDisk::under(&site.root(), MEGABYTES);
        let site = site.running();
        site.pushes("postfix", "1.81");
        let release = site
            .upstream
            .release("2026-03")
            .image("postfix", "1.81")
            .without_service("memcached-mailcow");
        let release = release
            .write("data/conf/rspamd/local.d/ratelimit.conf", "rates { to = \"10 / 1h\"; }\n");
        let release = release.replace("data/conf/redis/redis-conf.sh", "QW_*", "QW_* ~KEEP_*");
        release
            .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
            .publish()
            .unwrap();
        // From now on git's status leaves Cowhand's own files out.
        site.cowhand(["plan", "--until", "preflight"]).exits(0);
        let old = site.whole();
        let begun = Instant::now();
        site.cowhand(["update", "--yes"]).exits(0);
        let length = begun.elapsed();
        let new = site.whole();
        site.cowhand(["rollback", "--yes"]).exits(0);
        site.is_wholly(&old);
        Self { disk, site, old, new, length, was_full: Cell::new(false) }
    }

    /// An update that this strikes.
    pub fn struck(&self, stage: &str, fault: Fault) -> Ran {
        let update = self
            .site
            .prepared(["update", "--yes"])
            .env(VARIABLE, format!("{stage}:{}", fault.at()))
            .start();
        self.was_full.set(fault == Fault::Full);
        if fault.at() != "begun:stop" {
            return update.ends();
        }
        update.stops();
        let read_only = (fault == Fault::Journal)
            .then(|| ReadOnly::mount(&self.site.root().join(".git/cowhand/runs")));
        if fault == Fault::Full {
            self.disk.fill();
        }
        update.goes_on();
        let ran = update.ends();
        drop(read_only);
        self.disk.make_room();
        ran
    }

    /// The checker: every part of the site is old or new, byte for byte; nobody holds the lock; and
    /// `status` says what is there. Gives what is there and what `status` says.
    pub fn stands(&self) -> (Stands, String) {
        self.compose_ends();
        let stands = self.site.stands(&self.old, &self.new);
        assert!(
            Lock::holder(&self.site.root().join(".git/cowhand/lock")).is_none(),
            "somebody holds the lock"
        );
        let status = self.site.cowhand(["status", "--json"]).exits(0).event("report");
        let told = status["data"]["state"].as_str().unwrap().to_owned();
        let stands = if stands == Stands::Between && told == "new" && self.only_version_is_old() {
            Stands::New
        } else {
            stands
        };
        let agrees = match stands {
            Stands::Old => told != "new",
            Stands::New => told != "old",
            Stands::Between => told == "between",
        };
        assert!(agrees, "the site stands {stands:?}: {status:#}");
        (stands, told)
    }

    /// Returns true if the file system was full and nothing is old but the version that the web
    /// interface shows: a run warns of that, and counts as done.
    fn only_version_is_old(&self) -> bool {
        let differences = self.site.whole().differences(&self.new);
        self.was_full.get() && differences.iter().all(|name| name == "head" || name == APP_INFO)
    }

    /// Demands that the site is wholly one or the other, and that `status` says which.
    pub fn is_done(&self) -> Stands {
        let (stands, told) = self.stands();
        assert_eq!(told, format!("{stands:?}").to_lowercase());
        assert_ne!(stands, Stands::Between);
        stands
    }

    /// Ends an unfinished run in one of the two ways, demands that this made the site old or new,
    /// and makes it old.
    pub fn ends(&self, resume: bool) {
        if self.stands().1 == "between" {
            let way: &[&str] = if resume { &["resume"] } else { &["rollback", "--yes"] };
            self.site.runs(way).exits(0);
            let expected: &[Stands] =
                if resume { &[Stands::Old, Stands::New] } else { &[Stands::Old] };
            assert!(expected.contains(&self.is_done()));
        }
        if self.is_done() == Stands::New {
            self.site.cowhand(["rollback", "--yes"]).exits(0);
            assert_eq!(self.is_done(), Stands::Old);
        }
    }

    /// Waits until compose has finished what a killed run left to it.
    fn compose_ends(&self) {
        let runs = fs::read_dir(self.site.root().join(".git/cowhand/runs"))
            .into_iter()
            .flatten()
            .flatten();
        for lock in runs.filter_map(|run| File::open(run.path().join("compose.lock")).ok()) {
            lock.lock().unwrap();
        }
    }
}
