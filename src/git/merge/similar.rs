//! The similarity of two files by git's measure: both are split into lines (long ones into pieces),
//! and the bytes of pieces that occur in both are counted, wherever they are.

use std::collections::HashMap;

/// The score of identical files, as in git.
pub const IDENTICAL: u64 = 60_000;

/// The length at which lines are split.
const PIECE: usize = 64;

/// The length in which git looks for a NUL.
const BINARY_PREFIX: usize = 8000;

/// A file's pieces, each with its bytes.
pub struct Pieces {
    bytes: u64,
    counts: HashMap<Vec<u8>, u64>,
}

/// Returns true if git takes this for binary.
pub fn is_binary(content: &[u8]) -> bool {
    content[..content.len().min(BINARY_PREFIX)].contains(&0)
}

impl Pieces {
    /// Splits a file.
    pub fn new(content: &[u8]) -> Self {
        let text = !is_binary(content);
        let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut piece = Vec::with_capacity(PIECE);
        for (at, byte) in content.iter().enumerate() {
            if text && *byte == b'\r' && content.get(at + 1) == Some(&b'\n') {
                continue;
            }
            piece.push(*byte);
            if piece.len() == PIECE || *byte == b'\n' {
                count(&mut counts, &mut piece);
            }
        }
        if !piece.is_empty() {
            count(&mut counts, &mut piece);
        }
        Self { bytes: content.len() as u64, counts }
    }

    /// Returns how much of `self` is in `other`, out of [`IDENTICAL`].
    pub fn score(&self, other: &Self) -> u64 {
        let larger = self.bytes.max(other.bytes);
        if larger == 0 || other.bytes == 0 {
            return 0;
        }
        let shared = |(piece, bytes): (&Vec<u8>, &u64)| {
            other.counts.get(piece).map_or(0, |there| *bytes.min(there))
        };
        let common: u64 = self.counts.iter().map(shared).sum();
        common * IDENTICAL / larger
    }
}

fn count(counts: &mut HashMap<Vec<u8>, u64>, piece: &mut Vec<u8>) {
    let bytes = piece.len() as u64;
    match counts.get_mut(piece.as_slice()) {
        Some(known) => *known += bytes,
        None => {
            counts.insert(piece.clone(), bytes);
        }
    }
    piece.clear();
}

/// Returns true if the sizes alone rule out a score of `least`.
pub fn sizes_differ_too_much(one: u64, two: u64, least: u64) -> bool {
    let (larger, smaller) = (one.max(two), one.min(two));
    larger * (IDENTICAL - least) < (larger - smaller) * IDENTICAL
}
