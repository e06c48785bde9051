//! Where a plugin's bytes come from: a file, or the components inside this binary.

use std::path::Path;

use super::stock::STOCK;
use crate::error::{Context, Error, Result};

/// What a source begins with that names a stock plugin.
pub const STOCK_PREFIX: &str = "stock:";

/// Larger components are refused: Python's have 18 MB.
const LARGEST: u64 = 256 << 20;

/// The bytes that a `source` names; a relative file is below the site.
pub fn read(source: &str, site: &Path) -> Result<std::borrow::Cow<'static, [u8]>> {
    if let Some(name) = source.strip_prefix(STOCK_PREFIX) {
        return stock(name).map(Into::into);
    }
    let path = site.join(source);
    let length = path.metadata().what_with(|| format!("could not read {}", path.display()))?.len();
    if length > LARGEST {
        let limit = bytesize::ByteSize::b(LARGEST);
        return Err(Error::new(format!("{} is larger than the limit of {limit}", path.display())));
    }
    std::fs::read(&path).what_with(|| format!("could not read {}", path.display())).map(Into::into)
}

fn stock(name: &str) -> Result<&'static [u8]> {
    STOCK.iter().find(|(stock, _)| *stock == name).map(|(_, bytes)| *bytes).ok_or_else(|| {
        let names: Vec<&str> = STOCK.iter().map(|(name, _)| *name).collect();
        let error = Error::new(format!("there is no stock plugin `{name}`"));
        match crate::nearest::nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("Did you mean `{STOCK_PREFIX}{near}`?")),
            None => error.hint(format!("There are: {}.", names.join(", "))),
        }
    })
}
