//! {{name}}: a site's policy for its updates. Each hook has a file of its own.

mod bindings {
    //! The bindings that wit-bindgen generates from the contract in `wit`.
    wit_bindgen::generate!({ path: "wit", world: "plugin", generate_all });
    export!(Plugin with_types_in self);
    use super::Plugin;
}
{{modules}}mod settings;

/// The plugin. Each hook is implemented in its own file.
struct Plugin;

/// The plugin's requests, readable without running it.
#[cfg(target_family = "wasm")]
#[used]
#[unsafe(link_section = "cowhand:requests")]
static REQUESTS: [u8; include_bytes!("../requests.json").len()] =
    *include_bytes!("../requests.json");
