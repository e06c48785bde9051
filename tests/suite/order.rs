//! The state after a power cut, which no kill shows: the order of writes, syncs and renames at the
//! commit points, as `strace` shows the system calls of Cowhand and libgit2.

use std::path::Path;

use crate::support::faulty::Faulty;
use crate::support::ran::binary;
use crate::support::tests;
use crate::support::whole::Stands;

tests! {
    Trace: what_is_seen_after_a_power_cut_was_on_the_disk_before;
}

/// One thing that the kernel was asked to do with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    /// Something was written to it, or it was made.
    Written(String),
    /// It, or a folder's names, are on the disk.
    Synced(String),
    /// All of the file system is on the disk.
    SyncedAll,
    /// It got this name, which now means it.
    Named(String, String),
    /// Its name is gone.
    Gone(String),
    /// A stage came to this state, as the run's log has it: said after it is recorded as started,
    /// and before it is recorded as done.
    Said(String),
    /// A command was started.
    Ran(String),
}

fn what_is_seen_after_a_power_cut_was_on_the_disk_before() {
    let site = Faulty::make();
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    site.site.traced(&["update", "--yes"], &trace).exits(0);
    assert_eq!(site.is_done(), Stands::New);
    let root = site.site.root().canonicalize().unwrap();
    let deeds = deeds(folder.path(), &root);
    let at = |what: &str| {
        let said = |deed: &Deed| matches!(deed, Deed::Said(told) if told == what);
        deeds
            .iter()
            .position(said)
            .unwrap_or_else(|| panic!("`{what}` is not in the trace of {} deeds", deeds.len()))
    };
    let (switch, switched, start) = (at("switch started"), at("switch done"), at("start started"));

    // Every name that is given, to a journal, a file of the site, the index, the branch, is given
    // to what is on the disk, and then synced itself.
    let mut names = 0;
    for (place, deed) in deeds.iter().enumerate() {
        let Deed::Named(from, to) = deed else { continue };
        if !counts(to) {
            continue;
        }
        names += 1;
        assert!(is_synced(&deeds[..place], from), "{from} is named {to} before it is on the disk");
        let folder = Path::new(to).parent().unwrap().display().to_string();
        let synced = deeds[place..].iter().position(|deed| *deed == Deed::Synced(folder.clone()));
        let next_said = deeds[place..].iter().position(|deed| matches!(deed, Deed::Said(_)));
        let in_time = synced.is_some_and(|synced| next_said.is_none_or(|said| synced < said));
        assert!(in_time, "the name {to} is not on the disk when the next thing is said");
    }
    assert!(names > 10, "{names} names");

    // The first commit point. The journal says so first; then what the site will point to is on the
    // disk; then files, index, branch.
    let recorded =
        |deed: &Deed| matches!(deed, Deed::Named(_, to) if to.ends_with("/journal.json"));
    assert!(deeds[..switch].iter().any(recorded));
    let first = switch + deeds[switch..].iter().position(changes_the_site).unwrap();
    assert!(
        deeds[switch..first].contains(&Deed::SyncedAll),
        "objects may be missing after the first file"
    );
    assert!(
        deeds[..switch].iter().all(|deed| !changes_the_site(deed)),
        "the site is changed before the switch"
    );
    let named = |name: &str| {
        deeds.iter().position(|deed| matches!(deed, Deed::Named(_, to) if to == name)).unwrap()
    };
    let (index, branch) = (named(".git/index"), named(".git/refs/heads/master"));
    let files =
        ["data/conf/postfix/main.cf", "docker-compose.yml", "data/conf/redis/redis-conf.sh"]
            .map(named);
    assert!(
        files.iter().all(|file| first <= *file && *file < index)
            && index < branch
            && branch < switched
    );

    // The second: the switch is recorded as done and the start as begun before compose is let at a
    // container.
    assert!(deeds[switched..start].iter().filter(|deed| recorded(deed)).count() >= 2);
    let changes =
        |line: &str| ["\"create\"", "\"up\"", "\"down\""].iter().any(|word| line.contains(word));
    let containers =
        deeds.iter().position(|deed| matches!(deed, Deed::Ran(line) if changes(line))).unwrap();
    assert!(start < containers);
}

/// Returns true if a file was synced after its last write or rename: alone, or with all others. A
/// link has no content.
fn is_synced(deeds: &[Deed], file: &str) -> bool {
    let touches =
        |deed: &Deed| matches!(deed, Deed::Written(name) | Deed::Named(_, name) if name == file);
    let written = deeds.iter().rposition(touches);
    let synced = deeds
        .iter()
        .rposition(|deed| *deed == Deed::Synced(file.to_owned()) || *deed == Deed::SyncedAll);
    written.is_none() || synced > written
}

/// The files that must survive a power cut: the journal and the site. Not git's fetched objects,
/// which are synced as a whole, nor its reflogs.
fn counts(name: &str) -> bool {
    let git = name.strip_prefix(".git/");
    git.is_none_or(|git| {
        git == "index"
            || git == "HEAD"
            || git.starts_with("refs/heads/")
            || git.ends_with("/journal.json")
    }) && !name.contains("/.cowhand-")
        && Path::new(name).extension().is_none_or(|extension| extension != "lock")
}

/// Returns true if it changes a file of the site, its index or its branch.
fn changes_the_site(deed: &Deed) -> bool {
    match deed {
        Deed::Named(_, name) | Deed::Gone(name) | Deed::Written(name) => {
            counts(name) && !name.ends_with("journal.json") && !name.contains(".cowhand-")
        }
        _ => false,
    }
}

/// Reads the traces of all threads, by time; paths are told from the site's folder on.
fn deeds(folder: &Path, root: &Path) -> Vec<Deed> {
    let prefix = format!("{}/", root.display());
    let mut lines: Vec<(f64, String)> = Vec::new();
    for trace in std::fs::read_dir(folder).unwrap().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(trace.path()).unwrap()).into_owned();
        lines.extend(text.lines().filter_map(|line| {
            let (time, call) = line.split_once(' ')?;
            Some((time.parse().ok()?, call.to_owned()))
        }));
    }
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    lines.iter().filter_map(|(_, call)| deed(call, &prefix)).collect()
}

/// One line of `strace -y`, such as `renameat(5</site/data>, "a", 5</site/data>, "b") = 0`; none
/// where it is about something else.
fn deed(call: &str, prefix: &str) -> Option<Deed> {
    let (name, rest) = call.split_once('(')?;
    let site = |path: String| path.strip_prefix(prefix).map(str::to_owned);
    let handle = || {
        let path = rest.split_once('<')?.1.split_once('>')?.0.to_owned();
        Some(path)
    };
    let paths = paths(rest);
    match name {
        "execve" => Some(Deed::Ran(rest.to_owned())),
        "syncfs" => Some(Deed::SyncedAll),
        "fsync" | "fdatasync" => {
            let path = handle()?;
            if format!("{path}/") == prefix {
                Some(Deed::Synced(String::new()))
            } else {
                site(path).map(Deed::Synced)
            }
        }
        "write" | "pwrite64" if rest.contains("/events.jsonl>") => {
            let part = |key: &str| Some(rest.split_once(key)?.1.split_once("\\\"")?.0.to_owned());
            let (stage, state) = (part("\\\"stage\\\":\\\"")?, part("\\\"state\\\":\\\"")?);
            Some(Deed::Said(format!("{stage} {state}")))
        }
        "write" | "pwrite64" => handle().and_then(site).map(Deed::Written),
        "openat" if rest.contains("O_CREAT") => {
            paths.first().cloned().and_then(site).map(Deed::Written)
        }
        "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
            Some(Deed::Named(site(paths.first()?.clone())?, site(paths.get(1)?.clone())?))
        }
        "unlink" | "unlinkat" => site(paths.first()?.clone()).map(Deed::Gone),
        _ => None,
    }
}

/// The paths that a call names, each after the folder that it is meant from.
fn paths(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut from = String::new();
    for (place, part) in arguments.split('"').enumerate() {
        if place % 2 == 0 {
            let folder = part.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
            folder.map_or("", |(path, _)| path).clone_into(&mut from);
        } else if part.starts_with('/') {
            found.push(part.to_owned());
        } else {
            found.push(format!("{from}/{part}"));
        }
    }
    found
}

impl crate::support::site::Site {
    /// Runs the program with each thread's calls written to a file of its own beside `trace`.
    fn traced(&self, arguments: &[&str], trace: &Path) -> crate::support::ran::Ran {
        const CALLS: &str = "trace=openat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync,syncfs,write,pwrite64,execve";
        let (program, trace) = (binary().display().to_string(), trace.display().to_string());
        let options = [
            "-ff",
            "-ttt",
            "-y",
            "-z",
            "-s",
            "160",
            "-e",
            CALLS,
            "-e",
            "signal=none",
            "-o",
            &trace,
            &program,
        ];
        self.by("strace", &[&options[..], arguments].concat()).run()
    }
}
