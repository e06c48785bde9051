//! A plugin's code, compiled or cached once for all instances, when the first instance starts.

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::Mutex;
use wasmtime::component::{Component, InstancePre, Linker};

use super::about::About;
use super::cache::{Cache, load};
use super::compile::Compiler;
use super::sandbox::State;
use crate::error::{Context, Error, Result};
use crate::event::Unit;

/// The code of one component.
pub(super) struct Code {
    stage: Mutex<Stage>,
    compiler: Compiler,
    cache: Option<Cache>,
    linker: Arc<Linker<State>>,
}

enum Stage {
    Component(Cow<'static, [u8]>),
    Ready(InstancePre<State>),
}

impl Code {
    /// Wraps the bytes without compiling them.
    pub(super) fn new(
        bytes: Cow<'static, [u8]>,
        compiler: Compiler,
        cache: Option<Cache>,
        linker: Arc<Linker<State>>,
    ) -> Self {
        Self { stage: Mutex::new(Stage::Component(bytes)), compiler, cache, linker }
    }

    /// Returns the template of the instances.
    pub(super) async fn ready(&self, about: &About) -> Result<InstancePre<State>> {
        let mut stage = self.stage.lock().await;
        let ready = match &*stage {
            Stage::Ready(ready) => return Ok(ready.clone()),
            Stage::Component(bytes) => {
                let component = self.compiled(about, bytes).await?;
                let linked = self.linker.instantiate_pre(&component);
                linked.map_err(|error| Error::new(format!("{error:#}")))?
            }
        };
        *stage = Stage::Ready(ready.clone());
        Ok(ready)
    }

    async fn compiled(&self, about: &About, bytes: &[u8]) -> Result<Component> {
        let engine = self.linker.engine();
        if let Some(kept) = self.cache.as_ref().and_then(|cache| cache.get(engine, &about.digest)) {
            return Ok(kept);
        }
        let task = format!("compile {}", about.name);
        about.events.progress(&task, 0, Some(1), Unit::Items);
        let compiled = self.compiler.compile(bytes).await;
        about.events.finished(&task, 1, Unit::Items);
        let compiled = compiled?;
        if let Some(cache) = &self.cache {
            cache.put(engine, &about.digest, &compiled);
        }
        load(engine, &compiled).what("could not load the compiled component")
    }
}
