//! A plugin's code: compiled, or taken from the cache, once for all its instances, when the first of them starts.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::{Component, InstancePre, Linker};

use super::about::About;
use super::cache::Cache;
use super::sandbox::State;
use crate::event::Unit;

/// The code of one component.
pub(super) struct Code {
    stage: Mutex<Stage>,
    cache: Option<Cache>,
    linker: Arc<Linker<State>>,
}

enum Stage {
    Component(Cow<'static, [u8]>),
    Ready(InstancePre<State>),
}

impl Code {
    /// Nothing is done with the bytes yet.
    pub(super) fn new(bytes: Cow<'static, [u8]>, cache: Option<Cache>, linker: Arc<Linker<State>>) -> Self {
        Self { stage: Mutex::new(Stage::Component(bytes)), cache, linker }
    }

    /// What instances are made from.
    pub(super) fn ready(&self, about: &About) -> wasmtime::Result<InstancePre<State>> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match &*stage {
            Stage::Ready(ready) => return Ok(ready.clone()),
            Stage::Component(bytes) => self.linker.instantiate_pre(&self.compiled(about, bytes)?)?,
        };
        *stage = Stage::Ready(ready.clone());
        Ok(ready)
    }

    fn compiled(&self, about: &About, bytes: &[u8]) -> wasmtime::Result<Component> {
        let engine = self.linker.engine();
        if let Some(kept) = self.cache.as_ref().and_then(|cache| cache.get(engine, &about.digest)) {
            return Ok(kept);
        }
        let task = format!("compile {}", about.name);
        about.events.progress(&task, 0, Some(1), Unit::Items);
        let component = Component::new(engine, bytes);
        about.events.finished(&task, 1, Unit::Items);
        let component = component?;
        if let Some(cache) = &self.cache {
            cache.put(engine, &about.digest, &component);
        }
        Ok(component)
    }
}
