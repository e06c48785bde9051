//! The terminal: lines of text, and a progress bar for each long task.

use std::collections::HashMap;
use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::line::Line;
use super::queue::Pulse;
use super::text;
use crate::event::{Event, Level, Part, Sink, Unit};
use crate::printable;

/// Shows events as text. Long tasks get bars on a terminal, and one line at their end elsewhere.
/// Colours follow `NO_COLOR`.
pub struct Terminal {
    out: console::Term,
    pulse: Pulse,
    verbose: bool,
    bars: Option<MultiProgress>,
    tasks: HashMap<String, Bars>,
}

/// A task's bar and the bars of its active parts.
struct Bars {
    task: ProgressBar,
    parts: HashMap<String, ProgressBar>,
}

impl Terminal {
    /// Shows on `out`; debug messages only if `verbose`, and bars only if `bars` allows them.
    pub fn new(out: console::Term, pulse: Pulse, verbose: bool, bars: bool) -> Self {
        // A dumb terminal shows no bars, and would lose lines to them.
        let bars = (bars && out.is_term() && !console::is_dumb())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::term(out.clone(), 10)));
        Self { out, pulse, verbose, bars, tasks: HashMap::new() }
    }

    fn line(&self, line: &Line) {
        // Lines and bars must not be drawn over each other.
        match &self.bars {
            Some(bars) => bars.suspend(|| write_line(&self.out, line)),
            None => write_line(&self.out, line),
        }
        self.pulse.beat();
    }

    fn progress(&mut self, task: &str, done: u64, total: Option<u64>, unit: Unit, parts: &[Part]) {
        let Some(bars) = &self.bars else { return };
        let shown = self.tasks.entry(task.to_owned()).or_insert_with(|| Bars {
            task: bars.add(bar(task, unit, TASK)),
            parts: HashMap::new(),
        });
        if !parts.is_empty() {
            let whole = parts.iter().filter(|part| part.is_done()).count();
            shown.task.set_prefix(format!(" {whole}/{} layers", parts.len()));
        }
        moved(&shown.task, done, total);
        for part in parts {
            if part.is_done() {
                shown.parts.remove(&part.name).iter().for_each(|bar| away(bars, bar));
            } else if part.done > 0 {
                let new = || bars.insert_after(&shown.task, bar(&part.name, unit, PART));
                let bar = shown.parts.entry(part.name.clone()).or_insert_with(new);
                moved(bar, part.done, part.total);
            }
        }
    }

    fn finished(&mut self, task: &str, done: u64, unit: Unit) {
        match (&self.bars, self.tasks.remove(task)) {
            (Some(bars), Some(shown)) => shown.all().for_each(|bar| away(bars, bar)),
            (Some(_), None) => {}
            (None, _) => {
                write_line(&self.out, &text::finished(task, &amount(done, unit)));
            }
        }
    }
}

impl Bars {
    fn all(&self) -> impl Iterator<Item = &ProgressBar> {
        self.parts.values().chain([&self.task])
    }
}

impl Sink for Terminal {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Note { level: Level::Debug, .. } if !self.verbose => {}
            Event::Progress { task, done, unit, finished: true, .. } => {
                self.finished(task, *done, *unit);
            }
            Event::Progress { task, done, total, unit, parts, .. } => {
                self.progress(task, *done, *total, *unit, parts);
            }
            _ => {
                if let (Event::Stage { .. } | Event::Outcome { .. }, Some(bars)) =
                    (event, &self.bars)
                {
                    self.tasks
                        .drain()
                        .for_each(|(_, shown)| shown.all().for_each(|bar| away(bars, bar)));
                }
                for line in text::lines(event) {
                    self.line(&line);
                }
            }
        }
    }
}

/// Writes a line. A closed pipe (`| head`) is not a failure of the update.
fn write_line(mut out: &console::Term, line: &Line) {
    let _ = writeln!(out, "{line}");
}

/// The templates of tasks and parts. With the numbers they leave room for a bar in 80 columns.
const TASK: &str = "  {msg:<38!}";
const PART: &str = "    {msg:<36!}";

fn bar(name: &str, unit: Unit, set: &str) -> ProgressBar {
    let numbers = match unit {
        Unit::Bytes => "{bytes}/{total_bytes}",
        Unit::Items => "{pos}/{len}",
    };
    let style = ProgressStyle::with_template(&format!("{set} {{wide_bar}} {numbers}{{prefix}}"));
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style).with_message(printable::line(name))
}

fn moved(bar: &ProgressBar, done: u64, total: Option<u64>) {
    match total {
        Some(total) => bar.set_length(total),
        None => bar.tick(),
    }
    bar.set_position(done);
}

fn away(bars: &MultiProgress, bar: &ProgressBar) {
    bar.finish_and_clear();
    bars.remove(bar);
}

fn amount(done: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytesize::ByteSize::b(done).to_string(),
        Unit::Items => done.to_string(),
    }
}
