//! The hooks in Rust, generated from `wit/v0.1`: the imports once, and a small world for each hook, since a component may
//! export any of them and worlds know no optional exports.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::sandbox::State;
use super::spec::Hook;

/// What the host offers.
pub(super) mod imports {
    wasmtime::component::bindgen!({
        path: "src/plugin/draft.wit",
        inline: "
            package cowhand:host;
            world imports {
                import cowhand:hooks/types@0.1.0;
                import cowhand:hooks/log@0.1.0;
                import cowhand:hooks/config@0.1.0;
                import cowhand:hooks/text@0.1.0;
                import cowhand:hooks/blobs@0.1.0;
            }
        ",
        world: "cowhand:host/imports",
        imports: { default: trappable },
        with: { "cowhand:hooks/blobs.blob": crate::plugin::types::Side },
    });
}

/// The hooks that an instance exports.
#[derive(Default)]
pub(super) struct Hooks {
    pub(super) pre_merge: Option<pre_merge::Asked>,
    pub(super) conflict_resolver: Option<conflict_resolver::Asked>,
    pub(super) observer: Option<observer::Asked>,
}

impl Hooks {
    /// Binds these hooks of an instance. An error where it exports them with other types.
    pub(super) fn load(
        hooks: &[Hook],
        pre: &InstancePre<State>,
        store: &mut Store<State>,
        instance: &Instance,
    ) -> wasmtime::Result<Self> {
        let mut loaded = Self::default();
        for hook in hooks {
            match hook {
                Hook::PreMerge => {
                    loaded.pre_merge = Some(pre_merge::AskedIndices::new(pre)?.load(&mut *store, instance)?)
                }
                _ => {}
            }
        }
        Ok(loaded)
    }
}

/// A world with one hook; its types are those of the imports.
macro_rules! world {
    ($module:ident, $inline:tt) => {
        pub(super) mod $module {
            wasmtime::component::bindgen!({
                path: "src/plugin/draft.wit",
                inline: $inline,
                world: "cowhand:host/asked",
                exports: { default: async },
                with: { "cowhand:hooks": crate::plugin::bindings::imports::cowhand::hooks },
            });
        }
    };
}

world!(pre_merge, "package cowhand:host; world asked { export cowhand:hooks/pre-merge@0.1.0; }");
world!(conflict_resolver, "package cowhand:host; world asked { export cowhand:hooks/conflict-resolver@0.1.0; }");
world!(observer, "package cowhand:host; world asked { export cowhand:hooks/observer@0.1.0; }");
