//! Decides whether an update may run now, and up to which commit.

use std::collections::HashMap;

use crate::bindings::cowhand::hooks::types::Moment;
use crate::bindings::exports::cowhand::hooks::pre_merge::{
    Answer, Commit, Postponement, Target, Update,
};
use crate::settings::Settings;
use crate::window::Window;

/// Returns the answer for an update.
pub fn answer(settings: &Settings, update: &Update) -> Answer {
    if let Some(closed) = closed(&settings.window, &update.now) {
        return Answer::NotNow(closed);
    }
    match (&settings.pin_to, &settings.hold_at) {
        (Some(tag), _) => match tagged(&update.commits, tag) {
            Some(at) => up_to(update, &update.commits[at], &format!("updates are pinned to {tag}")),
            None => not_now(absent(tag), None),
        },
        (None, Some(tag)) => match tagged(&update.commits, tag) {
            Some(at) => old_enough(settings, update, at, &format!("updates are held at {tag}")),
            None => not_now(absent(tag), None),
        },
        (None, None) => old_enough(settings, update, 0, ""),
    }
}

fn absent(tag: &str) -> String {
    format!(
        "updates stop at the tag {tag}, which none of upstream's new commits has: \
         the site already has it, or upstream does not"
    )
}

/// Returns the postponement until the next window opens. `None` if a window is open or none is
/// configured.
fn closed(windows: &[Window], now: &Moment) -> Option<Postponement> {
    let offset = i64::from(now.offset_minutes) * 60;
    let local = now.seconds + offset;
    if windows.is_empty() || windows.iter().any(|window| window.is_open(local)) {
        return None;
    }
    let named: Vec<_> = windows.iter().map(ToString::to_string).collect();
    let until = windows
        .iter()
        .filter_map(|window| window.opens_after(local))
        .min()
        .map(|local| local - offset);
    Some(Postponement {
        reason: format!("outside the maintenance window ({})", named.join(", ")),
        until,
    })
}

/// Returns the index of the commit with this tag.
fn tagged(commits: &[Commit], tag: &str) -> Option<usize> {
    commits.iter().position(|commit| commit.tags.iter().any(|name| name == tag))
}

/// Allows the newest commit that is old enough, on the first-parent line that starts at `newest`.
fn old_enough(settings: &Settings, update: &Update, newest: usize, why: &str) -> Answer {
    let Some(newest) = update.commits.get(newest) else { return Answer::Proceed(Vec::new()) };
    let line: Vec<_> = own_line(&update.commits, newest).collect();
    let latest = update.now.seconds - settings.min_age;
    match line.iter().find(|commit| commit.time <= latest) {
        Some(commit) if commit.id == newest.id => up_to(update, commit, why),
        Some(commit) => up_to(update, commit, "newer commits are younger than `min-age`"),
        None => {
            let until = line.iter().map(|commit| commit.time + settings.min_age).min();
            not_now("upstream's new commits are younger than `min-age`".to_owned(), until)
        }
    }
}

/// Iterates over a commit and its first parents, as far as the site lacks them.
fn own_line<'a>(commits: &'a [Commit], from: &'a Commit) -> impl Iterator<Item = &'a Commit> {
    let known: HashMap<_, _> = commits.iter().map(|commit| (commit.id.as_str(), commit)).collect();
    std::iter::successors(Some(from), move |commit| {
        known.get(commit.parents.first()?.as_str()).copied()
    })
}

fn up_to(update: &Update, commit: &Commit, reason: &str) -> Answer {
    if commit.id == update.theirs.commit {
        return Answer::Proceed(Vec::new());
    }
    Answer::ProceedTo(Target {
        commit: commit.id.clone(),
        reason: reason.to_owned(),
        files: Vec::new(),
    })
}

fn not_now(reason: String, until: Option<i64>) -> Answer {
    Answer::NotNow(Postponement { reason, until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::exports::cowhand::hooks::pre_merge::End;
    use crate::settings;

    const DAY: i64 = 24 * 60 * 60;
    /// 2026-11-04, a Wednesday, at noon UTC.
    const NOW: i64 = 20_761 * DAY + DAY / 2;

    /// d (1 day old) merges side (9 days old) into c (2 days old). Before c come b (5 days old,
    /// tagged) and a (8 days old).
    fn update() -> Update {
        let commits = vec![
            commit("d", &["c", "side"], 1, &["2026-11"]),
            commit("c", &["b"], 2, &[]),
            commit("b", &["a"], 5, &["2026-10a"]),
            commit("a", &["site"], 8, &[]),
            commit("side", &["site"], 9, &[]),
        ];
        let end = |commit: &str, branch: &str| End {
            commit: commit.to_owned(),
            branch: branch.to_owned(),
        };
        Update {
            now: Moment { seconds: NOW, offset_minutes: 60, zone: None },
            base: "site".to_owned(),
            ours: end("site", "master"),
            theirs: end("d", "origin/master"),
            commits,
            our_changes: Vec::new(),
            their_changes: Vec::new(),
        }
    }

    fn commit(id: &str, parents: &[&str], days: i64, tags: &[&str]) -> Commit {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let subject = String::new();
        Commit {
            id: id.to_owned(),
            parents: owned(parents),
            time: NOW - days * DAY,
            subject,
            tags: owned(tags),
        }
    }

    fn ask(json: &str) -> Answer {
        answer(&settings::read(json).unwrap(), &update())
    }

    fn goes_to(answer: Answer) -> String {
        match answer {
            Answer::Proceed(_) => "d".to_owned(),
            Answer::ProceedTo(target) => target.commit,
            other => panic!("{other:?}"),
        }
    }

    fn postponed_until(answer: Answer) -> Option<i64> {
        match answer {
            Answer::NotNow(postponement) => postponement.until,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_settings_every_update_proceeds() {
        assert_eq!(goes_to(ask("{}")), "d");
    }

    #[test]
    fn the_newest_commit_that_is_old_enough_counts() {
        assert_eq!(goes_to(ask(r#"{"min-age": "1d"}"#)), "d");
        assert_eq!(goes_to(ask(r#"{"min-age": "2d"}"#)), "c");
        assert_eq!(goes_to(ask(r#"{"min-age": "3d"}"#)), "b");
    }

    #[test]
    fn merged_side_branches_do_not_count() {
        assert_eq!(postponed_until(ask(r#"{"min-age": "9d"}"#)), Some(NOW + DAY));
    }

    #[test]
    fn updates_stop_at_a_tag() {
        assert_eq!(goes_to(ask(r#"{"hold-at": "2026-10a"}"#)), "b");
        assert_eq!(goes_to(ask(r#"{"hold-at": "2026-11"}"#)), "d");
        assert_eq!(postponed_until(ask(r#"{"hold-at": "2026-09"}"#)), None);
    }

    #[test]
    fn min_age_applies_to_hold_at_but_not_to_pin_to() {
        assert_eq!(goes_to(ask(r#"{"hold-at": "2026-10a", "min-age": "7d"}"#)), "a");
        assert_eq!(goes_to(ask(r#"{"pin-to": "2026-10a", "min-age": "7d"}"#)), "b");
    }

    #[test]
    fn windows_are_on_the_site_s_clock() {
        // 13:00 on the site.
        assert_eq!(goes_to(ask(r#"{"window": [{"from": "13:00", "to": "14:00"}]}"#)), "d");
        let closed = ask(r#"{"window": [{"from": "12:00", "to": "13:00"},
                {"days": ["wed"], "from": "20:00", "to": "22:00"}]}"#);
        assert_eq!(postponed_until(closed), Some(NOW + 7 * 60 * 60));
    }
}
