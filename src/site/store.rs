//! Cowhand's data on a site, in `.git/cowhand/`: the lock and the runs.

#![expect(clippy::disallowed_methods, reason = "these paths are in git's own directory")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::journal::{self, Journal, Record};
use crate::dir::Dir;
use crate::error::{Context, Error, Result};
use crate::exit::Exit;
use crate::files;

/// The directory `cowhand` in the site's git directory, readable only by its owner.
#[derive(Clone, Debug)]
pub struct Store(PathBuf);

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    id: String,
    path: PathBuf,
}

impl Store {
    /// Returns the store in this git directory. Creates nothing.
    pub fn of(git_folder: &Path) -> Self {
        Self(git_folder.join("cowhand"))
    }

    /// Returns the path of the lock.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Returns the directory of fetched plugins.
    pub fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    /// Reads the names of all volumes that a container of the project has ever been seen to mount.
    pub fn mounted_volumes(&self) -> Result<BTreeSet<String>> {
        let path = self.volumes_file();
        let doing = || format!("could not read {}", path.display());
        match fs::read(&path) {
            Ok(names) => serde_json::from_slice(&names).what_with(doing),
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(error).what_with(doing),
        }
    }

    /// Writes those names, durably. They outlive the runs that saw them.
    pub fn write_mounted_volumes(&self, names: &BTreeSet<String>) -> Result<()> {
        let path = self.volumes_file();
        let names = serde_json::to_vec_pretty(names)
            .what_with(|| format!("could not write {}", path.display()))?;
        files::write(&path, &names, 0o600)
    }

    /// Creates the store's directories if they are missing.
    pub fn create(&self) -> Result<()> {
        files::private_folder(&self.runs_folder())
    }

    /// Creates a directory for a new run. Its id is the time, so that ids sort by age, also after a
    /// clock went back.
    pub fn new_run(&self) -> Result<RunFolder> {
        self.create()?;
        let now = (Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string(), 0);
        let after = |(time, number): (String, u32)| (time, number + 1);
        let newest = self.ids()?.iter().filter_map(|id| time_and_number(id)).max().map(after);
        let (time, first) = newest.map_or(now.clone(), |newest| newest.max(now));
        for number in first.. {
            let id = if number == 0 { time.clone() } else { format!("{time}-{number:03}") };
            let run = self.run_folder(&id);
            match fs::create_dir(&run.path) {
                Ok(()) => return files::private_folder(&run.kept()).map(|()| run),
                Err(taken) if taken.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error)
                        .what_with(|| format!("could not create {}", run.path.display()));
                }
            }
        }
        Err(Error::new("no id is left for a new run"))
    }

    /// Every run's record, oldest first. A run whose journal cannot be read at all is left out: see
    /// [`Store::damaged`].
    pub fn runs(&self) -> Result<Vec<Record>> {
        Ok(self
            .ids()?
            .iter()
            .filter_map(|id| journal::read(&self.run_folder(id).journal()).ok())
            .collect())
    }

    /// The newest run of whose account nothing can be read, and why. One that was killed before its
    /// first record never began.
    pub fn damaged(&self) -> Result<Option<(RunFolder, Error)>> {
        let runs = self.ids()?.into_iter().rev().map(|id| self.run_folder(&id));
        let mut begun = runs.filter(|run| journal::has_begun(&run.journal()));
        Ok(begun.find_map(|run| journal::read(&run.journal()).err().map(|error| (run, error))))
    }

    /// Returns a run by its id or the beginning of it.
    pub fn run(&self, id: &str) -> Result<RunFolder> {
        let ids = self.ids()?;
        let mut found = ids.iter().filter(|known| known.starts_with(id));
        match (ids.iter().find(|known| *known == id).or_else(|| found.next()), found.next()) {
            (Some(exact), _) if exact == id => Ok(self.run_folder(exact)),
            (Some(one), None) => Ok(self.run_folder(one)),
            (Some(_), Some(_)) => {
                Err(Error::new(format!("more than one run begins with `{id}`")).exit(Exit::Usage))
            }
            (None, _) => Err(Error::new(format!("there is no run `{id}`"))
                .exit(Exit::Usage)
                .hint("List the runs with `cowhand history`.")),
        }
    }

    /// The newest run that began an apply phase or was killed before its end, judged by
    /// `unfinished`.
    pub fn newest(&self, wanted: impl Fn(&Record) -> bool) -> Result<Option<Record>> {
        Ok(self.runs()?.into_iter().rev().find(wanted))
    }

    /// Removes a run's directory.
    pub fn forget(&self, run: &RunFolder) -> Result<()> {
        fs::remove_dir_all(&run.path)
            .what_with(|| format!("could not remove {}", run.path.display()))
    }

    fn volumes_file(&self) -> PathBuf {
        self.0.join("mounted-volumes.json")
    }

    fn runs_folder(&self) -> PathBuf {
        self.0.join("runs")
    }

    /// Returns the directory of the run with this id.
    pub fn run_folder(&self, id: &str) -> RunFolder {
        RunFolder { id: id.to_owned(), path: self.runs_folder().join(id) }
    }

    fn ids(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.runs_folder()) {
            Ok(entries) => entries,
            Err(none) if none.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).what("could not list the runs"),
        };
        let mut ids: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        ids.sort_by_cached_key(|id| (time_and_number(id), id.clone()));
        Ok(ids)
    }
}

fn open(folder: &Path) -> Result<Dir> {
    files::private_folder(folder)?;
    Dir::open(folder).what_with(|| format!("could not open {}", folder.display()))
}

/// The two parts of a run's id, such as `20260102-030405` or `20260102-030405-001`.
fn time_and_number(id: &str) -> Option<(String, u32)> {
    let (time, number) = id.split_at_checked("20260102-030405".len())?;
    let is_time = time
        .bytes()
        .enumerate()
        .all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() });
    let number = if number.is_empty() { 0 } else { number.strip_prefix('-')?.parse().ok()? };
    is_time.then(|| (time.to_owned(), number))
}

/// Keeps Cowhand's own files out of what git shows, without a change to a tracked file.
pub fn exclude(common_git_folder: &Path) -> Result<()> {
    const OURS: [&str; 3] = ["/cowhand.toml", "/cowhand.lock", "/plugins/"];
    let path = common_git_folder.join("info/exclude");
    let doing = || format!("could not add to {}", path.display());
    let mut text = match fs::read_to_string(&path) {
        Err(none) if none.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.what_with(doing)?,
    };
    let missing: Vec<&str> =
        OURS.into_iter().filter(|line| !text.lines().any(|known| known == *line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.extend(missing.iter().flat_map(|line| [*line, "\n"]));
    fs::create_dir_all(common_git_folder.join("info")).what_with(doing)?;
    files::write(&path, text.as_bytes(), 0o644)
}

impl RunFolder {
    /// The run's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the run's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.json")
    }

    /// Every event of the run, as JSON Lines.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// Copies of the site's files, under the paths that they have in the site.
    pub fn kept(&self) -> PathBuf {
        self.path.join("kept")
    }

    /// Opens the directory of the copies.
    pub fn kept_dir(&self) -> Result<Dir> {
        open(&self.kept())
    }

    /// Opens the directory of files that a rollback replaced.
    pub fn replaced_dir(&self) -> Result<Dir> {
        open(&self.path.join("replaced"))
    }

    /// Begins the run's journal.
    pub fn begin(&self, command: &str) -> Result<Journal> {
        Journal::begin(&self.journal(), &self.id, command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thousandth_run_of_one_second_is_newer_than_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        store.create().unwrap();
        for id in ["20260102-030405-1000", "20260102-030405-999", "20260102-030405"] {
            fs::create_dir(store.run_folder(id).path()).unwrap();
        }
        let ids = store.ids().unwrap();
        assert_eq!(ids, ["20260102-030405", "20260102-030405-999", "20260102-030405-1000"]);
    }

    #[test]
    fn a_new_run_is_the_newest_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::of(folder.path());
        let first = store.new_run().unwrap();
        assert_eq!(time_and_number(first.id()).unwrap().1, 0);
        for ahead in ["29990102-030405", "29990102-030405-009", "no-run-of-ours"] {
            fs::create_dir(store.run_folder(ahead).path()).unwrap();
        }
        let made = [store.new_run().unwrap(), store.new_run().unwrap()];
        assert_eq!(made.map(|run| run.id), ["29990102-030405-010", "29990102-030405-011"]);
    }
}
