//! Where a plugin's bytes come from: a file, or the components inside this binary.

use std::borrow::Cow;
use std::path::Path;

use super::digest::Digest;
use super::stock::{STOCK, Stock};
use crate::error::{Context, Error, Result};

/// What a source begins with that names a stock plugin.
pub const STOCK_PREFIX: &str = "stock:";

/// Larger components are refused: Python's have 18 MB.
const LARGEST: u64 = 256 << 20;

/// The bytes that a `source` names, and their digest; a relative file is below the site.
pub fn read(source: &str, site: &Path) -> Result<(Cow<'static, [u8]>, Digest)> {
    if let Some(name) = source.strip_prefix(STOCK_PREFIX) {
        return stock(name).map(|stock| (stock.bytes.into(), Digest::known(stock.sha256)));
    }
    let path = site.join(source);
    let length = path.metadata().what_with(|| format!("could not read {}", path.display()))?.len();
    if length > LARGEST {
        let limit = bytesize::ByteSize::b(LARGEST);
        return Err(Error::new(format!("{} is larger than the limit of {limit}", path.display())));
    }
    let bytes = std::fs::read(&path).what_with(|| format!("could not read {}", path.display()))?;
    let digest = Digest::of(&bytes);
    Ok((bytes.into(), digest))
}

fn stock(name: &str) -> Result<&'static Stock> {
    STOCK.iter().find(|stock| stock.name == name).ok_or_else(|| {
        let names: Vec<&str> = STOCK.iter().map(|stock| stock.name).collect();
        let error = Error::new(format!("there is no stock plugin `{name}`"));
        match crate::nearest::nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("Did you mean `{STOCK_PREFIX}{near}`?")),
            None => error.hint(format!("There are: {}.", names.join(", "))),
        }
    })
}
