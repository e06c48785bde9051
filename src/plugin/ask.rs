//! Calls of one plugin at one hook: the call, the checks of its answer, and the receipt.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::case::Recorder;
use super::convert::{self, merge, pull};
use super::handed::{self, HandedFile};
use super::instance::{Plugin, Session};
use super::markers;
use super::receipt::{Class, Failure, Receipt};
use super::spec::Hook;
use super::types::{
    Answer, Blobs, Conflict, ConflictKind, Favor, PostPull, PostPullAnswer, PreMerge,
    PreMergeAnswer, PrePrune, ResolverAnswer,
};
use crate::printable::{MOST_OF_A_TEXT, cut};

impl Plugin {
    /// Asks if the update may happen.
    pub(super) async fn ask_pre_merge(
        &mut self,
        input: &PreMerge,
    ) -> Result<PreMergeAnswer, Failure> {
        let question = convert::pre_merge(input);
        let ask = async |session: &mut Session| {
            session.hooks.pre_merge()?.call_check(&mut session.store, &question).await
        };
        let (answer, record) = self.call(Hook::PreMerge, false, ask).await;
        let answer = answer.and_then(|answer| self.check_pre_merge(answer, input));
        self.record(|recorder| recorder.pre_merge(&self.about, input, &answer));
        self.conclude(record, answer, |answer| match answer {
            PreMergeAnswer::Proceed { to: None, files } => format!("proceed{}", with(files)),
            PreMergeAnswer::Proceed { to: Some((commit, reason)), files } => {
                format!("proceed to {commit} ({reason}){}", with(files))
            }
            PreMergeAnswer::NotNow { reason, .. } => format!("not now: {reason}"),
            PreMergeAnswer::Stop { reason } => format!("stop: {reason}"),
        })
    }

    fn check_pre_merge(
        &self,
        answer: merge::Answer,
        input: &PreMerge,
    ) -> Result<PreMergeAnswer, Failure> {
        Ok(match answer {
            merge::Answer::Proceed(files) => {
                PreMergeAnswer::Proceed { to: None, files: self.take(files)? }
            }
            merge::Answer::ProceedTo(target)
                if input.commits.iter().any(|commit| commit.id == target.commit) =>
            {
                let to = Some((target.commit, reason(target.reason)));
                PreMergeAnswer::Proceed { to, files: self.take(target.files)? }
            }
            merge::Answer::ProceedTo(target) => {
                let what = format!(
                    "`proceed-to` names `{}`, which is not one of the commits",
                    target.commit
                );
                return Err(nonsense(what));
            }
            merge::Answer::NotNow(postponement) => {
                let until = postponement.until.map(Timestamp::from_second).transpose();
                let until =
                    until.map_err(|error| nonsense(format!("its time is not valid: {error}")))?;
                PreMergeAnswer::NotNow { reason: reason(postponement.reason), until }
            }
            merge::Answer::Stop(said) => PreMergeAnswer::Stop { reason: reason(said) },
        })
    }

    /// Asks for the resolution of one conflict. `accept` returns the reason if a decision is not
    /// valid. An instance that behaves serves all conflicts.
    pub(super) async fn ask_resolver(
        &mut self,
        conflict: &Conflict,
        blobs: Arc<dyn Blobs>,
        accept: impl FnOnce(&Answer) -> crate::error::Result<()>,
    ) -> Result<ResolverAnswer, Failure> {
        let sides = Arc::clone(&blobs);
        let ask = async |session: &mut Session| {
            session.store.data_mut().blobs = Some(sides);
            let question = convert::conflict(conflict);
            session.hooks.conflict_resolver()?.call_resolve(&mut session.store, &question).await
        };
        let (answer, record) = self.call(Hook::ConflictResolver, true, ask).await;
        let answer = answer.and_then(|answer| {
            let answer = convert::resolution(answer).map_err(nonsense)?;
            check_resolution(&answer, conflict, &*blobs)?;
            if let ResolverAnswer::Decide(decision) = &answer {
                accept(decision).map_err(|error| nonsense(error.summary()))?;
            }
            Ok(answer)
        });
        self.record(|recorder| recorder.resolver(&self.about, (conflict, &*blobs), &answer));
        self.conclude(record, answer, |answer| format!("{}: {}", conflict.path, resolution(answer)))
    }

    /// Asks if the new images may replace the old ones.
    pub(super) async fn ask_post_pull(
        &mut self,
        input: &PostPull,
    ) -> Result<PostPullAnswer, Failure> {
        let question = convert::post_pull(input);
        let ask = async |session: &mut Session| {
            session.hooks.post_pull()?.call_check(&mut session.store, &question).await
        };
        let (answer, record) = self.call(Hook::PostPull, false, ask).await;
        let answer = answer.and_then(|answer| match answer {
            pull::Answer::Proceed(files) => {
                Ok(PostPullAnswer::Proceed { files: self.take(files)? })
            }
            pull::Answer::Stop(said) => Ok(PostPullAnswer::Stop { reason: reason(said) }),
        });
        self.record(|recorder| recorder.post_pull(&self.about, input, &answer));
        self.conclude(record, answer, |answer| match answer {
            PostPullAnswer::Proceed { files } => format!("proceed{}", with(files)),
            PostPullAnswer::Stop { reason } => format!("stop: {reason}"),
        })
    }

    /// Asks for the candidates to keep: their ids, with reasons.
    pub(super) async fn ask_pre_prune(
        &mut self,
        input: &PrePrune,
    ) -> Result<Vec<(String, String)>, Failure> {
        let question = convert::pre_prune(input);
        let ask = async |session: &mut Session| {
            session.hooks.pre_prune()?.call_choose(&mut session.store, &question).await
        };
        let (answer, record) = self.call(Hook::PrePrune, false, ask).await;
        let answer = answer.and_then(|keeps| {
            let unknown = |id: &str| input.candidates.iter().all(|candidate| candidate.id != id);
            if let Some(keep) = keeps.iter().find(|keep| unknown(&keep.id)) {
                let what = format!("it keeps `{}`, which is not a candidate", keep.id);
                return Err(nonsense(what));
            }
            // Repeated ids count once.
            let keeps = keeps.into_iter().map(|keep| (keep.id, reason(keep.reason)));
            Ok(keeps.collect::<BTreeMap<_, _>>().into_iter().collect())
        });
        self.record(|recorder| recorder.pre_prune(&self.about, input, &answer));
        self.conclude(record, answer, |keeps: &Vec<_>| {
            format!("keep {} of {}", keeps.len(), input.candidates.len())
        })
    }

    /// Passes an event to an observer. The receipt is not emitted; the caller adds it to those of
    /// the other events.
    pub(super) async fn tell_observer(&mut self, json: &str) -> Receipt {
        let ask = async |session: &mut Session| {
            session.hooks.observer()?.call_event(&mut session.store, json).await
        };
        let (told, record) = self.call(Hook::Observer, true, ask).await;
        self.record(|recorder| recorder.observer(&self.about, json));
        self.receipt(record, told.as_ref().map(|()| "told".to_owned()))
    }

    fn record(&self, write: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.about.recorder {
            write(recorder);
        }
    }

    /// Takes the files of an answer, if they may be installed.
    fn take(
        &self,
        files: Vec<super::bindings::imports::types::NewFile>,
    ) -> Result<Vec<HandedFile>, Failure> {
        let files = convert::files(&self.about.name, files);
        match handed::check(&files, &self.about.permissions) {
            Ok(()) => Ok(files),
            Err(rejected) => Err(Failure { hint: rejected.hint, ..nonsense(rejected.what) }),
        }
    }
}

/// Returns a plugin's reason, cut to its limits.
fn reason(said: String) -> String {
    cut(said, MOST_OF_A_TEXT)
}

fn nonsense(what: String) -> Failure {
    Failure::new(Class::BadOutput, what)
}

/// Refuses decisions that are not valid for any conflict.
fn check_resolution(
    answer: &ResolverAnswer,
    conflict: &Conflict,
    blobs: &dyn Blobs,
) -> Result<(), Failure> {
    let has_lines = matches!(conflict.kind, ConflictKind::Content | ConflictKind::AddAdd);
    match answer {
        ResolverAnswer::Decide(Answer::Favor(Favor::Union)) if !has_lines => {
            Err(nonsense("union is not possible for files without lines".to_owned()))
        }
        ResolverAnswer::Decide(Answer::Content { content, .. })
            if markers::left_behind(content, conflict, blobs) =>
        {
            Err(nonsense("its content contains conflict markers".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Returns a resolver's answer in a few words.
fn resolution(answer: &ResolverAnswer) -> String {
    match answer {
        ResolverAnswer::Pass => "pass".to_owned(),
        ResolverAnswer::Stop { reason } => format!("stop: {reason}"),
        ResolverAnswer::Decide(Answer::Ours) => "ours".to_owned(),
        ResolverAnswer::Decide(Answer::Theirs) => "theirs".to_owned(),
        ResolverAnswer::Decide(Answer::Favor(Favor::Ours)) => "favour ours".to_owned(),
        ResolverAnswer::Decide(Answer::Favor(Favor::Theirs)) => "favour theirs".to_owned(),
        ResolverAnswer::Decide(Answer::Favor(Favor::Union)) => "favour union".to_owned(),
        ResolverAnswer::Decide(Answer::Content { content, .. }) => {
            format!("content of {} bytes", content.len())
        }
        ResolverAnswer::Decide(Answer::Remove) => "remove".to_owned(),
    }
}

/// Returns the number of files, for receipts.
fn with(files: &[HandedFile]) -> String {
    match files.len() {
        0 => String::new(),
        1 => ", with a file".to_owned(),
        count => format!(", with {count} files"),
    }
}
