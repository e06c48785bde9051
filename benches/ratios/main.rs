//! Ratios, each against its peer in the same run: what Cowhand does and the command that people would use instead, in turns.
//!
//! Started with arguments, this program is the side that is measured where no command of Cowhand's does just that and no more.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failure ends the benchmark, and its table is its output"
)]

mod check;
mod conflicts;
mod downtime;
mod history;
mod hook;
mod https;
mod journal;
mod measure;
mod merge;
mod plugins;
mod stack;
#[path = "../../build/toolchain.rs"]
mod toolchain;

use measure::Row;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["merge", what, root, ours, theirs] => {
            #[expect(unsafe_code, reason = "as the program itself starts")]
            // SAFETY: no other thread has been started yet.
            unsafe {
                cowhand::git::trust::defer();
            }
            merge::once(what, root, ours, theirs);
        }
        ["conflicts", root, ours, theirs] => conflicts::once(root, ours, theirs),
        ["hook", question, site] => hook::once(question, site),
        ["pull", site, host] => downtime::pull_once(site, host),
        ["downtime"] => {
            println!("{}", measure::machine());
            downtime::show();
        }
        _ => {
            println!("{}", measure::machine());
            table(&hook::ratios());
            table(&plugins::ratios());
            println!("\n{}", plugins::growth());
            table(&check::ratios());
            table(&merge::ratios());
            downtime::show();
            table(&[journal::ratio()]);
            conflicts::print();
        }
    }
}

fn table(rows: &[Row]) {
    for row in rows {
        println!("\n{row}");
    }
}
