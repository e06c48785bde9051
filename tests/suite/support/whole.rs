//! Checks if a site is wholly one release or wholly another: "old or new, never between" as code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cowhand::error::Result;
use cowhand::stack::{Endpoint, Engine};

use super::site::Site;

/// The state of a site, as far as it matters: not inodes and container ids, but contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole(BTreeMap<String, String>);

/// The observed state of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Old,
    New,
    Between,
}

/// Only the files of a folder that is a site.
pub fn files_of(root: &Path) -> Whole {
    let mut whole = BTreeMap::new();
    contents(root, root, &mut whole);
    Whole(whole)
}

impl Whole {
    /// The names of all that there is.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    /// The text of a file.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(|found| found.splitn(3, ' ').nth(2)).unwrap_or_default()
    }

    /// The names of what is not the same in both.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<&String> = self.names().chain(other.names()).collect();
        names.into_iter().filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}

impl Site {
    /// Takes down what the site is: branch, files, volumes, and which image each container runs.
    pub fn whole(&self) -> Whole {
        let mut whole = BTreeMap::from([
            ("branch".to_owned(), self.git(["symbolic-ref", "HEAD"])),
            ("head".to_owned(), self.git(["rev-parse", "HEAD"])),
            ("tree".to_owned(), self.git(["rev-parse", "HEAD^{tree}"])),
            ("changes".to_owned(), self.git(["status", "--porcelain"])),
        ]);
        contents(&self.root(), &self.root(), &mut whole);
        if self.has_engine() {
            let project = format!("label=com.docker.compose.project={}", self.project());
            let volumes = ["volume", "ls", "--filter", &project, "--format", "volume {{.Name}}"];
            let volumes = self.engine().lines(&volumes).unwrap();
            whole.extend(volumes.into_iter().map(|volume| (volume, "is there".to_owned())));
            whole.extend(containers(self).unwrap());
        }
        Whole(whole)
    }

    /// Demands that the site is just this again.
    pub fn is_wholly(&self, expected: &Whole) {
        let found = self.whole();
        let tell = |name: String| {
            format!("{name}: {:?}, expected {:?}", found.0.get(&name), expected.0.get(&name))
        };
        let told: Vec<String> = found.differences(expected).into_iter().map(tell).collect();
        assert!(told.is_empty(), "the site is not as expected:\n{}", told.join("\n"));
    }

    /// Demands that every part of the site is as in one of the two, byte for byte, and says which.
    pub fn stands(&self, old: &Whole, new: &Whole) -> Stands {
        let found = self.whole();
        let (mut is_old, mut is_new, mut neither) = (true, true, Vec::new());
        let names: BTreeSet<&String> =
            [old, new, &found].into_iter().flat_map(|whole| whole.0.keys()).collect();
        for name in names {
            let [old, new, found] = [old, new, &found].map(|whole| whole.0.get(name));
            // A merge commit has its time in it: its tree says what it is.
            let (as_old, as_new) =
                (found == old, if name == "head" { found != old } else { found == new });
            is_old &= as_old;
            is_new &= as_new;
            if !as_old && !as_new && !may_be_half_done(name, [old, new, found]) {
                neither.push(format!("{name}: {found:?}, neither {old:?} nor {new:?}"));
            }
        }
        assert!(neither.is_empty(), "neither old nor new:\n{}", neither.join("\n"));
        match (is_old, is_new) {
            (true, _) => Stands::Old,
            (_, true) => Stands::New,
            _ => Stands::Between,
        }
    }
}

/// Returns true for parts that are neither old nor new during a run: the output of `git status`, a
/// file on its way, and a stopped container of the old or the new image.
fn may_be_half_done(name: &str, [old, new, found]: [Option<&String>; 3]) -> bool {
    let image =
        |what: Option<&String>| what.and_then(|what| what.split(' ').next()).map(str::to_owned);
    let on_its_way = name.rsplit('/').next().is_some_and(|file| file.starts_with(".cowhand-"));
    let stopped = name.starts_with("container ")
        && found.is_some()
        && [image(old), image(new)].contains(&image(found));
    name == "changes" || on_its_way || stopped
}

/// Each container's name, with the id of its image and what it does: one that compose left half
/// made has a name that no other has.
fn containers(site: &Site) -> Result<Vec<(String, String)>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let endpoint = Endpoint::at(site.engine().host().unwrap());
    let containers = runtime.block_on(async {
        let engine = Engine::at(&endpoint).await?;
        engine.containers(site.project()).await
    })?;
    let told = containers.into_iter().map(|one| {
        let what = format!("{} {:?} {}", one.image_id, one.state, one.image);
        (format!("container {}", one.name), what)
    });
    Ok(told.collect())
}

/// Every file and link below `folder` but `.git`, with mode, owner and content. What has a time in
/// it is told without.
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
        let timeless = content
            .lines()
            .filter(|line| !line.contains("$MAILCOW_UPDATEDAT="))
            .collect::<Vec<_>>();
        let content =
            if timeless.len() == content.lines().count() { content } else { timeless.join("\n") };
        let name = path.strip_prefix(root).unwrap().display().to_string();
        let name =
            if name.starts_with("update_diffs/") { "update_diffs/DIFF".to_owned() } else { name };
        whole.insert(name, format!("{:o} {}:{} {content}", found.mode(), found.uid(), found.gid()));
    }
}
