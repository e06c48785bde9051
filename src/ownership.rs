//! File ownership: a grant counts only if no other user can change the file that contains it.

#![expect(clippy::disallowed_methods, reason = "users and groups of the host")]

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;

use crate::path::quoted;

/// A way in which users other than root and the caller can change a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// The reason: "/opt/site/cowhand.toml belongs to user 1000".
    pub why: String,
    /// The command that fixes it.
    pub fix: String,
}

/// Returns the ways in which other users can change an open file. Only the handle is judged; `path`
/// is for messages.
pub fn exposures(opened: impl AsFd, path: &Path) -> Vec<Exposure> {
    let user = rustix::process::geteuid().as_raw();
    match look(opened) {
        Ok(found) => found.exposures(user, path, &Accounts::of_the_system),
        Err(error) => vec![Exposure {
            why: format!("the owner of {} is unknown: {error}", path.display()),
            fix: format!("ls -ld {}", quoted(path)),
        }],
    }
}

/// The owner and the permissions of a file.
#[derive(Clone, Copy)]
struct Found {
    user: u32,
    group: u32,
    mode: Mode,
    /// True if an access control list names further users or groups.
    has_list: bool,
}

fn look(opened: impl AsFd) -> io::Result<Found> {
    let found = rustix::fs::fstat(&opened)?;
    let list = rustix::fs::fgetxattr(&opened, "system.posix_acl_access", &mut [0_u8; 0][..]);
    let has_list = match list {
        Ok(_) => true,
        Err(Errno::NODATA | Errno::OPNOTSUPP) => false,
        Err(error) => return Err(error.into()),
    };
    let mode = Mode::from_raw_mode(found.st_mode);
    Ok(Found { user: found.st_uid, group: found.st_gid, mode, has_list })
}

impl Found {
    fn exposures(self, user: u32, path: &Path, accounts: &dyn Fn() -> Accounts) -> Vec<Exposure> {
        let (shown, named) = (path.display(), quoted(path));
        let mut exposures = Vec::new();
        if self.user != 0 && self.user != user {
            exposures.push(Exposure {
                why: format!("{shown} belongs to user {}", self.user),
                fix: format!("chown root {named}"),
            });
        }
        // With an access control list, the group's bits are its mask: the most that it grants.
        let by_group = self.mode.contains(Mode::WGRP)
            && (self.has_list || accounts().has_others(self.group, user));
        if by_group {
            let whom = if self.has_list { "users of its access control list" } else { "its group" };
            exposures.push(Exposure {
                why: format!("{whom} may write {shown}"),
                fix: format!("chmod g-w {named}"),
            });
        }
        if self.mode.contains(Mode::WOTH) {
            exposures.push(Exposure {
                why: format!("every user may write {shown}"),
                fix: format!("chmod o-w {named}"),
            });
        }
        exposures
    }
}

/// The users and groups of the machine, as `/etc/passwd` and `/etc/group` list them.
struct Accounts {
    users: String,
    groups: String,
}

impl Accounts {
    fn of_the_system() -> Self {
        // Without the files no group is listed, and a group that is not listed counts as shared.
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self { users: read("/etc/passwd"), groups: read("/etc/group") }
    }

    /// Returns true if a group has members besides root and `user`, or is not listed.
    fn has_others(&self, group: u32, user: u32) -> bool {
        let Some(members) = lines(&self.groups).find(|line| number(line, 2) == Some(group)) else {
            return true;
        };
        let is_other = |account: &[&str]| number(account, 2).is_none_or(|id| id != 0 && id != user);
        let is_listed = |name: &&str| {
            let account = lines(&self.users).find(|account| account.first() == Some(name));
            account.is_none_or(|account| is_other(&account))
        };
        let mut listed = members.get(3).into_iter().flat_map(|names| names.split(','));
        let mut primary = lines(&self.users).filter(|account| number(account, 3) == Some(group));
        listed.any(|name| !name.is_empty() && is_listed(&name))
            || primary.any(|account| is_other(&account))
    }
}

/// Returns the fields of each line of such a file.
fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn number(fields: &[&str], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\njo:x:1000:1000::/home/jo:/bin/sh\n\
                         kim:x:1001:1001::/home/kim:/bin/sh\nlee:x:1002:50::/home/lee:/bin/sh\n";
    const GROUPS: &str =
        "root:x:0:\njo:x:1000:\nstaff:x:50:\nteam:x:60:root,kim\nown:x:70:root,jo\n";

    fn accounts() -> Accounts {
        Accounts { users: USERS.to_owned(), groups: GROUPS.to_owned() }
    }

    /// Returns the fixes for a file with this owner, group and mode, for this caller.
    fn said(owner: u32, group: u32, mode: u32, caller: u32) -> Vec<String> {
        let mode = Mode::from_raw_mode(mode);
        let found = Found { user: owner, group, mode, has_list: false };
        let exposures = found.exposures(caller, Path::new("/site/a b"), &accounts);
        exposures.into_iter().map(|exposure| exposure.fix).collect()
    }

    #[test]
    fn a_file_of_root_or_the_caller_is_theirs_alone() {
        let none: [&str; 0] = [];
        assert_eq!(said(0, 0, 0o644, 0), none);
        assert_eq!(said(0, 0, 0o644, 1000), none);
        assert_eq!(said(1000, 1000, 0o644, 1000), none);
        assert_eq!(said(1000, 1000, 0o644, 0), ["chown root '/site/a b'"]);
        assert_eq!(said(1001, 1001, 0o600, 1000), ["chown root '/site/a b'"]);
    }

    #[test]
    fn a_group_without_other_members_may_write() {
        let none: [&str; 0] = [];
        for (group, caller) in [(0, 0), (1000, 1000), (70, 1000)] {
            assert_eq!(said(0, group, 0o664, caller), none, "group {group}");
        }
        // Of `own`, jo is a member; of `staff`, lee; of `team`, kim; 99 is not listed.
        for (group, caller) in [(70, 0), (50, 0), (60, 0), (60, 1000), (99, 0)] {
            assert_eq!(said(0, group, 0o664, caller), ["chmod g-w '/site/a b'"], "group {group}");
        }
        assert_eq!(said(0, 0, 0o646, 0), ["chmod o-w '/site/a b'"]);
    }

    #[test]
    fn an_access_control_list_counts_as_a_group_with_others() {
        let mode = Mode::from_raw_mode(0o664);
        let found = Found { user: 0, group: 0, mode, has_list: true };
        assert_eq!(found.exposures(0, Path::new("/x"), &accounts)[0].fix, "chmod g-w /x");
    }

    #[test]
    fn an_opened_file_is_judged() {
        let dir = tempfile::tempdir().unwrap();
        let (path, file) = (dir.path().join("x"), fs::File::create(dir.path().join("x")).unwrap());
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(exposures(&file, &path), []);
        file.set_permissions(fs::Permissions::from_mode(0o666)).unwrap();
        // Its path is a different file now.
        fs::rename(&path, dir.path().join("y")).unwrap();
        assert!(
            exposures(&file, &path).iter().any(|exposure| exposure.fix.starts_with("chmod o-w"))
        );
    }
}
