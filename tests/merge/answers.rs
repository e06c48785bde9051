//! Valid and invalid answers to conflicts. Nothing of an invalid one reaches the site.

use cowhand::git::merge::{Answer, Conflict, Favor, Merge, Mode, Options};
use cowhand::path::SitePath;

use crate::kit::{Lab, now, tree_of};

#[test]
fn answers_that_cannot_stand_are_refused_and_another_may_be_given() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("c", "a\n"), ("d", "a\n")]), &[]);
    let ours = lab.commit(&tree_of(&[("c", "mine\n"), ("d/inner", "x\n")]), &[base]);
    let theirs = lab.commit(&tree_of(&[("c", "theirs\n"), ("d", "theirs\n")]), &[base]);
    let merge =
        Merge::new(&lab.repo, ours, theirs, Options { limit: 1000, ..Options::default() }).unwrap();
    let [text, folder] = merge.conflicts() else { panic!("two conflicts") };
    let content = |bytes: &[u8], mode| Answer::Content { bytes: bytes.to_vec(), mode };
    let refused = |conflict: &Conflict, answer, because: &str| {
        let error = merge.resolve(conflict, answer, "test").unwrap_err();
        assert!(error.summary().contains(because), "{}", error.summary());
    };
    refused(text, content(b"<<<<<<< a\n=======\n>>>>>>> b\n", None), "markers");
    refused(text, content(&[b'x'; 1001], None), "1001 bytes are more than the limit of 1000");
    refused(text, content(b"", Some(Mode::Link)), "no link");
    refused(text, content(b"a\0b", Some(Mode::Link)), "no link");
    refused(text, content(b"x", Some(Mode::Submodule)), "submodule");
    refused(folder, content(b"x", None), "folder");
    let elsewhere = Conflict { path: SitePath::from("elsewhere"), ..text.clone() };
    refused(&elsewhere, Answer::Ours, "not among the conflicts");
    let other = Conflict { theirs: None, ..text.clone() };
    refused(&other, Answer::Ours, "not among the conflicts");

    merge.resolve(text, Answer::Ours, "first").unwrap();
    merge.resolve(text, content(b"both\n", Some(Mode::Executable)), "second").unwrap();
    merge.resolve(folder, Answer::Favor(Favor::Theirs), "test").unwrap();
    let merged = merge.finish("After update", &now()).unwrap();
    assert_eq!(merged.decisions[0].plugin, "second", "the last answer counts");
    assert_eq!(lab.repo.file_in(merged.tree, &"c".into()).unwrap().unwrap(), b"both\n");
}

#[test]
fn a_conflict_that_nobody_decided_makes_no_merge() {
    let lab = Lab::new();
    let base = lab.commit(&tree_of(&[("c", "a\n")]), &[]);
    let (ours, theirs) = (
        lab.commit(&tree_of(&[("c", "b\n")]), &[base]),
        lab.commit(&tree_of(&[("c", "c\n")]), &[base]),
    );
    let merge = Merge::new(&lab.repo, ours, theirs, Options::default()).unwrap();
    assert!(
        merge.finish("After update", &now()).unwrap_err().headline().contains("nobody has decided")
    );
}
