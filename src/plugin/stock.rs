//! The stock plugins: components inside this binary.

/// Name and bytes of each.
pub(super) const STOCK: &[(&str, &[u8])] = &[];
