//! Asking one plugin at one hook: the call itself, the checks of its answer, and the receipt.

use std::sync::Arc;

use super::instance::Plugin;
use super::receipt::{Class, Failure, Receipt};
use super::spec::Hook;
use super::types::{Blobs, Candidate, Conflict, Image, PostPullAnswer, PreMerge, PreMergeAnswer, ResolverAnswer};

fn not_yet<T>() -> Result<T, Failure> {
    Err(Failure::new(Class::Unavailable, "this hook is not wired yet"))
}

impl Plugin {
    pub(super) async fn ask_pre_merge(&mut self, _input: &PreMerge) -> Result<PreMergeAnswer, Failure> {
        not_yet()
    }

    pub(super) async fn ask_post_pull(&mut self, _input: &[Image]) -> Result<PostPullAnswer, Failure> {
        not_yet()
    }

    pub(super) async fn ask_resolver(
        &mut self,
        _input: &Conflict,
        _blobs: Arc<dyn Blobs>,
    ) -> Result<ResolverAnswer, Failure> {
        not_yet()
    }

    pub(super) async fn ask_pre_prune(&mut self, _input: &[Candidate]) -> Result<Vec<(String, String)>, Failure> {
        not_yet()
    }

    pub(super) async fn tell_observer(&mut self, json: &str) -> Receipt {
        let ask = async |session: &mut super::instance::Session| match &session.hooks.observer {
            Some(hook) => hook.cowhand_hooks_observer().call_observe(&mut session.store, json).await,
            None => Ok(Err("this hook is not wired yet".to_owned())),
        };
        let (told, record) = self.call(Hook::Observer, true, ask).await;
        self.receipt(record, told.as_ref().map(|()| String::new()))
    }
}
