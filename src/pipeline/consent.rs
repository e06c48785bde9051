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

/// How long a site's own script may take.
const SCRIPT_LIMIT: Duration = Duration::from_mins(10);

/// Shows the plan and asks. Nothing has changed yet; a no leaves it so.
pub async fn act(run: &mut Run) -> Result<Progress> {
    run.events.emit(Event::Plan(Box::new(run.plan.clone())));
    for question in questions(run) {
        if !question.put_to(&run.person).await? {
            return Err(Error::new("not updated, as asked")
                .exit(Exit::Declined)
                .hint("`cowhand update --yes` asks nothing."));
        }
    }
    if run.person.says_yes() {
        note_unattended(run);
    }
    script(run, mailcow::PRE_HOOK).await.map_err(|error| {
        error.exit(Exit::Declined).hint(format!(
            "{} stops an update by ending with an error; mend it or take it away.",
            mailcow::PRE_HOOK
        ))
    })?;
    let how = if run.person.says_yes() { "by --yes" } else { "" };
    Ok(Progress::Done(how.to_owned()))
}

/// Something that a person is asked before anything changes.
enum Question {
    /// Whether this shall be done. A no is an answer like any other.
    Wanted(String),
    /// Whether this is so. Without it nothing can be done, and update.sh calls that a failure.
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

/// What a person has to agree to, in update.sh's order, so that answers that are piped in go where they are meant.
fn questions(run: &Run) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Hostname::Doubtful(doubt) = hostname(run) {
        questions.push(Question::Condition(format!("{doubt}. Go on all the same?")));
    }
    if let Some(BranchPlan { from, to }) = &run.plan.branch {
        let way_back = if to == mailcow::DEFAULT_BRANCH {
            "the database may be newer than it knows"
        } else {
            "not every release allows the way back"
        };
        let text =
            format!("Switch the site from the branch {from} to {to}? Back up first: {way_back}.");
        questions.push(Question::Wanted(text));
    }
    questions.push(Question::Wanted(update_question(run)));
    if !run.plan.major.is_empty() {
        questions
            .push(Question::Condition(format!("Have the notes of {} been read?", majors(run))));
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
            "The merge drops {lines} lines that the site had written (listed above, kept in the run). Update the site now?"
        ),
    }
}

/// What nobody was there to agree to.
fn note_unattended(run: &Run) {
    if !run.plan.major.is_empty() {
        let hint = "Their notes are listed above: read them now.".to_owned();
        run.events.warn(format!("{} passed unattended", majors(run)), Some(hint));
    }
}

fn majors(run: &Run) -> String {
    let releases: Vec<&str> = run.plan.major.iter().map(|major| major.release.as_str()).collect();
    format!("the major releases {}", releases.join(", "))
}

fn hostname(run: &Run) -> Hostname {
    mailcow::judge_hostname(run.site.conf().get(mailcow::HOSTNAME).unwrap_or_default())
}

/// Runs one of the site's own scripts, where it exists.
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
