//! The text that compose prints: its configuration as JSON, its hashes, its warnings.
#![no_main]

use cowhand::fuzzing;
use cowhand::stack::reference::Reference;
use cowhand::stack::resolved::Resolved;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (json, rest) = text.split_once('\0').unwrap_or((&text, ""));
    for line in rest.lines() {
        fuzzing::compose_warning(line);
        fuzzing::compose_hint(line);
        reference(line);
    }
    let Ok(resolved) = Resolved::parse(json, rest) else { return };
    for image in resolved.images().into_keys() {
        reference(image);
    }
    for (name, service) in resolved.wanted() {
        assert_eq!(resolved.wanted_as(name), Some(service));
        let _ =
            (service.shares_with().count(), service.network_of(), service.is_started_by_compose());
        let _ = resolved.needs_of(name).filter(|(_, needs)| needs.needs_health()).count();
        for mount in &service.mounts {
            assert!(mount.host_path().is_none() || mount.volume().is_none());
        }
    }
});

fn reference(text: &str) {
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(reference.to_string(), text);
        assert!(reference.repository().starts_with(reference.registry()));
    }
}
