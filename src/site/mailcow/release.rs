//! Upstream's releases: their names, the list of the major ones, and the file with the version for
//! the web UI.

use super::{CORE_MODULE, REPOSITORY, UPDATE_SCRIPT};

/// The content of the web interface's version file.
pub struct AppInfo<'a> {
    /// The newest tag on stable, else a short commit id.
    pub version: &'a str,
    /// Upstream's commit.
    pub commit: &'a str,
    /// When that was committed, as `git log --format=%ci` has it.
    pub commit_date: &'a str,
    /// The branch.
    pub branch: &'a str,
    /// Now, in seconds since 1970.
    pub updated_at: i64,
}

impl AppInfo<'_> {
    /// The PHP that upstream's web interface includes: its variables, in its order.
    pub fn php(&self) -> String {
        let Self { version, commit, commit_date, branch, updated_at } = self;
        let texts = [
            ("GIT_VERSION", *version),
            ("LAST_GIT_VERSION", ""),
            ("GIT_OWNER", "mailcow"),
            ("GIT_REPO", "mailcow-dockerized"),
            ("GIT_URL", REPOSITORY),
            ("GIT_COMMIT", commit),
            ("GIT_COMMIT_DATE", commit_date),
            ("BRANCH", branch),
        ];
        let lines =
            texts.iter().map(|(name, text)| format!("  $MAILCOW_{name}=\"{}\";", php_text(text)));
        format!(
            "<?php\n{}\n  $MAILCOW_UPDATEDAT={updated_at};\n?>\n",
            lines.collect::<Vec<_>>().join("\n")
        )
    }
}

/// A branch's name may hold what PHP would read inside double quotes.
fn php_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
}

/// The releases whose notes upstream wants read before a site passes them: what the functions of a
/// release itself list, given a reader of its files.
pub fn major_releases<E>(
    mut file: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<String>, E> {
    for name in [CORE_MODULE, UPDATE_SCRIPT] {
        let text = file(name)?.unwrap_or_default();
        let releases = bash_list(&String::from_utf8_lossy(&text), "MAJOR_VERSIONS");
        if !releases.is_empty() {
            return Ok(releases);
        }
    }
    Ok(Vec::new())
}

/// The words of a list that a shell script sets: `NAME=( "one" two )`, on one line or several, with
/// comments.
pub fn bash_list(script: &str, name: &str) -> Vec<String> {
    let Some((_, list)) = script.split_once(&format!("{name}=(")) else { return Vec::new() };
    let inside = list.split(')').next().unwrap_or_default();
    let words = inside
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace());
    words
        .map(|word| word.trim_matches(['"', '\'']).to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Returns true if this is a release's name: its year and month, and a letter for those that follow
/// in it, as in `2025-09b`. A tag of the site's own, or a commit's id, is none.
pub fn is_release(name: &str) -> bool {
    let (month, letter) = name.split_at_checked(7).unwrap_or((name, "?"));
    let is_month = month
        .bytes()
        .enumerate()
        .all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
    is_month
        && (letter.is_empty()
            || letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// Returns the URL of a release's notes.
pub fn release_notes(release: &str) -> String {
    format!("{REPOSITORY}/releases/tag/{release}")
}

/// Returns the version in a version file, as [`AppInfo::php`] writes it.
pub fn stamped_version(php: &str) -> Option<&str> {
    let line = php.lines().find(|line| line.contains("$MAILCOW_GIT_VERSION="))?;
    line.split('"').nth(1).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_releases_are_those_that_the_release_lists() {
        let script = "detect() {\n    MAJOR_VERSIONS=(\n      \"2025-02\"\n      # \"2025-03\"\n      '2025-09' # new\n    )\n}\n";
        let read = |only: &'static str| {
            move |name: &str| Ok::<_, ()>((name == only).then(|| script.as_bytes().to_vec()))
        };
        for place in [CORE_MODULE, UPDATE_SCRIPT] {
            assert_eq!(
                major_releases(read(place)),
                Ok(vec!["2025-02".to_owned(), "2025-09".to_owned()])
            );
        }
        assert_eq!(major_releases(read("README.md")), Ok(Vec::new()));
    }

    #[test]
    fn releases_are_told_from_other_names() {
        for name in ["2025-09", "2025-09a", "2026-12z"] {
            assert!(is_release(name), "{name}");
        }
        for name in [
            "",
            "before-update",
            "2025-09-01",
            "2025-09A",
            "2025-09ab",
            "2025_09",
            "2025-9",
            "1f2e3d4c5",
            "v2025-09",
            "20é5-09",
        ] {
            assert!(!is_release(name), "{name}");
        }
    }

    #[test]
    fn the_version_file_is_valid_php_whatever_the_branch_is_called() {
        let info = AppInfo {
            version: "2026-03",
            commit: "c0",
            commit_date: "d",
            branch: "a\"$b",
            updated_at: 7,
        };
        assert_eq!(stamped_version(&info.php()), Some("2026-03"));
        assert!(
            info.php().contains("$MAILCOW_BRANCH=\"a\\\"\\$b\";\n  $MAILCOW_UPDATEDAT=7;\n?>\n")
        );
    }
}
