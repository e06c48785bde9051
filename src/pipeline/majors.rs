//! The major releases that an update passes: listed by the merged release, newer than the site's.

use std::path::Path;

use super::Run;
use super::facts::{self, Before};
use crate::error::Result;
use crate::git::merge::Merged;
use crate::path::SitePath;
use crate::plan::MajorRelease;
use crate::site::{MOST_OF_A_TEXT, mailcow};

/// Lists the major releases between the site and the merged state. Empty if the site's release is
/// unknown, or on other branches than the stable one: their states have no release names.
pub fn passed(run: &Run, merged: &Merged) -> Result<Vec<MajorRelease>> {
    if run.branch_after()? != mailcow::DEFAULT_BRANCH {
        return Ok(Vec::new());
    }
    let Some(current) = current(run, merged)? else { return Ok(Vec::new()) };
    let listed =
        mailcow::major_releases(|name| run.repo.file_in(merged.tree, &SitePath::from(name)))?;
    let passed = listed.into_iter().filter(|release| **release > *current);
    Ok(passed
        .map(|release| MajorRelease { notes: mailcow::release_notes(&release), release })
        .collect())
}

/// Returns the site's release: the newest release tag in its history, else its version file's,
/// else, if the merged state has tags, an empty name, which sorts before all of them.
fn current(run: &Run, merged: &Merged) -> Result<Option<String>> {
    let before: Before = run.journal.record().need(facts::BEFORE)?;
    if let Some(tag) = run.repo.newest_tag(facts::oid(&before.head)?, mailcow::is_release)? {
        return Ok(Some(tag));
    }
    let stamp = run.site.dir().read(Path::new(mailcow::APP_INFO), MOST_OF_A_TEXT);
    let stamp = String::from_utf8_lossy(&stamp.unwrap_or_default()).into_owned();
    if let Some(version) =
        mailcow::stamped_version(&stamp).filter(|version| mailcow::is_release(version))
    {
        return Ok(Some(version.to_owned()));
    }
    Ok(run.repo.newest_tag(merged.theirs, mailcow::is_release)?.map(|_| String::new()))
}
