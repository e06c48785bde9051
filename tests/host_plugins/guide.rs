//! Checks that the examples in `docs/plugins.md` work: the case, and each recipe in the real host.

use std::path::Path;
use std::sync::Arc;

use cowhand::config::Config;
use cowhand::error::{Error, Result};
use cowhand::plugin::case::Case;
use cowhand::plugin::spec::Hook;
use cowhand::plugin::types::{
    Answer, Blobs, Candidate, CandidateKind, Conflict, ConflictKind, Decided, Favor,
    PreMergeVerdict, PrePrune, Side,
};
use cowhand::plugin::{Allowed, Plugins};

use crate::kit::{Site, probe, update};

/// Returns the TOML blocks below a heading of the guide.
fn blocks(heading: &str) -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let below = guide.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let below = below.split("\n## ").next().unwrap();
    below
        .split("```toml\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// Loads the recipe for a plugin. Also returns the plugin's permissions.
async fn recipe(site: &Site, plugin: &str) -> (Plugins, Allowed) {
    let all = blocks("Recipes");
    let text = all.iter().find(|block| block.contains(&format!("name   = \"{plugin}\""))).unwrap();
    let letsencrypt = site.path().with_extension("letsencrypt");
    for folder in ["live", "archive"] {
        std::fs::create_dir_all(letsencrypt.join(folder).join("mail.example.org")).unwrap();
    }
    let text = text.replace("/etc/letsencrypt", letsencrypt.to_str().unwrap());
    let text = text.replace(
        "plugins/our_policy.wasm",
        probe().with_file_name("by_path.wasm").to_str().unwrap(),
    );
    Config::parse(&text, "cowhand.toml").unwrap();
    let plugins = site.load(&text).await.unwrap();
    let allowed = site.options().examine(&Site::specs(&text)[0]).unwrap().allowed;
    std::fs::remove_dir_all(letsencrypt).unwrap();
    assert!(site.notes().is_empty(), "{:?}", site.notes());
    (plugins, allowed)
}

#[test]
fn the_case_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("case.toml"), &blocks("Cases")[0]).unwrap();
    assert_eq!(Case::read(folder.path()).unwrap().hook().unwrap(), Hook::ConflictResolver);
}

/// The sides of a conflict that is decided without reading them.
struct Unread;

impl Blobs for Unread {
    fn size(&self, _: Side) -> Result<u64> {
        Err(Error::new("a side was read"))
    }

    fn read(&self, _: Side) -> Result<Vec<u8>> {
        Err(Error::new("a side was read"))
    }
}

#[tokio::test]
async fn a_conflict_policy_of_the_site_s_own() {
    let (mut plugins, _) = recipe(&Site::new(), "our-policy").await;
    let (path, kind, prefers) =
        ("data/conf/unbound/unbound.conf".into(), ConflictKind::Content, Favor::Theirs);
    let conflict =
        Conflict { path, kind, collision: None, prefers, base: None, ours: None, theirs: None };
    let decided = plugins.resolve(&conflict, Arc::new(Unread), |_, _| Ok(())).await.unwrap();
    assert_eq!(decided, Decided::By { plugin: "our-policy".to_owned(), answer: Answer::Ours });
}

#[tokio::test]
async fn certificates_and_a_chat_get_what_they_need_and_no_more() {
    let (_, may) = recipe(&Site::new(), "certificates").await;
    assert_eq!(
        (may.read.len(), may.install, may.http.len()),
        (3, vec!["data/assets/ssl".to_owned()], 0)
    );
    let (_, may) = recipe(&Site::new(), "tell-us").await;
    assert_eq!(
        (may.read.len(), may.install.len(), may.http),
        (0, 0, vec!["chat.example.org".to_owned()])
    );
}

#[tokio::test]
async fn a_change_window_is_closed_on_a_monday() {
    let verdict = recipe(&Site::new(), "our-window").await.0.pre_merge(&update()).await.unwrap();
    assert!(
        matches!(&verdict, PreMergeVerdict::NotNow { plugin, .. } if plugin == "our-window"),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn a_volume_is_kept_by_its_name() {
    let volume = |id: &str| Candidate {
        kind: CandidateKind::Volume,
        id: id.to_owned(),
        ..Candidate::default()
    };
    let input =
        PrePrune { candidates: vec![volume("backup_1"), volume("scratch")], ..PrePrune::default() };
    let kept = recipe(&Site::new(), "keep-images").await.0.pre_prune(&input).await.unwrap();
    assert_eq!(kept.into_iter().map(|kept| kept.id).collect::<Vec<_>>(), ["backup_1"]);
}
