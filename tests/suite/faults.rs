//! Every stage and every fault, from the list of the stages: whatever strikes, every part of the
//! site is old or new, and one command ends it. A stage that comes to the list is tested here
//! without another line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cowhand::failpoint::VARIABLE;
use cowhand::pipeline::{Phase, STAGES, Stage, StageName, Undo};
use serde_json::Value;

use crate::support::faulty::{Fault, Faulty};
use crate::support::ran::Ran;
use crate::support::tests;
use crate::support::whole::Stands;

tests! {
    Stack: faults_of_prepare,
    failures_of_apply,
    ends_of_apply,
    faults_of_clean,
    every_step_and_every_undoing_may_be_done_twice,
    every_undoing_may_fail_and_be_repeated,
    a_damaged_journal_loses_one_record_at_most,
    kills_at_any_moment;
    Nothing: a_share_touches_every_stage_and_every_fault;
}

/// The variable of `make torture`: everything is tried.
const TORTURE: &str = "COWHAND_TORTURE";
/// The number of kills of [`kills_at_any_moment`], and the seed of their moments; `make torture`
/// sets both.
const KILLS: &str = "COWHAND_KILLS";
const SEED: &str = "COWHAND_SEED";

fn torture() -> bool {
    std::env::var_os(TORTURE).is_some()
}

fn faults_of_prepare() {
    let site =
        all_of(|stage, _| stage.phase == Phase::Prepare).expect("there are stages that prepare");
    // The next update clears away what killed preparations held.
    site.site.cowhand(["update", "--yes"]).exits(0);
    assert_eq!(site.is_done(), Stands::New);
    site.site.cowhand(["history"]).exits(0).keeps_quiet_about("unfinished");
    // Runs that changed nothing hold no objects; the newest one does.
    let held = site.site.git(["for-each-ref", "--format=%(refname)", "refs/cowhand"]);
    let holders: BTreeSet<&str> = held.lines().filter_map(|line| line.split('/').nth(2)).collect();
    let runs = site.site.cowhand(["history", "--json"]).exits(0).event("report")["data"].clone();
    let prepares = |run: &Value| {
        STAGES.iter().any(|stage| {
            stage.phase == Phase::Prepare && run["stage"].as_str() == Some(stage.name.text())
        })
    };
    let changing: BTreeSet<&str> = runs
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| !prepares(run))
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    let newest =
        site.site.cowhand(["status", "--json"]).exits(0).event("report")["data"]["run"].clone();
    assert!(
        holders.contains(newest.as_str().unwrap()) && holders.is_subset(&changing),
        "{newest}, {changing:?}: {held}"
    );
}

fn failures_of_apply() {
    all_of(|stage, fault| stage.phase == Phase::Apply && !ends_it(fault));
}

fn ends_of_apply() {
    all_of(|stage, fault| stage.phase == Phase::Apply && ends_it(fault));
}

fn faults_of_clean() {
    all_of(|stage, _| stage.phase == Phase::Clean);
}

/// Returns true if the fault itself ends the process, without an outcome.
fn ends_it(fault: Fault) -> bool {
    matches!(fault, Fault::KilledBefore | Fault::KilledAfter | Fault::Term)
}

/// The cells that are tried: all in torture; else an error at each stage, two more faults in turn
/// where the site changes, one elsewhere.
fn tried(place: usize, stage: &Stage, fault: Fault) -> bool {
    const OTHERS: [Fault; 6] = [
        Fault::KilledBefore,
        Fault::Journal,
        Fault::Term,
        Fault::KilledAfter,
        Fault::Full,
        Fault::Late,
    ];
    let more = if stage.phase == Phase::Apply { 2 } else { 1 };
    let in_turn = (place..place + more).any(|turn| OTHERS[turn % OTHERS.len()] == fault);
    torture() || fault == Fault::Error || in_turn
}

/// The suite's share is fixed: every stage, and every fault.
fn a_share_touches_every_stage_and_every_fault() {
    for (place, stage) in STAGES.iter().enumerate() {
        assert!(Fault::ALL.into_iter().filter(|fault| tried(place, stage, *fault)).count() > 1);
    }
    for fault in Fault::ALL {
        assert!(
            STAGES.iter().enumerate().any(|(place, stage)| tried(place, stage, fault)),
            "{fault:?}"
        );
    }
}

/// Tries the wanted cells on a site, one after the other, and gives the site.
fn all_of(wanted: impl Fn(&Stage, Fault) -> bool) -> Option<Faulty> {
    let stages = STAGES.iter().enumerate();
    let cells = stages.flat_map(|(place, stage)| Fault::ALL.map(|fault| (place, stage, fault)));
    let cells =
        cells.filter(|(place, stage, fault)| wanted(stage, *fault) && tried(*place, stage, *fault));
    let mut site = None;
    for (cell, (_, stage, fault)) in cells.enumerate() {
        let site = site.get_or_insert_with(Faulty::make);
        let begun = Instant::now();
        let ran = site.struck(stage.name.text(), fault);
        println!("{} × {fault:?}: {:?}", stage.name.text(), ran.code());
        one(site, stage, fault, &ran);
        site.ends(cell % 2 == 0);
        println!("{} × {fault:?}: ended after {:?}", stage.name.text(), begun.elapsed());
    }
    site
}

/// Checks the outcome of a run with a fault.
fn one(site: &Faulty, stage: &Stage, fault: Fault, ran: &Ran) {
    let (stands, told) = site.stands();
    let tell =
        || format!("{} × {fault:?} left {stands:?}, said to be {told}: {ran}", stage.name.text());
    assert_eq!(
        ran.code().is_none(),
        matches!(fault, Fault::KilledBefore | Fault::KilledAfter),
        "{}",
        tell()
    );
    assert!(ran.code().is_none_or(|code| may_end(stage, fault, code)), "{}", tell());
    match ran.code() {
        // The version in the web interface may be missing until the run is ended.
        Some(1) => assert!(
            stands == Stands::New || fault == Fault::Full && told == "between",
            "{}",
            tell()
        ),
        Some(0) => assert_eq!((stands, told.as_str()), (Stands::New, "new"), "{}", tell()),
        Some(10..=13 | 20) => {
            assert_eq!((stands, told.as_str()), (Stands::Old, "old"), "{}", tell());
        }
        _ => {}
    }
    match stage.phase {
        Phase::Prepare if ran.code() == Some(0) || is_full_before_apply(stage, fault) => {}
        Phase::Prepare => assert_eq!((stands, told.as_str()), (Stands::Old, "old"), "{}", tell()),
        Phase::Apply => assert!(fault != Fault::Error || stands == Stands::Old, "{}", tell()),
        Phase::Clean => assert_eq!(stands, Stands::New, "{}", tell()),
    }
}

/// Returns true if the file system is full at a stage that writes only a record: if that still fits,
/// the next stage fails, which may be the switch.
fn is_full_before_apply(stage: &Stage, fault: Fault) -> bool {
    fault == Fault::Full && matches!(stage.name, StageName::Consent | StageName::Backup)
}

/// Returns true if a run with this fault in this phase may end with this code. The update migrates
/// no data.
fn may_end(stage: &Stage, fault: Fault, code: i32) -> bool {
    // None of these waits for another process: upstream is a directory, `--yes` answers, and the
    // site asks for no dump.
    let waits = !matches!(
        stage.name,
        StageName::Fetch | StageName::Merge | StageName::Consent | StageName::Backup
    );
    match (stage.phase, fault) {
        (Phase::Prepare, Fault::Late) if !waits => code == 0,
        (Phase::Prepare, Fault::Full) if is_full_before_apply(stage, fault) => {
            matches!(code, 0 | 1 | 10..=13 | 20 | 21)
        }
        (Phase::Prepare, _) => matches!(code, 10..=13 | 130),
        (Phase::Apply, Fault::Error) => code == 20,
        (Phase::Apply, Fault::Term) => code == 130,
        // Not every stage asks for what comes too late, or writes what no longer fits.
        (Phase::Apply, Fault::Late) => matches!(code, 0 | 20 | 21),
        // The new stack may be up and well before what is written last no longer fits.
        (Phase::Apply, _) => matches!(code, 0 | 1 | 20 | 21),
        (Phase::Clean, _) => matches!(code, 0 | 1 | 130),
    }
}

fn every_step_and_every_undoing_may_be_done_twice() {
    let site = Faulty::make();
    site.site.prepared(["update", "--yes"]).env(VARIABLE, "every:acted:twice").run().exits(0);
    assert_eq!(site.is_done(), Stands::New);
    site.site.prepared(["rollback", "--yes"]).env(VARIABLE, "every:undone:twice").run().exits(0);
    assert_eq!(site.is_done(), Stands::Old);
}

fn every_undoing_may_fail_and_be_repeated() {
    let site = Faulty::make();
    let undone = STAGES.iter().filter(|stage| matches!(stage.undo, Undo::With(_)));
    for (place, stage) in undone.enumerate() {
        let faults = ["undone:kill", "undoing:error", "undoing:kill", "undone:error"];
        for (turn, fault) in faults.into_iter().take(if torture() { 4 } else { 2 }).enumerate() {
            site.site.cowhand(["update", "--yes"]).exits(0);
            let fault = format!("{}:{fault}", stage.name.text());
            let ran = site.site.prepared(["rollback", "--yes"]).env(VARIABLE, &fault).run();
            assert!(matches!(ran.code(), None | Some(21)), "{fault}: {ran}");
            assert_eq!(site.stands().1, "between", "{fault}");
            site.ends((place + turn) % 2 == 0);
        }
    }
}

/// A way to damage a file.
type Damage = (&'static str, fn(&mut Vec<u8>));
/// Some.
const DAMAGES: [Damage; 4] = [
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("a bit flipped in its middle", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
    }),
    ("emptied", Vec::clear),
    ("a bit of its checksum flipped", |bytes| {
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
    }),
];

fn a_damaged_journal_loses_one_record_at_most() {
    let site = Faulty::make();
    let stages = STAGES.iter().filter(|stage| torture() || stage.phase == Phase::Apply);
    let points =
        stages.flat_map(|stage| ["begun", "recorded"].map(|point| (stage.name.text(), point)));
    for (cell, (stage, point)) in points.enumerate() {
        let (how, damage) = DAMAGES[cell % DAMAGES.len()];
        println!("{stage}:{point}, {how}");
        site.site
            .prepared(["update", "--yes"])
            .env(VARIABLE, format!("{stage}:{point}:kill"))
            .run()
            .was_killed();
        let journal = site.newest_run().join("journal.json");
        let mut bytes = fs::read(&journal).unwrap();
        damage(&mut bytes);
        fs::write(&journal, bytes).unwrap();
        site.ends(cell % 2 == 0);
    }
    both_damaged(&site);
}

/// A run of which nothing can be read is not taken for one that never was.
fn both_damaged(site: &Faulty) {
    site.site.prepared(["update", "--yes"]).env(VARIABLE, "start:begun:kill").run().was_killed();
    let run = site.newest_run();
    let files = ["journal.json", "journal.previous.json"].map(|name| run.join(name));
    let whole = files.each_ref().map(|file| fs::read(file).unwrap());
    for file in &files {
        fs::write(file, "{").unwrap();
    }
    for command in ["status", "update", "resume", "rollback"] {
        site.site
            .cowhand([command])
            .exits(23)
            .says(run.file_name().unwrap().to_str().unwrap())
            .says("damaged");
    }
    for (file, bytes) in files.iter().zip(whole) {
        fs::write(file, bytes).unwrap();
    }
    site.ends(false);
}

/// Kills at moments that are spread evenly over an update, at random within each part of it; each
/// is ended by `resume` or `rollback`. The same seed kills at the same moments, as far as a machine
/// does the same twice.
fn kills_at_any_moment() {
    let number = |name, otherwise| {
        std::env::var(name).map_or(otherwise, |text| text.parse::<u32>().unwrap())
    };
    let (kills, seed) = (number(KILLS, 20), number(SEED, std::process::id()));
    println!("{kills} kills, {SEED}={seed}");
    let sites = (kills / 5).clamp(1, 4);
    let mut hit = BTreeMap::<String, u32>::new();
    std::thread::scope(|scope| {
        let shares = (0..sites).map(|first| {
            scope.spawn(move || killed(seed, (first..kills).step_by(sites as usize), kills))
        });
        for stage in shares.collect::<Vec<_>>().into_iter().flat_map(|share| share.join().unwrap())
        {
            *hit.entry(stage).or_default() += 1;
        }
    });
    println!("{kills} kills, {SEED}={seed}, ended in: {hit:?}");
    // Where other work comes and goes beside them, few kills are not sure to hit each phase.
    for phase in [Phase::Prepare, Phase::Apply, Phase::Clean].into_iter().filter(|_| kills >= 100) {
        let hits = |stage: &&Stage| stage.phase == phase && hit.contains_key(stage.name.text());
        assert!(STAGES.iter().any(|stage| hits(&stage)), "no kill hit {phase:?}: {hit:?}");
    }
}

/// Carries out some of the kills on a site of its own, and gives the stages in which they fell.
fn killed(seed: u32, kills: impl Iterator<Item = u32>, of: u32) -> Vec<String> {
    let site = Faulty::make();
    let (mut stages, mut length) = (Vec::new(), site.length);
    for kill in kills {
        let random = random(u64::from(seed) << 32 | u64::from(kill));
        let part = (f64::from(kill) + f64::from(random) / f64::from(u32::MAX)) / f64::from(of);
        loop {
            let moment = length.mul_f64(part);
            println!("{SEED}={seed}, kill {kill} after {moment:?} of {length:?}");
            let ran = site.site.prepared(["update", "--yes"]).kill_after(moment);
            if ran.code().is_none() {
                break;
            }
            // It was done before: the machine has become faster since the length was taken.
            length = moment.min(length.mul_f64(0.9));
            site.ends(false);
        }
        let runs = site.site.cowhand(["history", "--json"]).exits(0).event("report");
        let last = runs["data"]
            .as_array()
            .and_then(|runs| runs.last())
            .filter(|run| run["ended"].is_null());
        stages.push(
            last.and_then(|run| run["stage"].as_str())
                .unwrap_or("before the first or after the last")
                .to_owned(),
        );
        site.ends(random.is_multiple_of(2));
    }
    stages
}

/// A number that looks like any other and is the same for the same seed.
fn random(seed: u64) -> u32 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    u32::try_from(mixed >> 32).unwrap()
}

impl Faulty {
    fn runs(&self) -> Vec<PathBuf> {
        let folder: &Path = &self.site.root().join(".git/cowhand/runs");
        let runs: BTreeSet<PathBuf> =
            fs::read_dir(folder).unwrap().flatten().map(|run| run.path()).collect();
        runs.into_iter().collect()
    }

    fn newest_run(&self) -> PathBuf {
        self.runs().pop().unwrap()
    }
}
