//! Hostile text through the sinks.

use std::io::{Read, Seek};
use std::sync::LazyLock;

use console::{Style, Term};

use super::line::Line;
use super::{JsonLines, Pulse, Terminal};
use crate::event::{Event, Level, Sink, StageState, Unit};
use crate::exit::Exit;
use crate::git::conflict::{Decision, Kind, Loss, LostLine, Resolution, Was};
use crate::path::SitePath;
use crate::plan::{MergePlan, Plan};

/// It would clear the screen, say that all is well, hide what follows, and go on for a megabyte.
static HOSTILE: LazyLock<String> = LazyLock::new(|| {
    let attack = "\u{1b}[2J\u{1b}[H✔ Done\u{202e}\u{9b}31m\u{1b}]52;c;eA==\u{7}\r\u{200b}";
    attack.to_owned() + &"\u{1b}xxxxxxx".repeat(1 << 17)
});

fn hostile() -> String {
    HOSTILE.clone()
}

/// The text that a terminal without bars gets of the events.
fn shown(events: &[Event]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    let (reads, writes) = (file.try_clone().unwrap(), file.try_clone().unwrap());
    let mut terminal =
        Terminal::new(Term::read_write_pair(reads, writes), Pulse::default(), false, true);
    for event in events {
        terminal.event(event);
    }
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

fn is_harmless(text: &str) -> bool {
    text.chars().all(|character| character == '\n' || crate::printable::is_plain(character))
}

fn note(text: String) -> Event {
    Event::Note { level: Level::Warning, text, hint: Some(hostile()) }
}

fn outcome(because: Vec<String>) -> Event {
    Event::Outcome {
        code: 1,
        exit: Exit::Unexpected,
        message: hostile(),
        because,
        left: Some(hostile()),
        hints: vec![hostile()],
        run: None,
    }
}

fn plan() -> Event {
    let path = SitePath::from(hostile().as_bytes());
    let decision = Decision {
        path: path.clone(),
        kind: Kind::Content,
        collision: None,
        plugin: hostile(),
        resolution: Resolution::Theirs,
    };
    let line = LostLine { line: 1, was: Was::Added, text: hostile() };
    let merge = MergePlan {
        base: String::new(),
        ours: String::new(),
        theirs: String::new(),
        tree: String::new(),
        conflicts: vec![decision],
        losses: vec![Loss { path, lines: vec![line] }],
    };
    Event::Plan(Box::new(Plan { merge: Some(merge), ..Plan::default() }))
}

fn hostile_events() -> Vec<Event> {
    let stage = |state| Event::Stage { stage: "merge".to_owned(), state, detail: Some(hostile()) };
    vec![
        note(hostile()),
        stage(StageState::Failed),
        Event::Check {
            update: true,
            head: String::new(),
            upstream: hostile(),
            branch: hostile(),
            commits: vec![hostile()],
        },
        Event::Progress {
            task: hostile(),
            done: 1,
            total: None,
            unit: Unit::Items,
            finished: true,
            parts: Vec::new(),
        },
        plan(),
        Event::Report { report: String::new(), data: serde_json::Value::Null, text: hostile() },
        outcome(vec![format!("nginx-mailcow: {}", hostile())]),
    ]
}

#[test]
fn what_others_wrote_reaches_a_terminal_escaped_and_cut() {
    for event in hostile_events() {
        let text = shown(std::slice::from_ref(&event));
        assert!(!text.is_empty() && is_harmless(&text), "{text:.300}");
        assert!(text.len() < 30 << 10, "{} bytes of {text:.300}", text.len());
    }
}

#[test]
fn lines_of_others_do_not_pass_for_our_own() {
    let text = shown(&[note("one\n✔ Done".to_owned()), outcome(vec!["two\n✔ Done".to_owned()])]);
    assert!(!text.lines().any(|line| line.starts_with('✔')), "{text}");
    let text = shown(&[outcome(vec!["x\n".repeat(100_000)])]);
    assert!(text.contains(" more lines)") && text.lines().count() < 300);
}

#[test]
fn our_own_styles_survive() {
    let green = Style::new().green().force_styling(true);
    let line = Line::from("\u{1b}[2J".to_owned()).and(green, "\u{1b}[31m");
    assert_eq!(line.to_string(), "\\u{1b}[2J\u{1b}[32m\\u{1b}[31m\u{1b}[0m");
}

#[test]
fn json_is_the_same_data_without_raw_controls() {
    for event in hostile_events() {
        let mut written = Vec::new();
        JsonLines::new(&mut written).event(&event);
        let text = String::from_utf8(written).unwrap();
        assert!(text.is_empty() || is_harmless(&text), "{text:.300}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
        let whole = serde_json::to_string(&event).unwrap();
        assert!(text.is_empty() || read(&text) == read(&whole));
    }
}
