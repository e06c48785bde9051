//! The plugins of one site, asked in order at each hook, and the combination of their answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plugins;
use super::handed::HandedFile;
use super::instance::Plugin;
use super::policy::Policy;
use super::receipt::{Class, Failure};
use super::spec::Hook;
use super::types::{
    Answer, Blobs, Conflict, Decided, Kept, Narrowed, PostPull, PostPullAnswer, PostPullVerdict,
    PreMerge, PreMergeAnswer, PreMergeVerdict, PrePrune, ResolverAnswer,
};
use crate::error::{Error, Result};
use crate::exit::Exit;

impl Plugins {
    /// Asks the pre-merge plugins, each with the same input. The first "not now" or "stop" ends the
    /// chain.
    pub async fn pre_merge(&mut self, input: &PreMerge) -> Result<PreMergeVerdict> {
        let mut oldest: Option<(usize, Narrowed)> = None;
        let mut given = Vec::new();
        for plugin in self.at(Hook::PreMerge) {
            let name = plugin.about.name.clone();
            let answer = plugin.ask_pre_merge(input).await;
            match answer {
                _ if plugin.about.monitor => {}
                Ok(PreMergeAnswer::Proceed { to: None, files }) => given.extend(files),
                Ok(PreMergeAnswer::Proceed { to: Some((commit, reason)), files }) => {
                    given.extend(files);
                    let age = input
                        .commits
                        .iter()
                        .position(|known| known.id == commit)
                        .unwrap_or(usize::MAX);
                    if oldest.as_ref().is_none_or(|(older, _)| age > *older) {
                        oldest = Some((age, Narrowed { commit, plugin: name, reason }));
                    }
                }
                Ok(PreMergeAnswer::NotNow { reason, .. } | PreMergeAnswer::Stop { reason })
                    if plugin.is_overruled(Hook::PreMerge, &reason) => {}
                Ok(PreMergeAnswer::NotNow { reason, until }) => {
                    return Ok(PreMergeVerdict::NotNow { plugin: name, reason, until });
                }
                Ok(PreMergeAnswer::Stop { reason }) => {
                    return Ok(PreMergeVerdict::Stop { plugin: name, reason });
                }
                Err(failure) => plugin.failed(Hook::PreMerge, failure)?,
            }
        }
        Ok(PreMergeVerdict::Proceed {
            to: oldest.map(|(_, narrowed)| narrowed),
            files: one_for_each_path(given),
        })
    }

    /// Asks the resolvers about one conflict. The first answer other than pass decides. `accept`
    /// applies an answer and returns the reason if it is not valid; that counts as a failure of the
    /// plugin, so the site's policy may pass the conflict on.
    pub async fn resolve(
        &mut self,
        conflict: &Conflict,
        blobs: Arc<dyn Blobs>,
        mut accept: impl FnMut(&str, &Answer) -> Result<()>,
    ) -> Result<Decided> {
        for plugin in self.at(Hook::ConflictResolver) {
            let (name, monitor) = (plugin.about.name.clone(), plugin.about.monitor);
            let stands = |answer: &Answer| if monitor { Ok(()) } else { accept(&name, answer) };
            let answer = plugin.ask_resolver(conflict, Arc::clone(&blobs), stands).await;
            match answer {
                _ if monitor => {}
                Ok(ResolverAnswer::Pass) => {}
                Ok(ResolverAnswer::Decide(answer)) => {
                    return Ok(Decided::By { plugin: name, answer });
                }
                Ok(ResolverAnswer::Stop { reason })
                    if plugin.is_overruled(Hook::ConflictResolver, &reason) => {}
                Ok(ResolverAnswer::Stop { reason }) => {
                    return Ok(Decided::Stop { plugin: name, reason });
                }
                Err(failure) => plugin.failed(Hook::ConflictResolver, failure)?,
            }
        }
        Ok(Decided::Undecided)
    }

    /// Asks the post-pull plugins. The first "stop" ends the chain.
    pub async fn post_pull(&mut self, input: &PostPull) -> Result<PostPullVerdict> {
        let mut given = Vec::new();
        for plugin in self.at(Hook::PostPull) {
            let answer = plugin.ask_post_pull(input).await;
            match answer {
                _ if plugin.about.monitor => {}
                Ok(PostPullAnswer::Proceed { files }) => given.extend(files),
                Ok(PostPullAnswer::Stop { reason })
                    if plugin.is_overruled(Hook::PostPull, &reason) => {}
                Ok(PostPullAnswer::Stop { reason }) => {
                    return Ok(PostPullVerdict::Stop { plugin: plugin.about.name.clone(), reason });
                }
                Err(failure) => plugin.failed(Hook::PostPull, failure)?,
            }
        }
        Ok(PostPullVerdict::Proceed { files: one_for_each_path(given) })
    }

    /// Asks every pre-prune plugin and combines what they keep. A plugin that fails keeps
    /// everything, unless the site's policy is `skip` or `warn`: the run has already succeeded.
    pub async fn pre_prune(&mut self, input: &PrePrune) -> Result<Vec<Kept>> {
        let mut kept = BTreeMap::new();
        if input.candidates.is_empty() {
            return Ok(Vec::new());
        }
        for plugin in self.at(Hook::PrePrune) {
            let name = plugin.about.name.clone();
            let keeps = match plugin.ask_pre_prune(input).await {
                _ if plugin.about.monitor => Vec::new(),
                Ok(keeps) => keeps,
                Err(failure) => match plugin.failed(Hook::PrePrune, failure) {
                    Ok(()) => Vec::new(),
                    Err(error) => {
                        plugin.about.events.warn(error.summary(), error.hints().first().cloned());
                        let reason = format!("`{name}` failed, so everything is kept");
                        input
                            .candidates
                            .iter()
                            .map(|candidate| (candidate.id.clone(), reason.clone()))
                            .collect()
                    }
                },
            };
            for (id, reason) in keeps {
                kept.entry(id.clone()).or_insert(Kept { id, plugin: name.clone(), reason });
            }
        }
        Ok(kept.into_values().collect())
    }

    fn at(&mut self, hook: Hook) -> impl Iterator<Item = &mut Plugin> {
        self.chain.iter_mut().filter(move |plugin| plugin.has(hook))
    }
}

impl Plugin {
    /// Returns true if the site continues in spite of a refusal.
    fn is_overruled(&self, hook: Hook, reason: &str) -> bool {
        let policy = self.about.policy(hook, Class::Refused);
        if policy == Policy::Warn {
            let text =
                format!("the plugin `{}` refused at {}: {reason}", self.about.name, hook.name());
            self.about
                .events
                .warn(text, Some("The run continues, as configured in cowhand.toml.".to_owned()));
        }
        policy != Policy::Stop
    }

    /// Handles a failure. Returns an error if the site's policy is to stop.
    fn failed(&self, hook: Hook, failure: Failure) -> Result<()> {
        let name = &self.about.name;
        let what =
            format!("the plugin `{name}` failed at {} ({})", hook.name(), failure.class.name());
        match self.about.policy(hook, failure.class) {
            Policy::Skip => Ok(()),
            Policy::Warn => {
                self.about.events.warn(format!("{what}: {}", failure.message), failure.hint);
                Ok(())
            }
            Policy::Stop => {
                let exit =
                    if hook == Hook::ConflictResolver { Exit::Conflict } else { Exit::Declined };
                let error = Error::new(what).because(&failure.message).exit(exit);
                let error = failure.hint.into_iter().fold(error, Error::hint);
                let key = failure.class.key();
                Err(error.hint(format!(
                    "To continue without it, set `on-failure = {{ {key} = \"skip\" }}` for `{name}` in cowhand.toml."
                )))
            }
        }
    }
}

/// Keeps the last file if several plugins gave the same path.
fn one_for_each_path(files: Vec<HandedFile>) -> Vec<HandedFile> {
    let by_path: BTreeMap<_, _> = files.into_iter().map(|file| (file.path.clone(), file)).collect();
    by_path.into_values().collect()
}
