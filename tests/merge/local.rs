//! The site's uncommitted changes, and the owners, access control lists, line endings and times of
//! its files.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use cowhand::event::Events;
use cowhand::git::conflict::Kind;
use cowhand::git::merge::Favor;

use crate::kit::tree_of;
use crate::site::Site;

fn apply(site: &Site, prepared: &crate::site::Prepared) {
    prepared.switch.apply(&site.repo, "update", &Events::default()).unwrap();
}

/// `[merge] include-untracked`, as the manual guide's `git add -A`: what git ignores stays out.
#[test]
fn untracked_files_come_along_where_the_site_wants_it() {
    let site = Site::new(&tree_of(&[
        (".gitignore", "*.secret\n"),
        ("conf", "one\n"),
        ("was-file", "f\n"),
    ]));
    site.write("mine/own.conf", "the site's\n");
    site.write("new.conf", "the site's\n");
    site.write("key.secret", "ignored\n");
    std::fs::remove_file(site.path("was-file")).unwrap();
    site.write("was-file/inner", "a folder now\n");
    std::os::unix::fs::symlink("/etc/hostname", site.path("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        site.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    site.git(&["init", "-q", "nested"]);
    site.write("nested/file", "of another clone\n");
    let next = [
        (".gitignore", "*.secret\n"),
        ("conf", "two\n"),
        ("was-file", "f\n"),
        ("new.conf", "upstream's\n"),
    ];
    site.release(&tree_of(&next));

    let before = site.folder_without("pipe");
    let prepared = site.prepare_with(Favor::Theirs, true).unwrap();
    assert_eq!(
        site.folder_without("pipe"),
        before,
        "preparing changes nothing, and the index least of all"
    );
    let committed = site.git(&[
        "diff",
        "--name-status",
        "--no-renames",
        "HEAD",
        &prepared.local.commit.to_string(),
    ]);
    let expected =
        ["A\tlink", "A\tmine/own.conf", "A\tnew.conf", "D\twas-file", "A\twas-file/inner"];
    assert_eq!(committed, expected.join("\n"));
    // What was in the way is a conflict between two commits now, and no collision.
    let told: Vec<_> = prepared
        .merged
        .decisions
        .iter()
        .map(|told| (told.path.text(), told.kind, told.collision))
        .collect();
    assert_eq!(told, [("new.conf".to_owned(), Kind::AddAdd, None)]);
    assert_eq!(prepared.merged.losses[0].lines[0].text, "the site's");

    apply(&site, &prepared);
    assert_eq!(site.git(&["ls-files", "mine", "link", "key.secret"]), "link\nmine/own.conf");
    assert_eq!(site.read("new.conf").unwrap(), "upstream's\n");
    prepared.switch.undo(&site.repo, "rollback", &Events::default()).unwrap();
    assert_eq!(site.folder_without("pipe"), before, "untracked again, and the site's own again");

    let without = site.prepare_with(Favor::Theirs, false).unwrap();
    assert_eq!(without.merged.decisions.len(), 1);
    assert!(without.merged.decisions[0].collision.is_some());
}

/// Files that the site hid from git are compared by content all the same.
#[test]
fn hidden_edits_are_the_site_s_like_any_other() {
    let site = Site::new(&tree_of(&[("a", "one\n"), ("b", "one\n"), ("c", "one\n")]));
    site.git(&["update-index", "--skip-worktree", "a"]);
    site.git(&["update-index", "--assume-unchanged", "b"]);
    for path in ["a", "b"] {
        site.write(path, "the site's\n");
    }
    assert_eq!(site.git(&["status", "--porcelain"]), "", "git itself sees nothing");
    site.release(&tree_of(&[("a", "upstream's\n"), ("b", "upstream's\n"), ("c", "two\n")]));
    let prepared = site.prepare(Favor::Ours);
    assert_eq!(prepared.merged.decisions.len(), 2);
    apply(&site, &prepared);
    assert_eq!(
        (site.read("a").unwrap(), site.read("b").unwrap()),
        ("the site's\n".to_owned(), "the site's\n".to_owned())
    );
    let marks = site.git(&["ls-files", "-v", "a", "b"]);
    assert_eq!(marks, "S a\nh b", "they stay hidden");
}

/// Line ends and `$Id$` come out as git's own checkout writes them.
#[test]
fn attributes_are_honoured_as_by_git() {
    let attributes = "*.crlf text eol=crlf\n*.auto text=auto eol=crlf\n*.bin -text\n*.id ident\n";
    let all = |text: &str| {
        let names = ["a.crlf", "a.auto", "a.bin", "a.id", "plain", "mixed.auto"];
        let mut files: Vec<(&str, String)> =
            names.iter().map(|name| (*name, format!("{text}\n$Id$\nlast\n"))).collect();
        files[5].1 = format!("{text}\r\nmixed\n");
        files
    };
    let tree = |text: &str| {
        let mut files = tree_of(&[(".gitattributes", attributes)]);
        files.extend(
            all(text)
                .into_iter()
                .map(|(path, text)| (path.into(), (cowhand::git::merge::Mode::File, text.into()))),
        );
        files
    };
    let site = Site::new(&tree("one"));
    let next = site.release(&tree("two"));
    let prepared = site.prepare(Favor::Theirs);
    apply(&site, &prepared);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    let fresh = tempfile::tempdir().unwrap();
    let target = fresh.path().to_str().unwrap();
    site.git(&["clone", "-q", site.upstream.path().to_str().unwrap(), target]);
    assert_eq!(site.git(&["rev-parse", "HEAD"]), next.to_string());
    for (path, _) in all("two") {
        let expected = std::fs::read(fresh.path().join(path)).unwrap();
        assert_eq!(std::fs::read(site.path(path)).unwrap(), expected, "{path}");
    }
}

#[test]
fn owners_permissions_and_their_lists_stay() {
    let names = ["owned", "listed", "shared"];
    let all = |text: &str| tree_of(&names.map(|name| (name, text)));
    let site = Site::new(&all("one\n"));
    let root = rustix::process::geteuid().is_root();
    if root {
        chown(site.path("owned"), Some(1001), Some(1002)).unwrap();
    }
    std::fs::set_permissions(site.path("shared"), std::fs::Permissions::from_mode(0o664)).unwrap();
    // user::rw- user:1003:r-- group::r-- mask::r-- other::---, as the kernel stores it.
    let entry = |tag: u16, bits: u16, id: u32| {
        [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    let list = [(1, 6, none), (2, 4, 1003), (4, 4, none), (0x10, 4, none), (0x20, 0, none)];
    let list =
        [2_u32.to_le_bytes().to_vec(), list.map(|(tag, bits, id)| entry(tag, bits, id)).concat()]
            .concat();
    let name = "system.posix_acl_access";
    let has_lists =
        rustix::fs::setxattr(site.path("listed"), name, &list, rustix::fs::XattrFlags::empty())
            .is_ok();
    site.release(&all("two\n"));
    let prepared = site.prepare(Favor::Theirs);
    apply(&site, &prepared);
    let found = |path| std::fs::metadata(site.path(path)).unwrap();
    assert_eq!(site.read("owned").unwrap(), "two\n");
    if root {
        assert_eq!((found("owned").uid(), found("owned").gid()), (1001, 1002));
    }
    assert_eq!(found("shared").mode() & 0o777, 0o664);
    if has_lists {
        let mut kept = vec![0; 256];
        let length = rustix::fs::getxattr(site.path("listed"), name, &mut kept[..]).unwrap();
        assert_eq!(kept[..length], list);
    }
}

/// A container may hold a file open, or have it mounted: the old one is replaced, never written
/// into.
#[test]
fn a_replaced_file_is_another_file() {
    use std::io::Read;
    let site = Site::new(&tree_of(&[("conf", "one\n")]));
    let mut held = std::fs::File::open(site.path("conf")).unwrap();
    site.release(&tree_of(&[("conf", "two\n")]));
    apply(&site, &site.prepare(Favor::Theirs));
    let mut text = String::new();
    held.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), site.read("conf").unwrap().as_str()), ("one\n", "two\n"));
}
