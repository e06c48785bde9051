//! Whether a site is wholly one release or wholly another: what "old or new, never between" means, as a checker.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::site::Site;

/// What a site is, as far as it matters: not which inode or container it is, but what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole(BTreeMap<String, String>);

impl Site {
    /// Takes down what the site is: branch, index, files, volumes, and what each service runs.
    pub fn whole(&self) -> Whole {
        let mut whole = BTreeMap::new();
        whole.insert("branch".to_owned(), self.git(["symbolic-ref", "HEAD"]));
        whole.insert("head".to_owned(), self.git(["rev-parse", "HEAD"]));
        whole.insert("changes".to_owned(), self.git(["status", "--porcelain"]));
        contents(&self.root(), &self.root(), &mut whole);
        if self.has_engine() {
            let project = format!("label=com.docker.compose.project={}", self.project());
            let services = ["ps", "--all", "--filter", &project, "--format", "{{.Names}} {{.Image}} {{.State}}"];
            let volumes = ["volume", "ls", "--filter", &project, "--format", "{{.Name}} is there"];
            for line in [self.engine().lines(&services).unwrap(), self.engine().lines(&volumes).unwrap()].concat() {
                let (name, what) = line.split_once(' ').unwrap();
                whole.insert(name.to_owned(), what.to_owned());
            }
        }
        Whole(whole)
    }

    /// Demands that the site is just this again.
    pub fn is_wholly(&self, expected: &Whole) {
        let (expected, found) = (&expected.0, &self.whole().0);
        let names: std::collections::BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        let differs = names.into_iter().filter(|name| expected.get(*name) != found.get(*name));
        let told: Vec<String> =
            differs.map(|name| format!("{name}: {:?}, expected {:?}", found.get(name), expected.get(name))).collect();
        assert!(told.is_empty(), "the site is not as expected:\n{}", told.join("\n"));
    }
}

/// Every file and link below `folder` but `.git`, with mode, owner and content.
fn contents(root: &Path, folder: &Path, whole: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let found = path.symlink_metadata().unwrap();
        let content = if path == root.join(".git") {
            continue;
        } else if found.is_dir() {
            contents(root, &path, whole);
            continue;
        } else if found.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
        };
        let name = path.strip_prefix(root).unwrap().display().to_string();
        whole.insert(name, format!("{:o} {}:{} {content}", found.mode(), found.uid(), found.gid()));
    }
}
