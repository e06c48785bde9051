//! Whole trees that mean harm, folder in folder: they are refused, or merged to a tree that git's own library reads and checks out.
#![no_main]

use std::cell::LazyCell;

use cowhand::fuzzing;
use cowhand::git::merge::{Answer, Favor, Merge, Options};
use cowhand::git::{Oid, Repo};
use git2::{Mempack, ObjectType, Odb, Repository};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const MODES: [u32; 6] = [0o100_644, 0o100_755, 0o120_000, 0o040_000, 0o160_000, 0o100_664];
const NAMES: [&[u8]; 16] = [
    b"a",
    b"b",
    b"c",
    b"data",
    b"a.b",
    b"a0",
    b"-rf",
    b"new\nline",
    b".git",
    b".GIT",
    b"git~1",
    b"..",
    b".",
    b"",
    b"a/b",
    b".gitattributes",
];

/// A site's clone whose objects are in memory.
struct Lab {
    repo: &'static Repo,
    git: &'static Repository,
    odb: &'static Odb<'static>,
    memory: Mempack<'static>,
    _folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Repository::init(folder.path()).unwrap();
        git2::opts::enable_caching(false);
        git2::opts::strict_object_creation(false);
        let repo: &Repo = Box::leak(Box::new(Repo::open(folder.path()).unwrap()));
        let git = fuzzing::clone_of(repo);
        let odb: &Odb<'_> = Box::leak(Box::new(git.odb().unwrap()));
        let memory = odb.add_new_mempack_backend(1000).unwrap();
        Self { repo, git, odb, memory, _folder: folder }
    }
}

thread_local! {
    static LAB: LazyCell<Lab> = LazyCell::new(Lab::new);
}

fuzz_target!(|bytes: &[u8]| {
    LAB.with(|lab| {
        check(lab, bytes);
        lab.memory.reset().unwrap();
    });
});

fn check(Lab { repo, git, odb, .. }: &Lab, bytes: &[u8]) {
    let [base, ours, theirs] = roots(odb, bytes);
    let base = commit(odb, base, None);
    let (ours, theirs) = (commit(odb, ours, Some(base)), commit(odb, theirs, Some(base)));
    // The site's own side was looked at when it came.
    let judged = |commit: Oid| match repo.tree_of(commit) {
        Ok(tree) => judged(git, tree),
        Err(why) => Names::Refused(why.summary()),
    };
    if judged(base) != Names::Fine || judged(ours) != Names::Fine {
        return;
    }
    let safe = repo.refuse_hostile(base, theirs).is_ok();
    let Ok(merge) = Merge::new(repo, ours, theirs, Options::default()) else { return };
    for conflict in merge.conflicts() {
        let _ = merge.resolve(conflict, Answer::Favor(Favor::Theirs), "fuzz");
    }
    let now = "2026-01-01T00:00[UTC]".parse().unwrap();
    if let Ok(merged) = merge.finish("After update", &now) {
        assert!(safe, "a hostile tree was merged");
        let names = judged(merged.commit);
        assert!(!matches!(names, Names::Refused(_)), "{names:?}");
    }
}

/// The opinion of git's own library on the names in a tree.
#[derive(Debug, PartialEq)]
enum Names {
    Fine,
    Refused(String),
    /// They are too many to look at here: folders hold folders that hold folders.
    Many,
}

fn judged(git: &Repository, tree: Oid) -> Names {
    let mut folders = vec![tree];
    let mut left = 10_000;
    while let Some(folder) = folders.pop() {
        let tree = match git.find_tree(folder) {
            Ok(tree) => tree,
            Err(why) => return Names::Refused(why.to_string()),
        };
        let mut builder = git.treebuilder(None).unwrap();
        for entry in &tree {
            left -= 1;
            if let Err(why) = builder.insert(entry.name_bytes(), entry.id(), entry.filemode()) {
                return Names::Refused(why.to_string());
            }
            if left == 0 {
                return Names::Many;
            }
            folders.extend((entry.kind() == Some(ObjectType::Tree)).then(|| entry.id()));
        }
        if builder.len() < tree.len() {
            return Names::Refused("a name is there twice".to_owned());
        }
    }
    Names::Fine
}

/// Makes the roots of base, ours and theirs. Each byte is an entry of the folder that is being made; folders hold those made before.
fn roots(odb: &Odb<'_>, bytes: &[u8]) -> [Oid; 3] {
    let blob = |index: usize| {
        let text = match index {
            13 => "* merge=union\n".to_owned(),
            14 => "a binary\nb -merge\n[attr]x y\n".to_owned(),
            15 => "../data".to_owned(),
            _ => format!("line\n{index}\nend\n"),
        };
        odb.write(ObjectType::Blob, text.as_bytes()).unwrap()
    };
    let mut made = vec![odb.write(ObjectType::Tree, b"").unwrap()];
    let mut folder = Vec::new();
    let mut bytes = bytes.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte == 0xff {
            made.push(odb.write(ObjectType::Tree, &folder).unwrap());
            folder.clear();
            continue;
        }
        let (mode, which) =
            (MODES[usize::from(byte) % 6], usize::from(bytes.next().unwrap_or_default()));
        let oid = if mode == 0o040_000 { made[which / 16 % made.len()] } else { blob(which / 16) };
        folder.extend_from_slice(format!("{mode:o} ").as_bytes());
        match byte / 6 {
            40.. => folder.extend(bytes.by_ref().take(4).filter(|byte| *byte != 0)),
            _ => folder.extend_from_slice(NAMES[which % 16]),
        }
        folder.push(0);
        folder.extend_from_slice(oid.as_bytes());
    }
    made.push(odb.write(ObjectType::Tree, &folder).unwrap());
    let last = made.len() - 1;
    [last.saturating_sub(2), last.saturating_sub(1), last].map(|index| made[index])
}

/// A commit, also of a tree that libgit2 would not make one of.
fn commit(odb: &Odb<'_>, tree: Oid, parent: Option<Oid>) -> Oid {
    let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
    let who = "fuzz <fuzz@example.org> 1700000000 +0000";
    let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\nfuzz\n");
    odb.write(ObjectType::Commit, text.as_bytes()).unwrap()
}
