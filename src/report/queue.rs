//! A sink on a thread of its own, behind a bounded queue: a reader that is slow, or gone to sleep,
//! does not hold up the run.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::{Event, Level, Sink};
use crate::interrupt::Interrupt;

/// Events that may wait for the reader; a run has some hundreds. Progress waits only in the first
/// half.
const CAPACITY: usize = 1024;
/// Bytes written at once: what a pipe takes as soon as its reader has read a page.
const CHUNK: usize = 4096;
/// A reader that takes nothing for so long is not waited for while there is something else to do.
const LIVING: Duration = Duration::from_secs(30);
/// The time for which a reader may take nothing before services stop, after a signal, and at the
/// end of a run that changed the site.
const LAST: Duration = Duration::from_secs(5);
/// The interval at which a signal and the reader are looked for while waiting.
const LOOK: Duration = Duration::from_millis(50);

/// The moment at which a reader last took something. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pulse {
    origin: Instant,
    millis: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { origin: Instant::now(), millis: Arc::default() }
    }
}

impl Pulse {
    /// It took something just now.
    pub fn beat(&self) {
        let millis = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.origin + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }
}

/// Writes in small chunks and feels the reader's pulse after each.
pub struct Paced<W> {
    out: W,
    pulse: Pulse,
}

impl<W> Paced<W> {
    /// Writes to `out`.
    pub fn new(out: W, pulse: Pulse) -> Self {
        Self { out, pulse }
    }
}

impl<W: Write> Write for Paced<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(&bytes[..bytes.len().min(CHUNK)])?;
        self.pulse.beat();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.pulse.beat();
        Ok(())
    }
}

/// A sink behind a queue.
pub struct Queued {
    shared: Arc<Shared>,
    pulse: Pulse,
    interrupt: Interrupt,
    /// The time for which the queue's end may be waited for; `None` without limit.
    patience: Option<Duration>,
    hurried: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    /// Returns true while the sink has an event.
    busy: bool,
    /// Nobody puts anything in any more, or nobody takes anything out.
    closed: bool,
    /// Events left out since the last one that found room.
    missed: u64,
    run: Option<String>,
}

impl Queued {
    /// Starts the thread of a sink. `only_looks` says that nothing is at stake, so that its reader
    /// is waited for without limit.
    pub fn start<S: Sink + 'static>(
        interrupt: Interrupt,
        only_looks: bool,
        sink: impl FnOnce(Pulse) -> S,
    ) -> Self {
        let (shared, pulse) = (Arc::<Shared>::default(), Pulse::default());
        let (theirs, mut sink) = (Arc::clone(&shared), sink(pulse.clone()));
        let beats = pulse.clone();
        std::thread::spawn(move || {
            // Who waits for a sink that panicked would wait for ever.
            let _ = catch_unwind(AssertUnwindSafe(|| theirs.serve(&mut sink, &beats)));
            theirs.queue().closed = true;
            theirs.moved.notify_all();
        });
        let patience = (!only_looks).then_some(LIVING);
        Self { shared, pulse, interrupt, patience, hurried: false }
    }

    /// Waits until something holds, as long as the reader takes something now and then, counted
    /// from `since`.
    fn wait<'q>(
        &self,
        mut queue: MutexGuard<'q, Queue>,
        patience: Option<Duration>,
        since: Instant,
        holds: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'q, Queue> {
        while !queue.closed && !holds(&queue) {
            let hurry = self.interrupt.asked().then_some(LAST);
            let patience = patience.into_iter().chain(hurry).min();
            let idle = self.pulse.last().max(since).elapsed();
            if patience.is_some_and(|patience| idle >= patience) {
                break;
            }
            let waited = self.shared.moved.wait_timeout(queue, LOOK);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue
    }

    fn put(&self, event: &Event) {
        let last = matches!(event, Event::Outcome { .. });
        let mut queue = self.shared.queue();
        let full = |queue: &Queue| queue.events.len() >= CAPACITY;
        if matches!(event, Event::Progress { finished: false, .. }) {
            if queue.events.len() >= CAPACITY / 2 {
                return;
            }
        } else if full(&queue) && !last {
            let patience = if self.hurried { Some(Duration::ZERO) } else { self.patience };
            let since = self.pulse.last();
            queue = self.wait(queue, patience, since, |queue| !full(queue));
            if full(&queue) {
                queue.missed += 1;
                return;
            }
        }
        queue.admit_misses();
        if let Event::Start { run, .. } = event {
            queue.run.clone_from(run);
        }
        queue.events.push_back(event.clone());
        self.shared.moved.notify_all();
    }
}

impl Sink for Queued {
    fn event(&mut self, event: &Event) {
        self.put(event);
    }

    fn hurry(&mut self) {
        if !self.hurried {
            self.drain(Some(LAST));
            self.hurried = true;
        }
    }

    fn drain(&mut self, patience: Option<Duration>) {
        let mut queue = self.shared.queue();
        queue.admit_misses();
        self.shared.moved.notify_all();
        let empty = |queue: &Queue| queue.events.is_empty() && !queue.busy;
        drop(self.wait(queue, patience, Instant::now(), empty));
    }

    fn end(&mut self) {
        self.drain(self.hurried.then_some(LAST));
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.moved.notify_all();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, sink: &mut impl Sink, pulse: &Pulse) {
        while let Some(event) = self.take() {
            sink.event(&event);
            pulse.beat();
        }
    }

    /// Takes the next event; none once the queue is closed and empty.
    fn take(&self) -> Option<Event> {
        let mut queue = self.queue();
        queue.busy = false;
        self.moved.notify_all();
        while queue.events.is_empty() && !queue.closed {
            queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        let event = queue.events.pop_front();
        queue.busy = event.is_some();
        event
    }
}

impl Queue {
    /// Tells the reader how much it missed, at the place where it did.
    fn admit_misses(&mut self) {
        let missed = std::mem::take(&mut self.missed);
        if missed == 0 {
            return;
        }
        let were = if missed == 1 { "message was" } else { "messages were" };
        let hint = self.run.as_ref().map(|run| format!("`cowhand show {run}` has them."));
        self.events.push_back(Event::Note {
            level: Level::Warning,
            text: format!("{missed} {were} not shown: nobody read them."),
            hint,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};

    use super::*;
    use crate::event::{Events, Unit};
    use crate::exit::Exit;
    use crate::report::JsonLines;

    fn behind_a_queue(out: PipeWriter, interrupt: &Interrupt, only_looks: bool) -> Events {
        let json = |pulse| JsonLines::new(Paced::new(out, pulse));
        let events = Events::default();
        events.add(Box::new(Queued::start(interrupt.clone(), only_looks, json)));
        events
    }

    fn outcome(events: &Events) {
        events.emit(Event::Outcome {
            code: 0,
            exit: Exit::Done,
            message: "done".to_owned(),
            because: Vec::new(),
            left: None,
            hints: Vec::new(),
            run: None,
        });
    }

    fn lines(reader: PipeReader) -> Vec<String> {
        BufReader::new(reader).lines().map(Result::unwrap).collect()
    }

    #[test]
    fn nobody_reads_and_an_apply_goes_on() {
        let (reader, writer) = io::pipe().unwrap();
        let events = behind_a_queue(writer, &Interrupt::default(), false);
        let begun = Instant::now();
        events.hurry();
        (0..20_000).for_each(|number| events.info(format!("note {number}")));
        outcome(&events);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let begun = Instant::now();
        events.end();
        let took = begun.elapsed();
        assert!(took >= LAST && took < LAST * 2, "{took:?}");
        // The reader wakes up: it gets the first, the last, and the number of those missing, which
        // may come in parts if room appeared in between.
        let read = std::thread::spawn(|| lines(reader));
        events.drain();
        drop(events);
        let read = read.join().unwrap();
        let notes = read.iter().filter(|line| line.contains("note ")).count();
        let missed = read.iter().filter_map(|line| {
            let (before, _) = line.split_once(" not shown: nobody read them.")?;
            before.rsplit_once(" message")?.0.rsplit_once('"')?.1.parse::<usize>().ok()
        });
        assert_eq!(missed.sum::<usize>(), 20_000 - notes, "{read:?}");
        assert!(notes < 20_000 && read[0].contains("note 0"), "{read:?}");
        assert!(read.last().unwrap().contains("\"outcome\""));
    }

    #[test]
    fn a_slow_reader_gets_every_line() {
        let (mut reader, writer) = io::pipe().unwrap();
        let events = behind_a_queue(writer, &Interrupt::default(), false);
        let read = std::thread::spawn(move || {
            let (mut all, mut some) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = reader.read(&mut some) {
                all.extend_from_slice(&some[..count]);
                std::thread::sleep(Duration::from_millis(5));
            }
            String::from_utf8(all).unwrap()
        });
        (0..10_000).for_each(|number| events.info(format!("note {number}")));
        events.hurry();
        (10_000..10_500).for_each(|number| events.info(format!("note {number}")));
        // One event that is larger than what a pipe takes.
        events.info("x".repeat(1 << 20));
        events.end();
        drop(events);
        let read = read.join().unwrap();
        assert_eq!(read.lines().count(), 10_501);
        assert!(
            read.lines()
                .enumerate()
                .take(10_500)
                .all(|(number, line)| { line.contains(&format!("note {number}\"")) })
        );
    }

    #[test]
    fn progress_is_dropped_first() {
        let (reader, writer) = io::pipe().unwrap();
        let events = behind_a_queue(writer, &Interrupt::default(), false);
        events.info("x".repeat(1 << 20));
        (0..10_000).for_each(|done| events.progress("task", done, None, Unit::Items));
        events.hurry();
        (0..CAPACITY / 2).for_each(|number| events.info(format!("note {number}")));
        let read = std::thread::spawn(|| lines(reader));
        events.end();
        drop(events);
        let read = read.join().unwrap();
        assert_eq!(read.len(), 1 + CAPACITY / 2, "{:.200}", read.concat());
    }

    #[tokio::test]
    async fn a_signal_ends_the_waiting_for_a_reader() {
        let (_reader, writer) = io::pipe().unwrap();
        let interrupt = Interrupt::default();
        let events = behind_a_queue(writer, &interrupt, true);
        let floods = events.clone();
        let flood = tokio::task::spawn_blocking(move || {
            (0..CAPACITY * 2).for_each(|_| floods.info("x".repeat(100)));
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!flood.is_finished(), "it waits for whoever looks");
        interrupt.ask(&Events::default());
        tokio::time::timeout(LAST * 2, flood).await.unwrap().unwrap();
    }
}
