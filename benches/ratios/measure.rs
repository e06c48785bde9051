//! Two commands in turns, and their medians.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The number of runs of each side.
pub const RUNS: usize = 21;

/// The result of one comparison.
pub struct Row {
    what: &'static str,
    ours: (&'static str, Duration),
    peer: (&'static str, Duration),
}

/// Runs both sides in turns, after one uncounted run of each. A side is a name and a function that
/// returns its command.
pub fn compare(
    what: &'static str,
    (our_name, ours): (&'static str, impl Fn() -> Command),
    (peer_name, peer): (&'static str, impl Fn() -> Command),
) -> Row {
    compare_times(what, RUNS, (our_name, || time(&mut ours())), (peer_name, || time(&mut peer())))
}

/// The same, so many times, for sides that say themselves how long they took.
pub fn compare_times(
    what: &'static str,
    runs: usize,
    (our_name, ours): (&'static str, impl Fn() -> Duration),
    (peer_name, peer): (&'static str, impl Fn() -> Duration),
) -> Row {
    ours();
    peer();
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        our_times.push(ours());
        peer_times.push(peer());
    }
    Row { what, ours: (our_name, median(our_times)), peer: (peer_name, median(peer_times)) }
}

/// The same from times that were taken elsewhere.
pub fn given(
    what: &'static str,
    ours: (&'static str, Vec<Duration>),
    peer: (&'static str, Vec<Duration>),
) -> Row {
    Row { what, ours: (ours.0, median(ours.1)), peer: (peer.0, median(peer.1)) }
}

/// Measures a command from its start to its end.
pub fn time(command: &mut Command) -> Duration {
    let since = Instant::now();
    let output = command.stdin(Stdio::null()).output().unwrap();
    let took = since.elapsed();
    assert!(
        output.status.code().is_some_and(|code| code <= 1),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}

/// Measures a command from its start to its first line of output.
pub fn time_to_the_first_line(command: &mut Command) -> Duration {
    let since = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let took = since.elapsed();
    assert!(child.wait().unwrap().success() && line.ends_with('\n'), "{command:?} said {line:?}");
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The time, for commits: where on earth is nothing that the peers look up.
pub fn now() -> jiff::ZonedDateTime {
    jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC)
}

/// Describes the machine.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let git = Command::new("git")
        .arg("--version")
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    let build =
        if cfg!(debug_assertions) { "debug build: not for comparison" } else { "release build" };
    format!(
        "{cores} cores,{}; {}; {build}; medians of {RUNS} runs in turns, whole processes",
        model.trim_start_matches([' ', '\t', ':']).trim(),
        String::from_utf8_lossy(&git).trim()
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        let (ours, peer) = (milliseconds(self.ours.1), milliseconds(self.peer.1));
        writeln!(f, "{}: {:.2} of the peer's time", self.what, ours / peer)?;
        writeln!(f, "  {ours:9.2} ms  {}", self.ours.0)?;
        write!(f, "  {peer:9.2} ms  {}", self.peer.0)
    }
}
