//! The host's imports besides WASI: the log, the configuration, the modes of granted files, the
//! sides of a conflict, and the text merge.

use std::path::Path;

use wasmtime::component::{HasSelf, Linker, Resource};

use super::bindings::imports::{self, blobs, config, file_modes, log, text_merge, types};
use super::failure::LimitReached;
use super::limits::MOST_MERGED;
use super::modes;
use super::sandbox::State;
use super::types::{Favor, Hunk, Side};
use crate::event::Level;

/// Adds all imports.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    imports::Imports::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl types::Host for State {}
impl blobs::Host for State {}

/// A blob's handle contains only the side, so there is nothing to leak or look up.
pub(super) fn handle(side: Side) -> Resource<Side> {
    Resource::new_borrow(match side {
        Side::Base => 0,
        Side::Ours => 1,
        Side::Theirs => 2,
    })
}

fn side(handle: &Resource<Side>) -> Side {
    match handle.rep() {
        0 => Side::Base,
        1 => Side::Ours,
        _ => Side::Theirs,
    }
}

impl blobs::HostBlob for State {
    fn size(&mut self, blob: Resource<Side>) -> wasmtime::Result<u64> {
        let size = self.blobs()?.size(side(&blob));
        size.map_err(|error| wasmtime::Error::msg(error.summary()))
    }

    fn read(&mut self, blob: Resource<Side>) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let bytes = self.size(Resource::new_borrow(blob.rep()))?;
        if bytes > self.about.memory {
            return Ok(Err(format!("its {bytes} bytes do not fit into the plugin's memory")));
        }
        Ok(self.blobs()?.read(side(&blob)).map_err(|error| error.summary()))
    }

    fn drop(&mut self, _: Resource<Side>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warning,
        };
        self.say(level, &message)
    }
}

impl config::Host for State {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.about.config.clone())
    }
}

impl file_modes::Host for State {
    fn mode(&mut self, path: String) -> wasmtime::Result<Result<u32, String>> {
        Ok(modes::mode(&self.about.permissions.read, Path::new(&path))
            .map_err(|error| error.to_string()))
    }
}

impl text_merge::Host for State {
    fn merge(
        &mut self,
        base: Vec<u8>,
        ours: Vec<u8>,
        theirs: Vec<u8>,
        favor: Option<types::Favor>,
    ) -> wasmtime::Result<Result<Vec<text_merge::Hunk>, String>> {
        if base.len().max(ours.len()).max(theirs.len()) > MOST_MERGED {
            let limit = bytesize::ByteSize::b(MOST_MERGED as u64);
            return Err(LimitReached(format!(
                "it requested the merge of a text larger than the limit of {limit}"
            ))
            .into());
        }
        let merged = self.about.text_merge.merge(&base, &ours, &theirs, favor.map(Favor::from));
        Ok(merged
            .map(|hunks| hunks.into_iter().map(text_merge::Hunk::from).collect())
            .map_err(|error| error.summary()))
    }
}

impl From<types::Favor> for Favor {
    fn from(favor: types::Favor) -> Self {
        match favor {
            types::Favor::Ours => Self::Ours,
            types::Favor::Theirs => Self::Theirs,
            types::Favor::Union => Self::Union,
        }
    }
}

impl From<Favor> for types::Favor {
    fn from(favor: Favor) -> Self {
        match favor {
            Favor::Ours => Self::Ours,
            Favor::Theirs => Self::Theirs,
            Favor::Union => Self::Union,
        }
    }
}

impl From<Hunk> for text_merge::Hunk {
    fn from(hunk: Hunk) -> Self {
        match hunk {
            Hunk::Clean(lines) => Self::Clean(lines),
            Hunk::Conflict { base, ours, theirs } => {
                Self::Conflict(text_merge::Disputed { base, ours, theirs })
            }
        }
    }
}
