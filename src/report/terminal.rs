//! The people's view: lines, and on a terminal a bar for everything that takes long.

use std::collections::HashMap;
use std::io::Write;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text;
use crate::event::{Event, Sink, Unit};

/// Shows events as text. On a terminal long tasks get bars; elsewhere one line when they end. Colours follow `NO_COLOR`.
pub struct Terminal {
    out: console::Term,
    bars: Option<MultiProgress>,
    tasks: HashMap<String, ProgressBar>,
}

impl Terminal {
    /// Shows on `out`.
    pub fn new(out: console::Term) -> Self {
        let bars = out.is_term().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::term(out.clone(), 10)));
        Self { out, bars, tasks: HashMap::new() }
    }

    fn line(&self, line: &str) {
        // A bar that is being drawn must not tear the line, nor the line the bar.
        match &self.bars {
            Some(bars) => bars.suspend(|| write_line(&self.out, line)),
            None => write_line(&self.out, line),
        }
    }

    fn progress(&mut self, task: &str, done: u64, total: Option<u64>, unit: Unit, finished: bool) {
        let Some(bars) = &self.bars else {
            if finished {
                write_line(&self.out, &format!("             {task}: {}", amount(done, unit)));
            }
            return;
        };
        let bar = self.tasks.entry(task.to_owned()).or_insert_with(|| bars.add(new_bar(task, unit)));
        match total {
            Some(total) => bar.set_length(total),
            None => bar.tick(),
        }
        bar.set_position(done);
        if finished && let Some(bar) = self.tasks.remove(task) {
            bar.finish_and_clear();
            bars.remove(&bar);
        }
    }
}

impl Sink for Terminal {
    fn event(&mut self, event: &Event) {
        if let Event::Progress { task, done, total, unit, finished } = event {
            return self.progress(task, *done, *total, *unit, *finished);
        }
        if matches!(event, Event::Stage { .. } | Event::Outcome { .. }) {
            self.tasks.drain().for_each(|(_, bar)| bar.finish_and_clear());
        }
        for line in text::lines(event) {
            self.line(&line);
        }
    }
}

/// A reader that went away (`| head`) is not the update's failure.
fn write_line(mut out: &console::Term, line: &str) {
    let _ = writeln!(out, "{line}");
}

fn new_bar(task: &str, unit: Unit) -> ProgressBar {
    let template = match unit {
        Unit::Bytes => "             {msg:<40!} {bar:20} {bytes}/{total_bytes} {bytes_per_sec}",
        Unit::Items => "             {msg:<40!} {bar:20} {pos}/{len}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::no_length().with_style(style).with_message(task.to_owned())
}

fn amount(done: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => bytesize::ByteSize::b(done).to_string(),
        Unit::Items => done.to_string(),
    }
}
