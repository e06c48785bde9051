//! Events as lines of text for the terminal.

use console::Style;

use super::line::Line;
use crate::event::{Event, Level, StageState};
use crate::git::conflict::{Collision, Decision, Kind, Loss, Resolution, Was};
use crate::plan::{MergePlan, Plan};
use crate::plugin::Receipt;
use crate::site::settings;
use crate::stack::change::{Action, ImageChange, PruneAction, PruneItem, PruneKind, ServiceChange};

/// The indent of notes, which aligns them with the stages' details.
const NOTE: &str = "             ";
/// The number of lost lines shown per file; the rest is in the run.
const LINES_SHOWN: usize = 12;
/// The length of a shortened digest.
const DIGEST_SHOWN: usize = "sha256:".len() + 12;

/// Returns the event's lines; empty if it is only for programs.
pub fn lines(event: &Event) -> Vec<Line> {
    match event {
        Event::Start { command, site, run, .. } => {
            let run = run.as_ref().map(|run| format!(", run {run}")).unwrap_or_default();
            let text = format!("cowhand {command}: {site}{run}");
            vec![Line::default().and(Style::new().bold(), text)]
        }
        Event::Stage { stage, state, detail } => {
            stage_line(stage, *state, detail.as_deref()).into_iter().collect()
        }
        Event::Note { level, text, hint } => note(*level, text, hint.as_deref()),
        Event::Plugin(receipt) => receipt_lines(receipt),
        Event::Plan(plan) => plan_lines(plan),
        Event::Prune(plan) => prune_lines(&plan.items),
        Event::Check { update, upstream, branch, commits, .. } => {
            check_lines(*update, upstream, branch, commits)
        }
        Event::Report { text, .. } => text.lines().map(|line| line.to_owned().into()).collect(),
        Event::Outcome { code, message, because, left, hints, .. } => {
            outcome(*code, message, because, left.as_deref(), hints)
        }
        Event::Progress { .. } | Event::Unknown => Vec::new(),
    }
}

/// Returns the line of a finished task, for output without bars.
pub fn finished(task: &str, amount: &str) -> Line {
    format!("{NOTE}{task}: {amount}").into()
}

/// Returns lines for failures, and for the answers of monitored plugins.
fn receipt_lines(receipt: &Receipt) -> Vec<Line> {
    match (&receipt.failure, &receipt.answer) {
        (Some(failure), _) => {
            note(Level::Warning, &format!("plugin {}: {}", receipt.plugin, failure.message), None)
        }
        (None, Some(answer)) if receipt.monitor => note(
            Level::Info,
            &format!("plugin {} would have answered: {answer}", receipt.plugin),
            None,
        ),
        _ => Vec::new(),
    }
}

fn stage_line(stage: &str, state: StageState, detail: Option<&str>) -> Option<Line> {
    let mark = match state {
        StageState::Started => return None,
        StageState::Done => (Style::new().green(), "ok"),
        StageState::Skipped => (Style::new().dim(), "--"),
        StageState::Failed => (Style::new().red(), "failed"),
        StageState::Undone => (Style::new().yellow(), "undone"),
    };
    let line = Line::from(format!("  {stage:<10} ")).and(mark.0, mark.1);
    Some(match detail {
        Some(detail) if !detail.is_empty() => line.plain(format!("  {detail}")),
        _ => line,
    })
}

fn note(level: Level, text: &str, hint: Option<&str>) -> Vec<Line> {
    let begun = match level {
        Level::Warning => {
            let mark = Style::new().yellow().bold();
            Line::from("  ".to_owned()).and(mark, "warning:").plain(" ")
        }
        Level::Info | Level::Debug => Line::from(NOTE.to_owned()),
    };
    let mut lines = begun.paragraph(&Style::new(), text, NOTE);
    lines.extend(
        hint.into_iter()
            .flat_map(|hint| Line::from(NOTE.to_owned()).paragraph(&Style::new(), hint, NOTE)),
    );
    lines
}

fn outcome(
    code: u8,
    message: &str,
    because: &[String],
    left: Option<&str>,
    hints: &[String],
) -> Vec<Line> {
    let plain = Style::new();
    let mark = if code == 0 || code == 3 {
        Style::new().green().bold()
    } else {
        Style::new().red().bold()
    };
    let begun = |text: &str| Line::from(text.to_owned());
    let mut lines = Line::default().paragraph(&mark, message, "  ");
    let more = because.iter().map(String::as_str).chain(left);
    lines.extend(more.flat_map(|text| begun("  ").paragraph(&plain, text, "  ")));
    lines.extend(hints.iter().flat_map(|hint| begun("  → ").paragraph(&plain, hint, "    ")));
    lines
}

fn check_lines(update: bool, upstream: &str, branch: &str, commits: &[String]) -> Vec<Line> {
    let short = upstream.get(..10).unwrap_or(upstream);
    let what = if update { "an update is available" } else { "nothing new" };
    let mut lines = vec![format!("{branch} is at {short}: {what}.").into()];
    lines.extend(commits.iter().map(|commit| format!("  {commit}").into()));
    lines
}

fn plan_lines(plan: &Plan) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.extend(
        plan.branch
            .iter()
            .map(|branch| format!("  Branch: from {} to {}", branch.from, branch.to).into()),
    );
    section(
        &mut lines,
        "Major releases on the way: read their notes first",
        plan.major.iter().map(|major| format!("{}  {}", major.release, major.notes)),
    );
    section(
        &mut lines,
        "Not migrated by updates",
        plan.by_hand.iter().flat_map(|one| [one.what.clone(), format!("  {}", one.remedy)]),
    );
    if let Some(merge) = &plan.merge {
        lines.extend(merge_lines(merge));
    }
    section(
        &mut lines,
        "Services",
        plan.services.iter().filter(|service| service.action != Action::Keep).map(service_line),
    );
    let kept = plan.services.iter().filter(|service| service.action == Action::Keep).count();
    if kept > 0 {
        lines.push(format!("  {kept} services are left running.").into());
    }
    section(
        &mut lines,
        "Networks that change, so that the whole stack stops first",
        plan.down.iter().cloned(),
    );
    section(
        &mut lines,
        "Images",
        plan.images.iter().filter(|image| image.pull || image.from != image.to).map(image_line),
    );
    section(
        &mut lines,
        "Files from plugins",
        plan.files.iter().map(|file| format!("{}  ({})", file.path, file.plugin)),
    );
    section(&mut lines, "mailcow.conf", plan.settings.iter().map(setting_line));
    section(&mut lines, "Not done (update.sh would)", plan.left_out.iter().cloned());
    lines.extend(prune_lines(&plan.prune));
    lines
}

fn setting_line(change: &settings::Change) -> String {
    const HIDDEN: &str = "(not shown)";
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| HIDDEN.to_owned());
    let name = &change.name;
    match change.change {
        settings::Kind::Added => format!("+ {name}={}", value(&change.is)),
        settings::Kind::Removed => format!("- {name}={}", value(&change.was)),
        settings::Kind::Changed => {
            format!("~ {name}={}, before {}", value(&change.is), value(&change.was))
        }
    }
}

fn merge_lines(merge: &MergePlan) -> Vec<Line> {
    let mut lines = Vec::new();
    section(&mut lines, "Conflicts", merge.conflicts.iter().map(conflict_line));
    if !merge.losses.is_empty() {
        lines.push(heading("Local changes lost in the merge (copies are kept)"));
        lines.extend(merge.losses.iter().flat_map(loss_lines));
    }
    lines.push(format!("  Result: tree {}", merge.tree).into());
    lines
}

fn conflict_line(decision: &Decision) -> String {
    let collision = match decision.collision {
        Some(Collision::Untracked) => ", an untracked file in the way",
        Some(Collision::Ignored) => ", an ignored file in the way",
        None => "",
    };
    let kind = kind_text(decision.kind);
    format!(
        "{}: {kind}{collision} → {} ({})",
        decision.path,
        resolution_text(decision.resolution),
        decision.plugin
    )
}

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Content => "both changed the same lines",
        Kind::Binary => "both changed a binary file",
        Kind::AddAdd => "both added it",
        Kind::ModifyDelete => "the site changed it, upstream deleted it",
        Kind::DeleteModify => "the site deleted it, upstream changed it",
        Kind::RenameDelete => "renamed on one side, deleted on the other",
        Kind::RenameRename => "renamed differently",
        Kind::DirectoryFile => "a directory on one side, a file on the other",
        Kind::Mode => "both changed its mode",
        Kind::Type => "a file on one side, a link on the other",
        Kind::Submodule => "a submodule",
    }
}

fn resolution_text(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Ours => "the site's",
        Resolution::Theirs => "upstream's",
        Resolution::FavorOurs => "merged, the site's lines where they conflict",
        Resolution::FavorTheirs => "merged, upstream's lines where they conflict",
        Resolution::FavorUnion => "merged, both where they conflict",
        Resolution::Content => "as the plugin wrote it",
        Resolution::Remove => "removed",
    }
}

fn loss_lines(loss: &Loss) -> Vec<Line> {
    let mut lines = vec![format!("    {}", loss.path).into()];
    lines.extend(loss.lines.iter().take(LINES_SHOWN).map(|line| {
        let (colour, sign) = match line.was {
            Was::Added => (Style::new().green(), '+'),
            Was::Deleted => (Style::new().red(), '-'),
        };
        Line::from(format!("      {:>5}  ", line.line)).and(colour, format!("{sign}{}", line.text))
    }));
    if loss.lines.len() > LINES_SHOWN {
        lines.push(format!("{NOTE}… and {} more", loss.lines.len() - LINES_SHOWN).into());
    }
    lines
}

fn service_line(change: &ServiceChange) -> String {
    let action = match change.action {
        Action::Keep => "keep",
        Action::Restart => "restart",
        Action::Recreate => "recreate",
        Action::Create => "create",
        Action::Remove => "remove",
    };
    let reasons: Vec<&str> = change.reasons.iter().map(|reason| reason.detail.as_str()).collect();
    format!("{:<24} {action:<9} {}", change.service, reasons.join("; "))
}

fn image_line(image: &ImageChange) -> String {
    let short = |digest: &Option<String>| {
        digest
            .as_deref()
            .map_or("?", |digest| digest.get(..DIGEST_SHOWN).unwrap_or(digest))
            .to_owned()
    };
    let pull = if image.pull { "" } else { "  (already pulled)" };
    match &image.from {
        Some(_) => {
            format!("{}  {} → {}{pull}", image.reference, short(&image.from), short(&image.to))
        }
        None => format!("{}  new, {}{pull}", image.reference, short(&image.to)),
    }
}

fn prune_lines(items: &[PruneItem]) -> Vec<Line> {
    let mut lines = Vec::new();
    let line = |item: &PruneItem| {
        let kind = match item.kind {
            PruneKind::Image => "image",
            PruneKind::Volume => "volume",
        };
        let name =
            if item.references.is_empty() { item.id.clone() } else { item.references.join(", ") };
        format!("{kind} {name}: {}", item.reason)
    };
    section(
        &mut lines,
        "Removed at the end",
        items.iter().filter(|item| item.action == PruneAction::Remove).map(line),
    );
    lines
}

fn heading(title: &str) -> Line {
    Line::from("  ".to_owned()).and(Style::new().bold(), title).plain(":")
}

fn section(lines: &mut Vec<Line>, title: &str, items: impl Iterator<Item = String>) {
    let mut items = items.map(|item| Line::from(format!("    {item}"))).peekable();
    if items.peek().is_some() {
        lines.push(heading(title));
        lines.extend(items);
    }
}
