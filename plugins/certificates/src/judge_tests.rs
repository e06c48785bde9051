//! Sites and ACME clients' directories as found on disk.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::*;

const CERTIFICATES: [&[u8]; 2] =
    [include_bytes!("../testdata/ec.cert.pem"), include_bytes!("../testdata/rsa.cert.pem")];
const KEYS: [&[u8]; 2] =
    [include_bytes!("../testdata/ec.pkcs8.pem"), include_bytes!("../testdata/rsa.pkcs1.pem")];

struct Machine(tempfile::TempDir);

impl Machine {
    /// A site with the first pair and no problems.
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.put("data/assets/ssl/cert.pem", CERTIFICATES[0], 0o644);
        machine.put("data/assets/ssl/key.pem", KEYS[0], 0o600);
        machine.put("data/assets/ssl/dhparams.pem", b"", 0o644);
        machine
    }

    /// Adds certbot's directories with the second pair.
    fn with_certbot(self) -> Self {
        self.put("archive/fullchain1.pem", CERTIFICATES[1], 0o644);
        self.put("archive/privkey1.pem", KEYS[1], 0o600);
        std::fs::create_dir(self.path("live")).unwrap();
        for name in ["fullchain", "privkey"] {
            symlink(format!("../archive/{name}1.pem"), self.path(&format!("live/{name}.pem")))
                .unwrap();
        }
        self
    }

    fn put(&self, path: &str, content: &[u8], mode: u32) {
        let path = self.path(path);
        std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.path(path)).unwrap();
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.0.path().display())
    }

    fn files(&self) -> Files<fn(&str) -> Option<u32>> {
        let mode = |path: &str| {
            std::fs::metadata(path).ok().map(|about| about.permissions().mode() & 0o7777)
        };
        Files { root: self.path(""), mode }
    }

    fn settings(&self, json: &str) -> Settings {
        guest::settings(&json.replace("LIVE", &self.path("live"))).unwrap()
    }

    /// The problems, with the machine's temporary directory removed from the paths.
    fn problems(&self, json: &str, now: i64) -> Vec<String> {
        let (settings, files) = (self.settings(json), self.files());
        let found = source(&settings, &files, now).and(site(&settings, &files, now));
        found.problems.iter().map(|problem| problem.replace(&self.path(""), "")).collect()
    }

    fn handed(&self, json: &str, now: i64) -> Vec<NewFile> {
        source(&self.settings(json), &self.files(), now).files
    }
}

/// Returns the time this many days before the first test certificate expires.
fn days_left(days: i64) -> i64 {
    CERTIFICATES.map(|pem| Leaf::read(pem).unwrap().until).into_iter().min().unwrap() - days * DAY
}

#[test]
fn a_site_in_order_has_no_problems() {
    assert!(
        Machine::new().problems(r#"{"names": ["mail.example.org"]}"#, days_left(60)).is_empty()
    );
}

#[test]
fn a_site_that_may_not_be_read_has_no_problems_either() {
    let nowhere = Files { root: "/nowhere/".to_owned(), mode: |_: &str| None };
    let found = site(&Settings::default(), &nowhere, days_left(60));
    assert!(found.main.is_empty() && found.others.is_empty());
}

#[test]
fn certificates_about_to_expire_are_reported() {
    let machine = Machine::new();
    let found = |days| machine.problems(r#"{"warn-days": 7}"#, days_left(days) - 1).concat();
    assert_eq!(found(7), "");
    assert_eq!(found(6), "data/assets/ssl/cert.pem expires in 6 days");
    assert_eq!(found(1), "data/assets/ssl/cert.pem expires in 1 day");
    assert_eq!(found(-3), "data/assets/ssl/cert.pem expired 2 days ago");
    assert_eq!(found(1000), "data/assets/ssl/cert.pem is not valid yet");
}

#[test]
fn missing_files_are_reported() {
    let machine = Machine::new();
    machine.remove("data/assets/ssl/key.pem");
    machine.remove("data/assets/ssl/dhparams.pem");
    let found = ["data/assets/ssl/key.pem is missing", "data/assets/ssl/dhparams.pem is missing"];
    assert_eq!(machine.problems("{}", days_left(60)), found);
}

#[test]
fn a_key_of_another_certificate_is_reported() {
    let machine = Machine::new();
    machine.put("data/assets/ssl/key.pem", KEYS[1], 0o600);
    let found = ["data/assets/ssl/key.pem does not belong to data/assets/ssl/cert.pem"];
    assert_eq!(machine.problems("{}", days_left(60)), found);
}

#[test]
fn unsafe_modes_are_reported() {
    let machine = Machine::new();
    machine.put("data/assets/ssl/key.pem", KEYS[0], 0o640);
    machine.put("data/assets/ssl/cert.pem", CERTIFICATES[0], 0o664);
    let found = machine.problems("{}", days_left(60));
    assert!(found[0].starts_with("data/assets/ssl/key.pem has mode 0640"), "{found:?}");
    assert!(found[1].starts_with("data/assets/ssl/cert.pem has mode 0664"), "{found:?}");
}

#[test]
fn a_name_that_is_not_covered_is_reported() {
    let found = Machine::new().problems(r#"{"names": ["mail.example.com"]}"#, days_left(60));
    assert_eq!(found, ["data/assets/ssl/cert.pem is not valid for mail.example.com"]);
}

#[test]
fn the_certificates_of_additional_domains_are_checked_too() {
    let machine = Machine::new();
    machine.put("data/assets/ssl/acme/account.pem", KEYS[1], 0o600);
    machine.put("data/assets/ssl/imap.example.com/cert.pem", CERTIFICATES[1], 0o644);
    let found = ["data/assets/ssl/imap.example.com/key.pem is missing"];
    assert_eq!(machine.problems(r#"{"names": ["mail.example.org"]}"#, days_left(60)), found);
}

#[test]
fn a_new_pair_from_outside_is_installed_through_its_links() {
    let machine = Machine::new().with_certbot();
    let handed = machine.handed(r#"{"source": "LIVE"}"#, days_left(60));
    let expected = [
        ("data/assets/ssl/cert.pem", 0o644, CERTIFICATES[1]),
        ("data/assets/ssl/key.pem", 0o600, KEYS[1]),
    ];
    let handed: Vec<_> = handed
        .iter()
        .map(|file| (file.path.as_str(), file.mode, file.content.as_slice()))
        .collect();
    assert_eq!(handed, expected);
}

#[test]
fn a_pair_that_the_site_has_is_not_installed_again() {
    let machine = Machine::new().with_certbot();
    machine.put("data/assets/ssl/cert.pem", CERTIFICATES[1], 0o644);
    machine.put("data/assets/ssl/key.pem", KEYS[1], 0o600);
    assert!(machine.handed(r#"{"source": "LIVE"}"#, days_left(60)).is_empty());
    machine.put("data/assets/ssl/key.pem", KEYS[1], 0o644);
    assert_eq!(
        machine.handed(r#"{"source": "LIVE"}"#, days_left(60)).len(),
        2,
        "a wrong mode is corrected"
    );
}

#[test]
fn a_pair_that_will_be_replaced_is_not_reported() {
    let machine = Machine::new().with_certbot();
    machine.put("data/assets/ssl/key.pem", KEYS[1], 0o644);
    assert!(machine.problems(r#"{"source": "LIVE"}"#, days_left(60)).is_empty());
}

#[test]
fn an_unusable_pair_from_outside_is_not_installed() {
    let machine = Machine::new().with_certbot();
    assert!(machine.handed(r#"{"source": "LIVE"}"#, days_left(-1)).is_empty());
    machine.put("archive/privkey1.pem", KEYS[0], 0o600);
    assert!(machine.handed(r#"{"source": "LIVE"}"#, days_left(60)).is_empty());
    let found = machine.problems(r#"{"source": "LIVE"}"#, days_left(60));
    assert_eq!(found[0], "live/privkey.pem does not belong to live/fullchain.pem");
    assert_eq!(found[1], "live has no usable certificate and key; the site keeps its own");
    machine.remove("live/privkey.pem");
    assert_eq!(
        machine.problems(r#"{"source": "LIVE"}"#, days_left(60))[0],
        "live/privkey.pem is missing"
    );
}
