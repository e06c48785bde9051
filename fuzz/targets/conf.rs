//! `mailcow.conf`: what is set in it is read from it, and an option of the site's own that was
//! taken out comes back as it was.
#![no_main]

use cowhand::fuzzing;
use cowhand::site::mailcow::{COMPOSE_KIND, Conf};
use cowhand::site::settings::{Functions, Kind, changes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let mut next = || parts.next().unwrap_or_default();
    let (before, after, script) = (next(), next(), next());
    let text = String::from_utf8_lossy(before);
    let conf = Conf::parse(&text);
    for secret in conf.secrets() {
        assert!(!secret.contains('\n'));
    }
    assert!(changes(before, before).is_empty());
    set(before);
    let functions = Functions::of_release(|_| Ok(Some(script.to_vec()))).unwrap();
    if let Some(functions) = functions {
        functions.files();
        let kept = fuzzing::keep_own_options(before, after, &functions);
        assert!(kept.starts_with(after));
        for change in changes(before, &kept) {
            assert!(
                change.change != Kind::Removed || functions.make_obsolete(&change.name),
                "{change:?}"
            );
        }
        for change in changes(after, &kept) {
            let kept = Conf::parse(&String::from_utf8_lossy(&kept));
            assert!(change.change == Kind::Added, "{change:?}");
            assert_eq!(kept.get(&change.name), conf.get(&change.name));
        }
    }
});

/// The name of compose is set in each line that begins with the option, and nothing else changes.
fn set(before: &[u8]) {
    let after = fuzzing::with_compose(before, "native");
    let option = format!("{COMPOSE_KIND}=");
    let (old, new): (Vec<_>, Vec<_>) = (
        before.split(|byte| *byte == b'\n').collect(),
        after.split(|byte| *byte == b'\n').collect(),
    );
    assert_eq!(old.len(), new.len());
    for (old, new) in old.into_iter().zip(new) {
        if old.starts_with(option.as_bytes()) {
            let line = String::from_utf8_lossy(new);
            assert_eq!(Conf::parse(&line).get(COMPOSE_KIND), Some("native"));
        } else {
            assert_eq!(old, new);
        }
    }
}
