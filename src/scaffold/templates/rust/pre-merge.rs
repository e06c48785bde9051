//! Postpones an update while a commit's subject contains one of the `hold-words`.

use crate::Plugin;
use crate::bindings::exports::cowhand::hooks::pre_merge::{
    Answer, Commit, Guest, Postponement, Update,
};
use crate::settings::Settings;

impl Guest for Plugin {
    fn check(update: Update) -> Result<Answer, String> {
        let words = Settings::read()?.hold_words;
        Ok(match held_by(&update.commits, &words) {
            Some(commit) => {
                Answer::NotNow(Postponement { reason: commit.subject.clone(), until: None })
            }
            None => Answer::Proceed(Vec::new()),
        })
    }
}

/// Returns the first commit that postpones the update.
fn held_by<'a>(commits: &'a [Commit], words: &[String]) -> Option<&'a Commit> {
    commits.iter().find(|commit| words.iter().any(|word| commit.subject.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_held_only_by_a_word_in_the_list() {
        let (id, subject) = ("c1".to_owned(), "Draft of the next release".to_owned());
        let commits = [Commit { id, parents: Vec::new(), time: 0, subject, tags: Vec::new() }];
        assert!(held_by(&commits, &["Draft".to_owned()]).is_some());
        assert!(held_by(&commits, &[]).is_none());
    }
}
