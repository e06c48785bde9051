//! Cowhand from outside: the binary on real sites, with an engine and a registry that this suite
//! starts for itself.

#![allow(clippy::disallowed_methods, reason = "tests open what they made")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "these are tests")]

mod authors;
mod backup;
mod certificates;
mod check;
mod cli;
mod engine;
mod faults;
mod grants;
mod hostile;
mod merge;
mod order;
mod peer;
mod plan;
mod plugin_fetch;
mod plugin_trust;
mod plugins;
mod prune;
mod reach;
mod readers;
mod recovery;
mod refusals;
mod resolvers;
mod snapshots;
mod stack;
mod start;
mod support;
mod terminal;
#[path = "../../build/toolchain.rs"]
mod toolchain;
mod traces;
mod update;
mod update_sh;
mod verify;

use std::process::ExitCode;

use support::{Test, world};

fn main() -> ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // Most of a test's time is waiting for containers.
    arguments.test_threads.get_or_insert(4);
    let modules = [
        authors::all(),
        backup::all(),
        certificates::all(),
        check::all(),
        cli::all(),
        engine::all(),
        peer::all(),
        merge::all(),
        plan::all(),
        update::all(),
        update_sh::all(),
        prune::all(),
        recovery::all(),
        faults::all(),
        hostile::all(),
        order::all(),
        plugins::all(),
        plugin_fetch::all(),
        plugin_trust::all(),
        grants::all(),
        reach::all(),
        readers::all(),
        refusals::all(),
        resolvers::all(),
        snapshots::all(),
        stack::all(),
        start::all(),
        terminal::all(),
        traces::all(),
        verify::all(),
    ];
    let mut tests: Vec<Test> = modules.into_iter().flatten().collect();
    // Several filters, parted by commas, in one run with one engine.
    if let Some(filters) = arguments.filter.take_if(|filter| filter.contains(',')) {
        tests.retain(|test| filters.split(',').any(|filter| test.name().contains(filter)));
    }
    let (trials, skipped) = support::trials(tests);
    // The runner tells what failed; where is all that is missing there.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("failed at {}", panic.location().map(ToString::to_string).unwrap_or_default());
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    world::end();
    // If everything could run, the runner's summary stays the last line.
    for (name, reason) in &skipped {
        println!("could not run: {name}: {reason}");
    }
    conclusion.exit_code()
}
