//! The people's view: lines, and on a terminal a bar for everything that takes long.

use std::collections::HashMap;
use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::line::Line;
use super::queue::Pulse;
use super::text;
use crate::event::{Event, Level, Part, Sink, Unit};
use crate::printable;

/// Shows events as text. On a terminal long tasks get bars; elsewhere one line when they end. Colours follow `NO_COLOR`.
pub struct Terminal {
    out: console::Term,
    pulse: Pulse,
    verbose: bool,
    bars: Option<MultiProgress>,
    tasks: HashMap<String, Bars>,
}

/// A task's bar, and below it one for each part that is under way.
struct Bars {
    task: ProgressBar,
    parts: HashMap<String, ProgressBar>,
}

impl Terminal {
    /// Shows on `out`; debug messages only if `verbose`, and bars only if `bars` allows them.
    pub fn new(out: console::Term, pulse: Pulse, verbose: bool, bars: bool) -> Self {
        // What can only write on takes no bars, and would swallow the lines in their stead.
        let bars = (bars && out.is_term() && !console::is_dumb())
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::term(out.clone(), 10)));
        Self { out, pulse, verbose, bars, tasks: HashMap::new() }
    }

    fn line(&self, line: &Line) {
        // A bar that is being drawn must not tear the line, nor the line the bar.
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

/// A reader that went away (`| head`) is not the update's failure.
fn write_line(mut out: &console::Term, line: &Line) {
    let _ = writeln!(out, "{line}");
}

/// How the names of tasks and of parts are set; together with the numbers they leave room for a bar in 80 columns.
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
