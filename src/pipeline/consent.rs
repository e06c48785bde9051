//! Consent: shows the plan, asks the operator, and runs the site's `pre_update_hook.sh`.

#![expect(
    clippy::disallowed_methods,
    reason = "it only asks if the script exists that is then run by its path"
)]

use std::time::Duration;

use super::{Progress, Run};
use crate::error::{Context, Error, Result};
use crate::event::Event;
use crate::exit::Exit;
use crate::person::Person;
use crate::plan::BranchPlan;
use crate::process::Command;
use crate::site::mailcow::{self, Hostname};

/// The time limit of a site's own script.
const SCRIPT_LIMIT: Duration = Duration::from_mins(10);

/// Shows the plan and asks for consent. Nothing has changed yet.
pub async fn act(run: &mut Run) -> Result<Progress> {
    run.events.emit(Event::Plan(Box::new(run.plan.clone())));
    for question in questions(run) {
        if !question.put_to(&run.person).await? {
            return Err(Error::new("update cancelled")
                .exit(Exit::Declined)
                .hint("Skip the questions with `cowhand update --yes`."));
        }
    }
    if run.person.says_yes() {
        note_unattended(run);
    }
    script(run, mailcow::PRE_HOOK).await.map_err(|error| {
        error
            .exit(Exit::Declined)
            .hint(format!("Fix or remove {}; its failure aborts the update.", mailcow::PRE_HOOK))
    })?;
    let how = if run.person.says_yes() { "by --yes" } else { "" };
    Ok(Progress::Done(how.to_owned()))
}

/// A question to the operator before anything changes.
enum Question {
    /// Asks for an action; a no cancels the update.
    Wanted(String),
    /// Asks for a precondition; a no is a failure, as in update.sh.
    Condition(String),
}

impl Question {
    async fn put_to(&self, person: &Person) -> Result<bool> {
        match self {
            Self::Wanted(text) => person.agrees(text).await,
            Self::Condition(text) => person.confirms(text).await,
        }
    }
}

/// Lists the questions in update.sh's order, so that piped answers reach the right ones.
fn questions(run: &Run) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Hostname::Doubtful(doubt) = hostname(run) {
        questions.push(Question::Condition(format!("{doubt}. Continue anyway?")));
    }
    if let Some(BranchPlan { from, to }) = &run.plan.branch {
        let way_back = if to == mailcow::DEFAULT_BRANCH {
            "the database may be too new for it"
        } else {
            "not every release can be switched back"
        };
        let text =
            format!("Switch the site from the branch {from} to {to}? Back up first: {way_back}.");
        questions.push(Question::Wanted(text));
    }
    questions.push(Question::Wanted(update_question(run)));
    if !run.plan.major.is_empty() {
        questions.push(Question::Condition(format!("Have you read the notes of {}?", majors(run))));
    }
    questions
}

fn update_question(run: &Run) -> String {
    let lost: usize = run
        .plan
        .merge
        .iter()
        .flat_map(|merge| &merge.losses)
        .map(|loss| loss.lines.len().max(1))
        .sum();
    match lost {
        0 => "Update the site now?".to_owned(),
        lines => format!(
            "The merge drops {lines} lines of the site (listed above; copies are kept). Update the \
             site now?"
        ),
    }
}

/// Warns of what `--yes` accepted unseen.
fn note_unattended(run: &Run) {
    if !run.plan.major.is_empty() {
        let hint = "Read their notes, listed above, now.".to_owned();
        run.events.warn(format!("updated across {} without confirmation", majors(run)), Some(hint));
    }
}

fn majors(run: &Run) -> String {
    let releases: Vec<&str> = run.plan.major.iter().map(|major| major.release.as_str()).collect();
    format!("the major releases {}", releases.join(", "))
}

fn hostname(run: &Run) -> Hostname {
    mailcow::judge_hostname(run.site.conf().get(mailcow::HOSTNAME).unwrap_or_default())
}

/// Runs one of the site's own scripts if it exists.
pub async fn script(run: &Run, name: &str) -> Result<()> {
    let path = run.site.path(name);
    if !path.is_file() {
        return Ok(());
    }
    let output = Command::new("bash", SCRIPT_LIMIT)
        .arg(&path)
        .folder(run.site.root())
        .run_ok()
        .await
        .what_with(|| format!("{name} failed"))?;
    for line in output.text().lines() {
        run.events.info(format!("{name}: {line}"));
    }
    Ok(())
}
