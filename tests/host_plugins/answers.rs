//! Combines the answers of several plugins.

use std::collections::BTreeMap;
use std::sync::Arc;

use cowhand::error::Result;
use cowhand::exit::Exit;
use cowhand::plugin::receipt::Class;
use cowhand::plugin::spec::Hook;
use cowhand::plugin::types::{
    Answer, Blobs, Candidate, CandidateKind, Cause, Conflict, ConflictKind, Decided, Favor,
    FileMode, Image, PostPull, PostPullVerdict, PreMergeVerdict, PrePrune, Side, Version,
};

use crate::kit::{Site, probe, update};

/// Returns the TOML of one probe for each configuration, in this order.
fn probes(configs: &[&str]) -> String {
    let table = |(at, config): (usize, &&str)| {
        format!("[[plugin]]\nname = \"p{at}\"\nPROBE\nconfig = {{ {config} }}\n")
    };
    configs.iter().enumerate().map(table).collect()
}

async fn pre_merge(configs: &[&str]) -> PreMergeVerdict {
    Site::new().load(&probes(configs)).await.unwrap().pre_merge(&update()).await.unwrap()
}

#[tokio::test]
async fn the_oldest_of_several_commits_wins() {
    let verdict =
        pre_merge(&["pre-merge = 'to c2'", "pre-merge = 'to c1'", "pre-merge = 'to c3'", ""]).await;
    let PreMergeVerdict::Proceed { to: Some(to), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(
        (to.commit.as_str(), to.plugin.as_str(), to.reason.as_str()),
        ("c1", "p1", "old is good")
    );
}

#[tokio::test]
async fn the_first_refusal_ends_the_calls() {
    let site = Site::new();
    let toml = probes(&["", "pre-merge = 'later -'", "pre-merge = 'stop never'"]);
    let verdict = site.load(&toml).await.unwrap().pre_merge(&update()).await.unwrap();
    let until = update().now.timestamp() + jiff::SignedDuration::from_secs(60);
    let (plugin, reason) = ("p1".to_owned(), "3 commits".to_owned());
    assert_eq!(verdict, PreMergeVerdict::NotNow { plugin, reason, until: Some(until) });
    let asked: Vec<_> = site
        .receipts()
        .into_iter()
        .map(|receipt| (receipt.plugin, receipt.answer.unwrap()))
        .collect();
    assert_eq!(
        asked,
        [
            ("p0".to_owned(), "proceed".to_owned()),
            ("p1".to_owned(), "not now: 3 commits".to_owned())
        ]
    );
}

#[tokio::test]
async fn files_are_accepted_for_granted_directories_and_the_last_one_wins() {
    let toml = "[[plugin]]\nname = \"a\"\nPROBE\n\
                config.pre-merge = \"file 600 data/assets/ssl/k\"\n\
                grant.install = [\"data/assets/ssl\"]\n\
                [[plugin]]\nname = \"b\"\nPROBE\n\
                config.pre-merge = \"file 644 data/assets/ssl/k\"\n\
                grant.install = [\"data/assets/ssl\"]\n";
    let verdict = Site::new().load(toml).await.unwrap().pre_merge(&update()).await.unwrap();
    let PreMergeVerdict::Proceed { files, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(files.len(), 1);
    assert_eq!(
        (files[0].plugin.as_str(), files[0].mode, files[0].content.as_slice()),
        ("b", 0o644, &b"x"[..])
    );
}

/// Sides whose content is their name.
struct Named;

impl Blobs for Named {
    fn size(&self, side: Side) -> Result<u64> {
        self.read(side).map(|content| content.len() as u64)
    }

    fn read(&self, side: Side) -> Result<Vec<u8>> {
        Ok(format!("{side:?};").into_bytes())
    }
}

fn conflict(kind: ConflictKind) -> Conflict {
    let version = Version { path: "a/b".into(), mode: FileMode::File };
    let side = || Some(version.clone());
    let (base, ours, theirs) = (side(), side(), side());
    Conflict {
        path: "a/b".into(),
        kind,
        collision: None,
        prefers: Favor::Theirs,
        base,
        ours,
        theirs,
    }
}

async fn resolve(configs: &[&str], kind: ConflictKind) -> Result<Decided> {
    Site::new()
        .load(&probes(configs))
        .await
        .unwrap()
        .resolve(&conflict(kind), Arc::new(Named), |_, _| Ok(()))
        .await
}

#[tokio::test]
async fn the_first_resolver_that_does_not_pass_decides() {
    let configs = ["", "conflict-resolver = 'ours -'", "conflict-resolver = 'stop no'"];
    let decided = resolve(&configs, ConflictKind::Content).await.unwrap();
    assert_eq!(decided, Decided::By { plugin: "p1".to_owned(), answer: Answer::Ours });
    let decided =
        resolve(&["conflict-resolver = 'stop look'"], ConflictKind::Content).await.unwrap();
    assert_eq!(decided, Decided::Stop { plugin: "p0".to_owned(), reason: "look".to_owned() });
}

#[tokio::test]
async fn a_resolver_reads_the_sides_and_merges_texts() {
    let decided = resolve(&["conflict-resolver = 'merge -'"], ConflictKind::Content).await.unwrap();
    let answer = Answer::Content {
        content: b"Base;Ours;Theirs;5".to_vec(),
        mode: Some(FileMode::Executable),
    };
    assert_eq!(decided, Decided::By { plugin: "p0".to_owned(), answer });
}

#[tokio::test]
async fn an_invalid_answer_of_a_resolver_ends_with_12() {
    for does in ["markers -", "folder -", "union -"] {
        let config = format!("conflict-resolver = '{does}'");
        let error = resolve(&[&config], ConflictKind::Binary).await.unwrap_err();
        assert_eq!(
            error.headline(),
            "the plugin `p0` failed at conflict-resolver (bad output)",
            "{does}"
        );
        assert_eq!(error.exit_code(), Some(Exit::Conflict));
    }
}

#[tokio::test]
async fn one_instance_serves_many_conflicts_until_a_failure() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"p\"\nPROBE\non-failure = \"skip\"\n\
                config.conflict-resolver = \"count\"\n";
    let mut plugins = site.load(toml).await.unwrap();
    for expected in ["0", "1", "2"] {
        plugins
            .resolve(&conflict(ConflictKind::Content), Arc::new(Named), |_, _| Ok(()))
            .await
            .unwrap();
        assert_eq!(site.failure("p"), (Class::Error, expected.to_owned()));
    }
}

#[tokio::test]
async fn post_pull_sees_the_images() {
    let image = Image {
        reference: "example.org/a:1".to_owned(),
        services: vec!["a".to_owned()],
        old_digest: None,
        new_digest: Some("sha256:00".to_owned()),
        size: Some(1),
        labels: BTreeMap::new(),
        created: None,
    };
    let input = PostPull { now: update().now, images: vec![image] };
    let mut plugins = Site::new().load(&probes(&["post-pull = 'stop -'"])).await.unwrap();
    let verdict = plugins.post_pull(&input).await.unwrap();
    assert_eq!(
        verdict,
        PostPullVerdict::Stop { plugin: "p0".to_owned(), reason: "1 images".to_owned() }
    );
}

fn prunable() -> PrePrune {
    let candidate = |id: &str| Candidate {
        kind: CandidateKind::Image,
        id: id.to_owned(),
        references: Vec::new(),
        size: None,
        created: None,
        labels: BTreeMap::new(),
        cause: Cause::Dangling,
        reason: "nothing names it".to_owned(),
    };
    PrePrune {
        now: update().now,
        candidates: vec![candidate("i1"), candidate("i2")],
        in_use: Vec::new(),
    }
}

/// Returns the candidates that these probes keep, each with the plugin that keeps it.
async fn kept(configs: &[&str]) -> Vec<(String, String)> {
    let mut plugins = Site::new().load(&probes(configs)).await.unwrap();
    let kept = plugins.pre_prune(&prunable()).await.unwrap();
    kept.into_iter().map(|kept| (kept.id, kept.plugin)).collect()
}

#[tokio::test]
async fn a_candidate_that_any_plugin_keeps_is_kept() {
    let both = [("i1".to_owned(), "p0".to_owned()), ("i2".to_owned(), "p1".to_owned())];
    assert_eq!(kept(&["pre-prune = 'first -'", "pre-prune = 'keep i2'"]).await, both);
}

#[tokio::test]
async fn a_plugin_that_fails_at_pre_prune_keeps_everything() {
    for does in ["trap", "keep nothing-that-is-there"] {
        let config = format!("pre-prune = '{does}'");
        let all = [("i1".to_owned(), "p0".to_owned()), ("i2".to_owned(), "p0".to_owned())];
        assert_eq!(kept(&[&config]).await, all, "{does}");
    }
}

#[tokio::test]
async fn inspection_shows_hooks_requests_and_grants() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"mine\"\nPROBE\ngrant.read = [\"data/assets/ssl\"]\n\
                grant.env = [\"PROBE\", \"HOME\"]\n";
    let mine = site.options().examine(&Site::specs(toml)[0]).unwrap();
    let is = &mine.inspection;
    assert_eq!(is.hooks, Hook::ALL);
    assert_eq!((is.version.as_str(), is.requests.len()), ("0.1.0", 4));
    assert_eq!(
        (mine.allowed.read.as_slice(), mine.allowed.env.as_slice()),
        (&["data/assets/ssl".to_owned()][..], &["PROBE".to_owned()][..])
    );
    assert_eq!(mine.idle, ["env `HOME`"], "granted but not requested");
    site.load(toml).await.unwrap();
    assert!(site.notes().iter().any(|note| note.contains("env `HOME`")));
    let bytes = std::fs::read(probe()).unwrap();
    let inspection = cowhand::plugin::inspect(&bytes).unwrap();
    assert_eq!((&inspection.digest, inspection.size), (&is.digest, bytes.len()));
    assert!(
        inspection.imports.iter().any(|import| import.starts_with("wasi:http/outgoing-handler@"))
    );
}
