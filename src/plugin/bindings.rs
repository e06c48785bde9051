//! The hooks in Rust, generated from `wit/v0.1`. The imports are generated once, and a small world
//! for each hook: a component may export any of them, and worlds have no optional exports.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::sandbox::State;
use super::spec::Hook;

/// The host's imports.
pub(super) mod imports {
    wasmtime::component::bindgen!({
        path: "wit/v0.1",
        inline: "
            package cowhand:host;
            world imports {
                import cowhand:hooks/types@0.1.0;
                import cowhand:hooks/blobs@0.1.0;
                import cowhand:hooks/log@0.1.0;
                import cowhand:hooks/config@0.1.0;
                import cowhand:hooks/file-modes@0.1.0;
                import cowhand:hooks/text-merge@0.1.0;
            }
        ",
        world: "cowhand:host/imports",
        imports: { default: trappable },
        with: { "cowhand:hooks/blobs.blob": crate::plugin::types::Side },
    });

    pub(crate) use self::cowhand::hooks::{blobs, config, file_modes, log, text_merge, types};
}

/// Defines a world with one hook. It shares the types of the imports.
macro_rules! world {
    ($module:ident, $inline:tt) => {
        pub(super) mod $module {
            wasmtime::component::bindgen!({
                path: "wit/v0.1",
                inline: $inline,
                world: "cowhand:host/asked",
                exports: { default: async },
                with: { "cowhand:hooks": crate::plugin::bindings::imports::cowhand::hooks },
            });
        }
    };
}

world!(pre_merge, "package cowhand:host; world asked { export cowhand:hooks/pre-merge@0.1.0; }");
world!(
    conflict_resolver,
    "package cowhand:host; world asked { export cowhand:hooks/conflict-resolver@0.1.0; }"
);
world!(post_pull, "package cowhand:host; world asked { export cowhand:hooks/post-pull@0.1.0; }");
world!(pre_prune, "package cowhand:host; world asked { export cowhand:hooks/pre-prune@0.1.0; }");
world!(observer, "package cowhand:host; world asked { export cowhand:hooks/observer@0.1.0; }");

/// The hooks of one instance.
#[derive(Default)]
pub(super) struct Hooks {
    pre_merge: Option<pre_merge::Asked>,
    conflict_resolver: Option<conflict_resolver::Asked>,
    post_pull: Option<post_pull::Asked>,
    pre_prune: Option<pre_prune::Asked>,
    observer: Option<observer::Asked>,
}

/// Defines a method that returns one hook.
macro_rules! hook {
    ($name:ident, $interface:ident, $guest:ty) => {
        impl Hooks {
            /// Returns the hook. Fails if the component does not export it.
            pub(super) fn $name(&self) -> wasmtime::Result<&$guest> {
                let missing =
                    || wasmtime::Error::msg(concat!("it does not export ", stringify!($name)));
                Ok(self.$name.as_ref().ok_or_else(missing)?.$interface())
            }
        }
    };
}

hook!(pre_merge, cowhand_hooks_pre_merge, pre_merge::exports::cowhand::hooks::pre_merge::Guest);
hook!(
    conflict_resolver,
    cowhand_hooks_conflict_resolver,
    conflict_resolver::exports::cowhand::hooks::conflict_resolver::Guest
);
hook!(post_pull, cowhand_hooks_post_pull, post_pull::exports::cowhand::hooks::post_pull::Guest);
hook!(pre_prune, cowhand_hooks_pre_prune, pre_prune::exports::cowhand::hooks::pre_prune::Guest);
hook!(observer, cowhand_hooks_observer, observer::exports::cowhand::hooks::observer::Guest);

impl Hooks {
    /// Binds these hooks of an instance. Fails if it exports them with other types.
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
                    loaded.pre_merge =
                        Some(pre_merge::AskedIndices::new(pre)?.load(&mut *store, instance)?);
                }
                Hook::ConflictResolver => {
                    let indices = conflict_resolver::AskedIndices::new(pre)?;
                    loaded.conflict_resolver = Some(indices.load(&mut *store, instance)?);
                }
                Hook::PostPull => {
                    loaded.post_pull =
                        Some(post_pull::AskedIndices::new(pre)?.load(&mut *store, instance)?);
                }
                Hook::PrePrune => {
                    loaded.pre_prune =
                        Some(pre_prune::AskedIndices::new(pre)?.load(&mut *store, instance)?);
                }
                Hook::Observer => {
                    loaded.observer =
                        Some(observer::AskedIndices::new(pre)?.load(&mut *store, instance)?);
                }
            }
        }
        Ok(loaded)
    }
}
