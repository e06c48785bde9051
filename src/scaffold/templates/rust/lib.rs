//! {{name}}: what this site wants of its updates. One file a hook.

mod bindings {
    //! What wit-bindgen makes of the contract in `wit`.
    wit_bindgen::generate!({ path: "wit", world: "plugin", generate_all });
    export!(Plugin with_types_in self);
    use super::Plugin;
}
{{modules}}mod settings;

/// The plugin. Each hook's file says what it answers there.
struct Plugin;

/// What it wants to be allowed, readable without running it.
#[cfg(target_family = "wasm")]
#[used]
#[unsafe(link_section = "cowhand:requests")]
static REQUESTS: [u8; include_bytes!("../requests.json").len()] = *include_bytes!("../requests.json");
