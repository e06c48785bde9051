//! Ratios of Cowhand against the command that people would use instead, measured in turns.
//!
//! Started with the name of a part, it measures that part alone; with other arguments, it is the
//! side that is measured where no command of Cowhand's does just that and no more.

#![allow(clippy::disallowed_methods, reason = "benchmarks open what they made")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failure ends the benchmark, and its table is its output"
)]

mod check;
mod conflicts;
mod downtime;
mod history;
mod hook;
mod journal;
mod measure;
mod merge;
mod plugins;
mod stack;
#[path = "../../build/toolchain.rs"]
mod toolchain;

use measure::Row;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["merge", what, root, ours, theirs] => {
            merge::once(what, root, ours, theirs);
        }
        ["conflicts", root, ours, theirs] => {
            conflicts::once(root, ours, theirs);
        }
        ["hook", question, site] => hook::once(question, site),
        ["pull", site, host] => downtime::pull_once(site, host),
        [] => show(PARTS.iter()),
        [part] if PARTS.iter().any(|(name, _)| *name == part) => {
            show(PARTS.iter().filter(|(name, _)| *name == part));
        }
        _ => {
            eprintln!("the parts are {}", PARTS.map(|(name, _)| name).join(", "));
            std::process::exit(2);
        }
    }
}

/// The parts.
const PARTS: [(&str, fn()); 7] = [
    ("hook", || table(&hook::ratios())),
    ("plugins", || {
        table(&plugins::ratios());
        println!("\n{}", plugins::growth());
    }),
    ("check", || table(&check::ratios())),
    ("merge", || table(&merge::ratios())),
    ("downtime", downtime::show),
    ("journal", || table(&[journal::ratio()])),
    ("conflicts", conflicts::print),
];

fn show<'p>(parts: impl Iterator<Item = &'p (&'static str, fn())>) {
    println!("{}", measure::machine());
    parts.for_each(|(_, measure)| measure());
}

fn table(rows: &[Row]) {
    for row in rows {
        println!("\n{row}");
    }
}
