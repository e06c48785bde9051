//! Containers that an attacker controls: they write in the site's directories while an update runs.
//! Nothing outside the site changes, and nothing outside is read into it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use cowhand::demo::images::Image;
use cowhand::failpoint::VARIABLE;

use crate::support::ran::Ran;
use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Nothing: a_repository_whose_files_are_elsewhere_is_refused,
    a_compose_file_outside_the_site_is_left_alone,
    a_mailcow_conf_behind_a_stranger_s_link_is_not_read;
    Stack: a_container_that_swaps_files_for_links_reaches_nothing_outside,
    a_directory_that_turns_into_a_link_is_named_and_left_alone,
    mailcow_conf_keeps_its_mode_on_the_way_back,
}

/// The text that nobody may read into the site.
const SECRET: &str = "the-secret-of-the-host-6f1e";
/// The directories below `data` in which the hostile container writes.
const WRITABLE: [&str; 4] = ["assets/ssl", "web", "conf/rspamd", "conf/postfix"];
/// The updates in `make test`, and under `COWHAND_TORTURE`.
const UPDATES: [usize; 2] = [6, 60];

/// The files outside the site, beside it.
struct Outside {
    folder: std::path::PathBuf,
    before: BTreeMap<String, String>,
}

impl Outside {
    fn of(site: &Site) -> Self {
        let folder = site.outside().join("host");
        fs::create_dir_all(folder.join("inc")).unwrap();
        for name in ["secret", "cert.pem", "key.pem", "index.php", "inc/functions.inc.php"] {
            fs::write(folder.join(name), format!("{SECRET}\n")).unwrap();
        }
        let before = Self::listed(&folder);
        Self { folder, before }
    }

    /// Everything about every entry, but when it was last read.
    fn listed(folder: &Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![folder.to_owned()];
        while let Some(path) = open.pop() {
            let entry = fs::symlink_metadata(&path).unwrap();
            let content = if entry.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let what = (entry.ino(), entry.mode(), entry.uid(), entry.gid(), entry.ctime_nsec());
            found.insert(path.display().to_string(), format!("{what:?} {content:?}"));
            if entry.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        found
    }

    /// Demands that nothing outside changed, and that nothing of it is in the site or was said.
    fn is_safe(&self, site: &Site, ran: &Ran) {
        assert_eq!(self.before, Self::listed(&self.folder), "{ran}");
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{ran}");
        let mut open = vec![site.root()];
        while let Some(path) = open.pop() {
            let Ok(entry) = fs::symlink_metadata(&path) else { continue };
            if entry.is_dir() {
                open.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
            } else if entry.is_file() && !has_gone(&path, &entry) {
                let content = fs::read(&path).unwrap_or_default();
                let found = content.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
                assert!(!found, "{} holds what is outside: {ran}", path.display());
            }
        }
        let secret = self.folder.join("secret").display().to_string();
        let id = site.git(["hash-object", "--no-filters", &secret]);
        let stored = site.git(["cat-file", "--batch-all-objects", "--batch-check"]);
        assert!(!stored.contains(id.trim()), "git's objects hold what is outside: {ran}");
    }
}

/// While a container swaps entries, what was looked at may be another thing by now.
fn has_gone(path: &Path, seen: &fs::Metadata) -> bool {
    fs::symlink_metadata(path).map_or(true, |now| now.ino() != seen.ino() || !now.is_file())
}

/// A site with a container that meddles in what it mounts.
fn meddled_with() -> (Site, Outside) {
    let site = small(&["unbound-mailcow"]);
    let outside = Outside::of(&site);
    let places = WRITABLE.map(|folder| format!("/data/{folder}"));
    let meddler = Image::new()
        .env("MEDDLE", &places.join(":"))
        .env("MEDDLE_OUTSIDE", &outside.folder.display().to_string());
    site.images.push("meddler", "1", &meddler).unwrap();
    let mounts = WRITABLE.map(|folder| format!("      - ./data/{folder}:/data/{folder}\n"));
    let service = format!(
        "services:\n  meddler:\n    image: {}\n    volumes:\n{}",
        site.images.reference("meddler", "1"),
        mounts.concat()
    );
    let site = site.has("docker-compose.override.yml", &service);
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"300ms\"\n");
    let ssl = site.root().join("data/assets/ssl/mail.example.org");
    fs::create_dir_all(&ssl).unwrap();
    for name in ["cert.pem", "key.pem"] {
        fs::write(ssl.join(name), name).unwrap();
    }
    (site.running(), outside)
}

/// Upstream changes files in all directories where the container writes.
fn publish(site: &Site, number: usize) {
    let line = format!("# {number}\n");
    let release = site.upstream.commit("More").append("data/conf/postfix/main.cf", &line);
    let release = release.append("data/web/index.php", &line);
    release
        .write(&format!("data/web/inc/more{number}.php"), &line)
        .write("data/conf/rspamd/local.d/more.conf", &line)
        .publish()
        .unwrap();
}

fn a_container_that_swaps_files_for_links_reaches_nothing_outside() {
    let (site, outside) = meddled_with();
    let many = std::env::var_os("COWHAND_TORTURE").is_some();
    let mut updated = 0;
    for number in 0..UPDATES[usize::from(many)] {
        publish(&site, number);
        let ran = site.cowhand(["update", "--yes"]);
        outside.is_safe(&site, &ran);
        updated += usize::from(ran.code() == Some(0));
        if !matches!(ran.code(), Some(21..=23)) {
            continue;
        }
        // In the middle of its meddling the way back may fail too; without it, it does not.
        let ran = site.cowhand(["rollback", "--yes"]);
        outside.is_safe(&site, &ran);
        if ran.code() != Some(0) {
            site.compose(&["restart", "meddler"]).unwrap();
            site.compose(&["stop", "meddler"]).unwrap();
            restore(&site);
            let ran = site.cowhand(["rollback", "--yes"]).exits(0);
            outside.is_safe(&site, &ran);
            site.compose(&["start", "meddler"]).unwrap();
        }
    }
    site.compose(&["stop", "meddler"]).unwrap();
    restore(&site);
    let ran = site.cowhand(["update", "--yes"]);
    outside.is_safe(&site, &ran);
    println!("{updated} updates came to their end beside the meddler");
}

/// Puts back what the container had swapped when it was stopped.
fn restore(site: &Site) {
    let mut open: Vec<_> =
        WRITABLE.iter().map(|place| site.root().join("data").join(place)).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let mut path = entry.path();
            if let Some(name) = path.to_str().and_then(|name| name.strip_suffix(".away")) {
                let name = std::path::PathBuf::from(name);
                let _ = fs::remove_file(&name).or_else(|_| fs::remove_dir_all(&name));
                fs::rename(&path, &name).unwrap();
                path = name;
            }
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                open.push(path);
            }
        }
    }
}

fn a_directory_that_turns_into_a_link_is_named_and_left_alone() {
    // After the copies are made, and in the middle of the switch.
    for (window, code) in [("merge:begun:stop", 0), ("pull:recorded:stop", 0)] {
        let site =
            small(&["unbound-mailcow"]).has("cowhand.toml", "[verify]\nsettle = \"300ms\"\n");
        let outside = Outside::of(&site);
        let ssl = site.root().join("data/assets/ssl");
        fs::create_dir(ssl.join("sub")).unwrap();
        fs::write(ssl.join("sub/evil"), "* * * * * root /bin/sh\n").unwrap();
        let site = site.running();
        site.upstream.release("2026-03").append("README.md", "\nMore.\n").publish().unwrap();
        let update = site.prepared(["update", "--yes"]).env(VARIABLE, window).start();
        update.stops();
        fs::remove_dir_all(ssl.join("sub")).unwrap();
        symlink(&outside.folder, ssl.join("sub")).unwrap();
        update.goes_on();
        let ran = update.ends().exits(code).says("data/assets/ssl/sub");
        outside.is_safe(&site, &ran);
        let ran = site.cowhand(["rollback", "--yes"]).exits(0).says("data/assets/ssl/sub");
        outside.is_safe(&site, &ran);
    }
}

fn mailcow_conf_keeps_its_mode_on_the_way_back() {
    let site = small(&["unbound-mailcow"]).has("cowhand.toml", "[verify]\nsettle = \"300ms\"\n");
    let conf = site.root().join("mailcow.conf");
    let mode = || fs::metadata(&conf).unwrap().mode() & 0o7777;
    fs::set_permissions(&conf, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let site = site.running();
    site.upstream.release("2026-03").append("README.md", "\nMore.\n").publish().unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    site.cowhand(["rollback", "--yes"]).exits(0);
    assert_eq!(mode(), 0o640);
}

fn a_repository_whose_files_are_elsewhere_is_refused() {
    let site = Site::without_engine().behind_one_release();
    let elsewhere = site.outside().display().to_string();
    site.git(["config", "core.worktree", &elsewhere]);
    let ran = site.cowhand(["plan", "--until", "merge"]);
    assert!(matches!(ran.code(), Some(10 | 13)), "{ran}");
    ran.says("core.worktree");
}

fn a_compose_file_outside_the_site_is_left_alone() {
    let site = Site::without_engine().behind_one_release();
    let outside = site.outside().join("extra.yml");
    let content = "services: {}\n";
    fs::write(&outside, content).unwrap();
    let files = format!(
        "\nCOMPOSE_FILE={}:{}\n",
        site.root().join("docker-compose.yml").display(),
        outside.display()
    );
    site.edit("mailcow.conf", |text| text + &files).unwrap();
    let before = site.state();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    site.is_untouched_since(&before);
    assert_eq!(fs::read_to_string(&outside).unwrap(), content);
}

fn a_mailcow_conf_behind_a_stranger_s_link_is_not_read() {
    let site = Site::without_engine().behind_one_release();
    let conf = site.root().join("mailcow.conf");
    let target = site.outside().join("settings");
    fs::rename(&conf, &target).unwrap();
    symlink(&target, &conf).unwrap();
    site.cowhand(["plan", "--until", "merge"]).exits(0);
    std::os::unix::fs::chown(&target, Some(1000), Some(1000)).unwrap();
    site.cowhand(["plan", "--until", "merge"]).exits(10).says("mailcow.conf").says("1000");
}
