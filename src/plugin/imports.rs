//! What the host offers to plugins beside WASI: the log, the configuration, the sides of a conflict, and the text merge.

use wasmtime::component::{HasSelf, Linker, Resource};

use super::bindings::imports::cowhand::hooks;
use super::sandbox::State;
use super::types::Side;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    super::bindings::imports::Imports::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl hooks::types::Host for State {}
impl hooks::blobs::Host for State {}
impl hooks::blobs::HostBlob for State {
    fn read(&mut self, side: Resource<Side>) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let _ = side.rep();
        Ok(Err("x".into()))
    }
    fn drop(&mut self, _: Resource<Side>) -> wasmtime::Result<()> {
        Ok(())
    }
}
impl hooks::log::Host for State {
    fn log(&mut self, level: hooks::log::Level, text: String) -> wasmtime::Result<()> {
        let level = match level {
            hooks::log::Level::Debug => crate::event::Level::Debug,
            hooks::log::Level::Info => crate::event::Level::Info,
            hooks::log::Level::Warning => crate::event::Level::Warning,
        };
        State::log(self, level, &text)
    }
}
impl hooks::config::Host for State {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.about.config.clone())
    }
}
impl hooks::text::Host for State {
    fn merge(
        &mut self,
        _: Vec<u8>,
        _: Vec<u8>,
        _: Vec<u8>,
        _: hooks::text::Favor,
    ) -> wasmtime::Result<Result<Vec<hooks::text::Hunk>, String>> {
        Ok(Err("x".into()))
    }
}
