//! Does at each hook what its configuration says: `{"pre-merge": "trap"}`. [`deed`] has the actions
//! for every hook; the answers specific to a hook are implemented with it. Without configuration
//! for a hook, the probe lets everything pass.

mod deed;
mod reach;

mod bindings {
    //! The bindings that wit-bindgen generates from the contract.
    #![allow(clippy::pedantic, missing_docs)]
    wit_bindgen::generate!({ path: "../../../wit/v0.1", world: "every-hook-plugin" });
    use super::Probe;
    export!(Probe);
}

use bindings::cowhand::hooks::blobs::Blob;
use bindings::cowhand::hooks::types::{Favor, NewFile};
use bindings::cowhand::hooks::{log, text_merge};
use bindings::exports::cowhand::hooks::{
    conflict_resolver as resolver, observer, post_pull, pre_merge, pre_prune,
};
use deed::{Deed, deed};

#[cfg(target_family = "wasm")]
#[used]
#[unsafe(link_section = "cowhand:requests")]
static REQUESTS: [u8; include_bytes!("../requests.json").len()] =
    *include_bytes!("../requests.json");

struct Probe;

/// Returns a file to install for `MODE PATH`.
fn file(mode_and_path: &str) -> Vec<NewFile> {
    let (mode, path) = mode_and_path.split_once(' ').unwrap();
    vec![NewFile {
        path: path.to_owned(),
        mode: u32::from_str_radix(mode, 8).unwrap(),
        content: b"x".to_vec(),
    }]
}

/// Returns a thousand files of one megabyte that all share the same megabyte: the guest holds it
/// once, but a host that copies them needs a gigabyte.
fn one_file_many_times() -> Vec<NewFile> {
    let content = Vec::leak(vec![7_u8; 1 << 20]);
    let file = |number| {
        // SAFETY: the answer is read and never freed, because the host ends the call before.
        let content =
            unsafe { Vec::from_raw_parts(content.as_mut_ptr(), content.len(), content.len()) };
        NewFile { path: format!("data/assets/ssl/{number}"), mode: 0o644, content }
    };
    (0..1000).map(file).collect()
}

impl pre_merge::Guest for Probe {
    fn check(update: pre_merge::Update) -> Result<pre_merge::Answer, String> {
        let Deed { word, rest } = deed("pre-merge")?;
        Ok(match word.as_str() {
            "to" => {
                let reason = "old is good".to_owned();
                pre_merge::Answer::ProceedTo(pre_merge::Target {
                    commit: rest,
                    reason,
                    files: Vec::new(),
                })
            }
            "file" => pre_merge::Answer::Proceed(file(&rest)),
            "huge" => {
                let content = vec![7; 100 << 20];
                pre_merge::Answer::Proceed(vec![NewFile {
                    path: "huge".to_owned(),
                    mode: 0o644,
                    content,
                }])
            }
            "giant" => pre_merge::Answer::Proceed(one_file_many_times()),
            "later" => {
                let (reason, until) =
                    (format!("{} commits", update.commits.len()), Some(update.now.seconds + 60));
                pre_merge::Answer::NotNow(pre_merge::Postponement { reason, until })
            }
            "stop" => pre_merge::Answer::Stop(rest),
            _ => pre_merge::Answer::Proceed(Vec::new()),
        })
    }
}

impl resolver::Guest for Probe {
    fn resolve(conflict: resolver::Conflict<'_>) -> Result<resolver::Resolution, String> {
        let Deed { word, rest } = deed("conflict-resolver")?;
        let content = |content: &[u8], mode| {
            resolver::Resolution::Content(resolver::Replacement { content: content.to_vec(), mode })
        };
        Ok(match word.as_str() {
            "ours" => resolver::Resolution::Ours,
            "theirs" => resolver::Resolution::Theirs,
            "remove" => resolver::Resolution::Remove,
            "union" => resolver::Resolution::Favor(Favor::Union),
            "content" => content(rest.as_bytes(), None),
            "markers" => content(b"<<<<<<< a\n=======\n>>>>>>> b\n", None),
            "folder" => content(b"", Some(resolver::Mode::Folder)),
            "mode" => content(b"", Some(resolver::Mode::Other(rest))),
            "link" => content(b"", Some(resolver::Mode::Link)),
            // The size in MiB.
            "large" => content(&vec![b'x'; rest.parse::<usize>().unwrap() << 20], None),
            "twice" => twice(&conflict)?,
            "merge" => content(&merged(&conflict)?, Some(resolver::Mode::Executable)),
            "stop" => resolver::Resolution::Stop(rest),
            _ => resolver::Resolution::Pass,
        })
    }
}

/// Returns the union of the sides by the host's merge, followed by the size of the site's side.
fn merged(conflict: &resolver::Conflict<'_>) -> Result<Vec<u8>, String> {
    let [base, ours, theirs] =
        [&conflict.base, &conflict.ours, &conflict.theirs].map(|side| content(side.as_ref()));
    let hunks =
        text_merge::merge(&base.read()?, &ours.read()?, &theirs.read()?, Some(Favor::Union))?;
    let clean = hunks.into_iter().filter_map(|hunk| match hunk {
        text_merge::Hunk::Clean(lines) => Some(lines),
        text_merge::Hunk::Conflict(_) => None,
    });
    Ok(clean.chain([ours.size().to_string().into_bytes()]).flatten().collect())
}

/// Passes if every side is the same when it is read again.
fn twice(conflict: &resolver::Conflict<'_>) -> Result<resolver::Resolution, String> {
    for side in [&conflict.base, &conflict.ours, &conflict.theirs].into_iter().flatten() {
        let blob = content(Some(side));
        let (first, again) = (blob.read()?, blob.read()?);
        if first.is_empty() || first != again || first.len() as u64 != blob.size() {
            return Err(format!("{} changed between two reads", side.path));
        }
    }
    Ok(resolver::Resolution::Pass)
}

fn content<'a>(version: Option<&resolver::Version<'a>>) -> &'a Blob {
    version.unwrap().content.unwrap()
}

impl post_pull::Guest for Probe {
    fn check(pulled: post_pull::Pulled) -> Result<post_pull::Answer, String> {
        let Deed { word, rest } = deed("post-pull")?;
        Ok(match word.as_str() {
            "stop" => post_pull::Answer::Stop(format!("{} images", pulled.images.len())),
            "file" => post_pull::Answer::Proceed(file(&rest)),
            _ => post_pull::Answer::Proceed(Vec::new()),
        })
    }
}

impl pre_prune::Guest for Probe {
    fn choose(candidates: pre_prune::Candidates) -> Result<Vec<pre_prune::Keep>, String> {
        let Deed { word, rest } = deed("pre-prune")?;
        let keep = |id: &str| {
            vec![pre_prune::Keep { id: id.to_owned(), reason: "the probe wants it".to_owned() }]
        };
        Ok(match word.as_str() {
            "keep" => keep(&rest),
            "first" => keep(&candidates.items[0].id),
            _ => Vec::new(),
        })
    }
}

impl observer::Guest for Probe {
    fn event(json: String) -> Result<(), String> {
        if deed("observer")?.word == "echo" {
            log::write(log::Level::Info, &json);
        }
        Ok(())
    }
}
