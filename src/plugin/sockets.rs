//! Sockets and name lookups, which plugins never get. WASI refuses them silently; this reports the
//! refusals.

use wasmtime::component::{Linker, ResourceAny, Val};

use super::grant::Wish;
use super::sandbox::State;

/// WASI's interfaces and functions for them, with their purpose.
const OFFERED: [(&str, &str, &str); 3] = [
    ("wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket", "a TCP socket"),
    ("wasi:sockets/udp-create-socket@0.2.12", "create-udp-socket", "a UDP socket"),
    ("wasi:sockets/ip-name-lookup@0.2.12", "resolve-addresses", "the addresses of a name"),
];

/// Replaces them by refusals.
pub(super) fn close(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    for (interface, function, what) in OFFERED {
        linker.instance(interface)?.func_new_async(
            function,
            move |mut store, _, given, results| {
                Box::new(async move {
                    for borrowed in given.iter().filter_map(resource) {
                        borrowed.resource_drop_async(&mut store).await?;
                    }
                    let state = store.data();
                    if let Err(refusal) = state.about.permissions.authorize(&Wish::Socket(what)) {
                        state.refusals.add(refusal);
                    }
                    results[0] =
                        Val::Result(Err(Some(Box::new(Val::Enum("access-denied".to_owned())))));
                    Ok(())
                })
            },
        )?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

fn resource(value: &Val) -> Option<ResourceAny> {
    if let Val::Resource(resource) = value { Some(*resource) } else { None }
}
