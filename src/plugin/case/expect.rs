//! Answers of a plugin and expected answers of a case, in the same form.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::handed::HandedFile;
use super::super::receipt::Failure;
use super::super::types::{
    Answer, Favor, FileMode, PostPullAnswer, PreMergeAnswer, ResolverAnswer,
};

/// An answer. A case needs only `answer`; missing keys are not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expect {
    /// The answer's name in the WIT (`proceed`, `ours`, `favor-union`, `keep`, …), `told` for an
    /// observer, or the class of a failure.
    pub answer: String,
    /// A part of the reason, or of the failure's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `proceed-to`: the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// `not-now`: the earliest time for another try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The paths of the files for installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<String>>,
    /// `keep`: the ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<Vec<String>>,
    /// `content`: the mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<FileMode>,
    /// Parts of the log, in any order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<String>,
}

impl Expect {
    pub(super) fn named(answer: &str) -> Self {
        Self { answer: answer.to_owned(), ..Self::default() }
    }

    fn because(answer: &str, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::named(answer) }
    }

    fn handing(self, files: &[HandedFile]) -> Self {
        let mut paths: Vec<String> = files.iter().map(|file| file.path.text()).collect();
        paths.sort();
        Self { files: Some(paths), ..self }
    }

    pub(super) fn failed(failure: &Failure) -> Self {
        Self::because(&failure.class.name().replace(' ', "-"), &failure.message)
    }

    pub(super) fn pre_merge(answer: &PreMergeAnswer) -> Self {
        match answer {
            PreMergeAnswer::Proceed { to: None, files } => Self::named("proceed").handing(files),
            PreMergeAnswer::Proceed { to: Some((commit, reason)), files } => {
                Self { commit: Some(commit.clone()), ..Self::because("proceed-to", reason) }
                    .handing(files)
            }
            PreMergeAnswer::NotNow { reason, until } => {
                Self { until: *until, ..Self::because("not-now", reason) }
            }
            PreMergeAnswer::Stop { reason } => Self::because("stop", reason),
        }
    }

    /// Returns the answer and its content.
    pub(super) fn resolver(answer: &ResolverAnswer) -> (Self, Option<&[u8]>) {
        let named = |name: &str| (Self::named(name), None);
        match answer {
            ResolverAnswer::Pass => named("pass"),
            ResolverAnswer::Stop { reason } => (Self::because("stop", reason), None),
            ResolverAnswer::Decide(Answer::Ours) => named("ours"),
            ResolverAnswer::Decide(Answer::Theirs) => named("theirs"),
            ResolverAnswer::Decide(Answer::Favor(Favor::Ours)) => named("favor-ours"),
            ResolverAnswer::Decide(Answer::Favor(Favor::Theirs)) => named("favor-theirs"),
            ResolverAnswer::Decide(Answer::Favor(Favor::Union)) => named("favor-union"),
            ResolverAnswer::Decide(Answer::Remove) => named("remove"),
            ResolverAnswer::Decide(Answer::Content { content, mode }) => {
                (Self { mode: *mode, ..Self::named("content") }, Some(content))
            }
        }
    }

    pub(super) fn post_pull(answer: &PostPullAnswer) -> Self {
        match answer {
            PostPullAnswer::Proceed { files } => Self::named("proceed").handing(files),
            PostPullAnswer::Stop { reason } => Self::because("stop", reason),
        }
    }

    pub(super) fn pre_prune(keeps: &[(String, String)]) -> Self {
        let mut ids: Vec<String> = keeps.iter().map(|(id, _)| id.clone()).collect();
        ids.sort();
        Self { keep: Some(ids), ..Self::named("keep") }
    }

    /// Returns the differences from an answer, one line each.
    pub(super) fn differences(&self, answered: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.answer != answered.answer {
            let reason =
                answered.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            lines.push(format!(
                "answered `{}`{reason}, expected `{}`",
                answered.answer, self.answer
            ));
            return lines;
        }
        let told = answered.reason.clone().unwrap_or_default();
        if let Some(words) = self.reason.as_ref().filter(|words| !told.contains(words.as_str())) {
            lines.push(format!("the reason is `{told}`, expected it to contain `{words}`"));
        }
        let mut compare = |what: &str, expected: Option<String>, is: String| {
            if let Some(expected) = expected.filter(|expected| *expected != is) {
                lines.push(format!("{what}: {is}, expected {expected}"));
            }
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        compare("the commit", self.commit.clone(), text(&answered.commit));
        compare(
            "until",
            self.until.map(|at| at.to_string()),
            text(&answered.until.map(|at| at.to_string())),
        );
        compare(
            "the files",
            self.files.as_ref().map(|files| joined(files)),
            joined(answered.files.as_deref().unwrap_or_default()),
        );
        compare(
            "kept",
            self.keep.as_ref().map(|ids| joined(ids)),
            joined(answered.keep.as_deref().unwrap_or_default()),
        );
        compare(
            "the mode",
            self.mode.map(|mode| format!("{mode:?}")),
            format!("{:?}", answered.mode.unwrap_or_default()),
        );
        for words in &self.logs {
            if !answered.logs.iter().any(|line| line.contains(words.as_str())) {
                lines.push(format!("`{words}` is not in the log"));
            }
        }
        lines
    }
}

/// Sorted by name, as the answer's are.
fn joined(names: &[String]) -> String {
    let mut names = names.to_vec();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_not_compared() {
        let answered = Expect {
            until: Some(Timestamp::UNIX_EPOCH),
            ..Expect::because("not-now", "it is Monday")
        };
        assert_eq!(Expect::named("not-now").differences(&answered), Vec::<String>::new());
        let other = Expect { commit: Some("c1".into()), ..Expect::because("not-now", "Tuesday") };
        assert_eq!(other.differences(&answered).len(), 2);
        let differences = Expect::named("stop").differences(&answered);
        assert_eq!(differences, ["answered `not-now` (it is Monday), expected `stop`"]);
    }

    #[test]
    fn lists_are_compared_whole() {
        let answered =
            Expect::pre_prune(&[("b".into(), String::new()), ("a".into(), String::new())]);
        let expects = |ids: &[&str]| Expect {
            keep: Some(ids.iter().map(ToString::to_string).collect()),
            ..Expect::named("keep")
        };
        assert!(expects(&["b", "a"]).differences(&answered).is_empty());
        assert_eq!(expects(&["a"]).differences(&answered), ["kept: a, b, expected a"]);
        assert_eq!(expects(&[]).differences(&answered), ["kept: a, b, expected none"]);
    }
}
