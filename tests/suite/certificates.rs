//! Certificates through a whole update: what an ACME client outside has renewed is what the site
//! has afterwards, each file with its own content, however often a stage is done.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use cowhand::demo::certificate;
use cowhand::failpoint::VARIABLE;

use crate::support::probe::probe;
use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Stack: a_renewed_pair_is_installed,
    a_renewed_pair_is_installed_with_each_stage_done_twice,
    a_renewed_pair_is_installed_after_a_kill,
    the_last_of_two_plugins_decides_on_its_file_alone,
}

const SERVICES: &[&str] = &["unbound-mailcow", "mysql-mailcow", "redis-mailcow", "postfix-mailcow"];

/// A site with the recipe of the documentation and a pair that was just renewed, which it returns.
fn renewed(more: &str) -> (Site, [String; 2]) {
    let site = small(SERVICES);
    let pair = certificate::for_name("mail.example.org").unwrap();
    let (live, archive) = (site.outside().join("live"), site.outside().join("archive"));
    fs::create_dir(&live).unwrap();
    fs::create_dir(&archive).unwrap();
    for (name, content) in [("fullchain", &pair.certificate), ("privkey", &pair.key)] {
        fs::write(archive.join(format!("{name}2.pem")), content).unwrap();
        symlink(format!("../archive/{name}2.pem"), live.join(format!("{name}.pem"))).unwrap();
    }
    let outside = site.outside().display().to_string();
    let toml = format!(
        "[verify]\nsettle = \"300ms\"\n[[plugin]]\nname = \"certs\"\nsource = \"stock:certificates\"\n\
         [plugin.grant]\nread = [\"data/assets/ssl\", \"{outside}\"]\ninstall = [\"data/assets/ssl\"]\n\
         [plugin.config]\nsource = \"{outside}/live\"\nnames = [\"mail.example.org\"]\n{more}"
    );
    let site = site.has("cowhand.toml", &toml).running();
    site.cowhand(["plugin", "approve", "--yes"]).exits(0);
    site.upstream.release("2026-03").append("README.md", "\nMore.\n").publish().unwrap();
    (site, [pair.certificate, pair.key])
}

/// Demands that both files are there, each with its own content and mode.
fn has(site: &Site, certificate: &str, key: &str) {
    let ssl = site.root().join("data/assets/ssl");
    for (name, content, mode) in [("cert.pem", certificate, 0o644), ("key.pem", key, 0o600)] {
        let path = ssl.join(name);
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file(), "{name} is a file of the site's own");
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "{name}");
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
    }
}

fn a_renewed_pair_is_installed() {
    let (site, [certificate, key]) = renewed("");
    let before = fs::read_link(site.root().join("data/assets/ssl/cert.pem")).unwrap();
    site.cowhand(["update", "--yes"]).exits(0);
    has(&site, &certificate, &key);
    site.cowhand(["rollback", "--yes"]).exits(0);
    let link = site.root().join("data/assets/ssl/cert.pem");
    assert_eq!(fs::read_link(link).unwrap(), before, "links come back as links");
}

fn a_renewed_pair_is_installed_with_each_stage_done_twice() {
    let (site, [certificate, key]) = renewed("");
    site.prepared(["update", "--yes"]).env(VARIABLE, "every:acted:twice").run().exits(0);
    has(&site, &certificate, &key);
}

fn a_renewed_pair_is_installed_after_a_kill() {
    let (site, [certificate, key]) = renewed("");
    site.prepared(["update", "--yes"]).env(VARIABLE, "switch:acted:kill").run().was_killed();
    site.cowhand(["resume"]).exits(0);
    has(&site, &certificate, &key);
}

fn the_last_of_two_plugins_decides_on_its_file_alone() {
    let mine = format!(
        "[[plugin]]\nname = \"mine\"\nsource = \"{}\"\ngrant = {{ install = [\"data/assets/ssl\"] }}\n\
         [plugin.config]\npost-pull = 'file 644 data/assets/ssl/cert.pem'\n",
        probe().display()
    );
    let (site, [_, key]) = renewed(&mine);
    site.cowhand(["update", "--yes"]).exits(0);
    has(&site, "x", &key);
}
