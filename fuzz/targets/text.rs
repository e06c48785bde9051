//! The merge of three texts: byte for byte what git's own code makes of them, which libgit2 brings
//! along.
#![no_main]

use std::ffi::{c_char, c_int, c_long, c_ulong, c_void};
use std::ptr::null;

use cowhand::git::merge::Favor;
use cowhand::git::merge::text::{self, Hunk, Hunks};
use libfuzzer_sys::fuzz_target;

/// Parts the three texts.
const PART: u8 = 0xff;
/// As a line: the line before, many times over.
const OFTEN: u8 = 0xf0;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let mut texts = bytes.splitn(3, |byte| *byte == PART);
    let mut next = || spelt(texts.next().unwrap_or_default(), *how);
    let (base, ours, theirs) = (next(), next(), next());
    let favor =
        [None, Some(Favor::Ours), Some(Favor::Theirs), Some(Favor::Union)][usize::from(how % 4)];
    let hunks =
        favor.map_or(Hunks::Marked { size: 7, ours: "ours", theirs: "theirs" }, Hunks::Favor);
    let Some((found, clean)) = text::merge(&base, &ours, &theirs, hunks) else { return };
    let (expected, expected_clean) = peer([&base, &ours, &theirs], how % 4);
    let show = String::from_utf8_lossy;
    assert!(
        found == expected,
        "base {:?}\nours {:?}\ntheirs {:?}\nfound {:?}\ngit {:?}",
        show(&base),
        show(&ours),
        show(&theirs),
        show(&found),
        show(&expected)
    );
    assert_eq!(clean, expected_clean);
    let unwritten = text::merge(&base, &ours, &theirs, Hunks::Unwritten).unwrap();
    assert!(favor.is_some() || unwritten.1 == clean);
    if favor.is_some() {
        let hunks = text::hunks(&base, &ours, &theirs, favor).unwrap();
        let joined = hunks.into_iter().map(|hunk| match hunk {
            Hunk::Agreed(lines) => lines,
            Hunk::Conflict { .. } => panic!("a hunk is undecided"),
        });
        assert_eq!(joined.collect::<Vec<_>>().concat(), found);
    }
});

/// The bytes as they are, or each byte a line: lines that come back are what makes merges hard.
fn spelt(bytes: &[u8], how: u8) -> Vec<u8> {
    if how & 4 == 0 {
        return bytes.to_vec();
    }
    let end: &[u8] = if how & 8 == 0 { b"\n" } else { b"\r\n" };
    let mut text: Vec<u8> = Vec::new();
    let mut last = b'a';
    for byte in bytes {
        let (line, times) = match *byte {
            often @ OFTEN.. => (last, usize::from(often - OFTEN + 1) * 8),
            byte => (b'a' + byte % 16, 1),
        };
        last = line;
        for _ in 0..times {
            text.push(line);
            text.extend_from_slice(end);
        }
    }
    if how & 16 != 0 {
        text.truncate(text.len().saturating_sub(end.len()));
    }
    text
}

#[repr(C)]
struct Text {
    start: *const c_char,
    size: c_long,
}

#[repr(C)]
struct Parameters {
    flags: c_ulong,
    ignored: *const c_void,
    ignored_count: usize,
    anchors: *const c_void,
    anchor_count: usize,
    marker_size: c_int,
    level: c_int,
    favor: c_int,
    style: c_int,
    names: [*const c_char; 3],
}

unsafe extern "C" {
    fn xdl_merge(
        base: *const Text,
        ours: *const Text,
        theirs: *const Text,
        parameters: *const Parameters,
        result: *mut Text,
    ) -> c_int;
    fn free(memory: *mut c_void);
}

/// The questions that git's merge asks its own code.
fn peer(texts: [&[u8]; 3], favor: u8) -> (Vec<u8>, bool) {
    const HISTOGRAM: c_ulong = 1 << 15;
    const ZEALOUS: c_int = 2;
    // libgit2's memory is not there before it was begun.
    drop(git2::Buf::new());
    let [base, ours, theirs] = texts
        .map(|text| Text { start: text.as_ptr().cast(), size: text.len().try_into().unwrap() });
    let parameters = Parameters {
        flags: HISTOGRAM,
        ignored: null(),
        ignored_count: 0,
        anchors: null(),
        anchor_count: 0,
        marker_size: 7,
        level: ZEALOUS,
        favor: favor.into(),
        style: 0,
        names: [c"base".as_ptr(), c"ours".as_ptr(), c"theirs".as_ptr()],
    };
    let mut result = Text { start: null(), size: 0 };
    // SAFETY: the texts outlive the call, the structures are those of xdiff.h, and the result is
    // copied before it is freed.
    unsafe {
        let conflicts = xdl_merge(
            &raw const base,
            &raw const ours,
            &raw const theirs,
            &raw const parameters,
            &raw mut result,
        );
        assert!(conflicts >= 0);
        let size = result.size.try_into().unwrap();
        let merged = if size == 0 {
            Vec::new()
        } else {
            std::slice::from_raw_parts(result.start.cast::<u8>(), size).to_vec()
        };
        free(result.start.cast_mut().cast());
        (merged, conflicts == 0)
    }
}
