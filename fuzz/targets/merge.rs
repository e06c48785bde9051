//! The merge of two commits, with renames, modes, links and folders: the tree that `git merge-tree`
//! makes of them. The bytes throw the dice of the tests' own generator.
#![no_main]
#![allow(dead_code, reason = "the tests use more of what they share")]

#[path = "../../tests/merge/equivalence.rs"]
mod equivalence;
#[path = "../../tests/merge/kit.rs"]
mod kit;
#[path = "../../tests/merge/upstream.rs"]
mod upstream;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

/// The number of merges that a repository is used for: each leaves objects in it.
const MOST: usize = 300;

thread_local! {
    static LAB: RefCell<Option<(kit::Lab, usize)>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    LAB.with_borrow_mut(|kept| {
        kept.take_if(|(_, merges)| *merges == MOST);
        let (lab, merges) = kept.get_or_insert_with(|| (kit::Lab::new(), 0));
        *merges += 1;
        if let Some(difference) = equivalence::Case::thrown_by_a_fuzzer(lab, bytes) {
            panic!("{difference}");
        }
    });
});
