//! Cowhand from outside: the binary on real sites, with an engine and a registry that this suite starts for itself.

mod support;

use std::process::ExitCode;

use support::{Test, world};

fn main() -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let tests: Vec<Test> = [].into_iter().flatten().collect();
    let (trials, skipped) = support::trials(tests);
    for (name, reason) in &skipped {
        eprintln!("could not run: {name}: {reason}");
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::end();
    conclusion.exit_code()
}
