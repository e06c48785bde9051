//! What is mailcow's own: file names, messages, options, migrations. When upstream changes a habit, this is the file to change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

/// The site's settings, sourced by bash and read by compose through the `.env` link.
pub const CONF: &str = "mailcow.conf";
/// The mode that upstream gives it: it holds passwords.
pub const CONF_MODE: u32 = 0o600;
/// Upstream's compose file.
pub const COMPOSE_FILE: &str = "docker-compose.yml";
/// The site's own additions to it, by the names that compose looks for, in its order.
pub const OVERRIDE_FILES: [&str; 2] = ["docker-compose.override.yml", "docker-compose.override.yaml"];
/// The certificates in use.
pub const CERTIFICATES: &str = "data/assets/ssl";
/// The certificates that upstream ships so that a new site can start.
pub const EXAMPLE_CERTIFICATES: &str = "data/assets/ssl-example";
/// The option that names the server.
pub const HOSTNAME: &str = "MAILCOW_HOSTNAME";
/// Upstream's own updater.
pub const UPDATE_SCRIPT: &str = "update.sh";
/// Where releases since 2025-09 keep the functions that bring a `mailcow.conf` up to date.
pub const OPTION_MODULES: [&str; 2] = ["_modules/scripts/migrate_options.sh", "_modules/scripts/new_options.sh"];
/// What these functions are called in the update.sh of older releases.
pub const OPTION_FUNCTIONS: [&str; 3] = ["migrate_solr_config_options", "migrate_config_options", "adapt_new_options"];
/// Where update.sh leaves the diff of the local changes.
pub const DIFFS: &str = "update_diffs";
/// What the web interface shows as the version.
pub const APP_INFO: &str = "data/web/inc/app_info.inc.php";
/// Scripts of the site that update.sh runs before and after an update.
pub const PRE_HOOK: &str = "pre_update_hook.sh";
/// See [`PRE_HOOK`].
pub const POST_HOOK: &str = "post_update_hook.sh";
/// The branch and remote that a site follows unless it chose otherwise.
pub const DEFAULT_BRANCH: &str = "master";

/// Folders that their service reads live, or whose changes a restart of the service would not be worth: a merge that only touches
/// these restarts nothing. Site-relative prefixes. PHP and nginx serve `data/web` from disk at each request; the templates are read for each mail.
pub const READ_LIVE: &[&str] = &["data/web", "data/assets/templates", "data/assets/ssl-example"];

/// Services that change their data's format when a newer image starts, so that going back to the old image is no undo: the database
/// itself, and php-fpm, which carries out upstream's schema changes at start.
pub const MIGRATES_DATA: &[&str] = &["mysql-mailcow", "php-fpm-mailcow"];

/// The message of the commit that holds the local changes, as update.sh writes it.
pub fn before_message(now: &ZonedDateTime) -> String {
    format!("Before update on {}", stamp(now))
}

/// The message of the merge, as update.sh writes it.
pub fn after_message(now: &ZonedDateTime) -> String {
    format!("After update on {}", stamp(now))
}

/// The name of the diff of the local changes, as update.sh writes it.
pub fn diff_name(now: &ZonedDateTime) -> String {
    format!("diff_before_update_{}", now.strftime("%Y-%m-%d-%H-%M-%S"))
}

fn stamp(now: &ZonedDateTime) -> String {
    now.strftime("%Y-%m-%d_%H_%M_%S").to_string()
}

/// What the web interface's version file says.
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
        let repository = "https://github.com/mailcow/mailcow-dockerized";
        let texts = [
            ("GIT_VERSION", *version),
            ("LAST_GIT_VERSION", ""),
            ("GIT_OWNER", "mailcow"),
            ("GIT_REPO", "mailcow-dockerized"),
            ("GIT_URL", repository),
            ("GIT_COMMIT", commit),
            ("GIT_COMMIT_DATE", commit_date),
            ("BRANCH", branch),
        ];
        let lines = texts.iter().map(|(name, text)| format!("  $MAILCOW_{name}=\"{}\";", php_text(text)));
        format!("<?php\n{}\n  $MAILCOW_UPDATEDAT={updated_at};\n?>\n", lines.collect::<Vec<_>>().join("\n"))
    }
}

/// A branch's name may hold what PHP would read inside double quotes.
fn php_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
}

/// The options of a `mailcow.conf`.
#[derive(Clone, Debug, Default)]
pub struct Conf(BTreeMap<String, String>);

impl Conf {
    /// Reads `NAME=VALUE` lines. Bash may do more with the file; what upstream writes there is of this form.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(option).collect())
    }

    /// An option's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values that nobody should read in a report: passwords and keys.
    pub fn secrets(&self) -> impl Iterator<Item = String> + '_ {
        let secret = |name: &str| ["PASS", "ROOT", "KEY", "SECRET", "TOKEN"].iter().any(|part| name.contains(part));
        self.0.iter().filter(move |(name, _)| secret(name)).map(|(_, value)| value.clone())
    }
}

impl From<Conf> for BTreeMap<String, String> {
    fn from(conf: Conf) -> Self {
        conf.0
    }
}

fn option(line: &str) -> Option<(String, String)> {
    let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
    let (name, value) = line.split_once('=')?;
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    named.then(|| (name.to_owned(), unquoted(value.trim()).to_owned()))
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inside) = value.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return inside;
        }
    }
    value.split(" #").next().unwrap_or(value).trim_end()
}

/// What is wrong with a `MAILCOW_HOSTNAME`, by update.sh's rules.
pub fn hostname_problem(hostname: &str) -> Option<String> {
    if hostname.ends_with('.') {
        Some(format!("MAILCOW_HOSTNAME ({hostname}) ends with a dot"))
    } else if !hostname.contains('.') {
        Some(format!("MAILCOW_HOSTNAME ({hostname}) is not a fully qualified domain name"))
    } else {
        None
    }
}

/// A file that moved, or that must go, although no merge moves it: it belongs to the site, so git does not know it.
pub struct Migration {
    /// Where it is, relative to the site.
    pub from: &'static str,
    /// Where it belongs.
    pub to: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// The small migrations of update.sh that still matter. A migration whose source is missing, or whose target exists, is not done.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        from: "data/conf/rspamd/custom/global_from_blacklist.map",
        to: "data/conf/rspamd/custom/global_smtp_from_blacklist.map",
        reason: "rspamd's map of blocked envelope senders has a new name",
    },
    Migration {
        from: "data/conf/rspamd/custom/global_from_whitelist.map",
        to: "data/conf/rspamd/custom/global_smtp_from_whitelist.map",
        reason: "rspamd's map of allowed envelope senders has a new name",
    },
    Migration {
        from: "data/conf/rspamd/local.d/metrics.conf",
        to: "data/conf/rspamd/local.d/metrics.conf_deprecated",
        reason: "rspamd no longer reads metrics.conf: move what it says to actions.conf and groups.conf",
    },
];

/// The site's files that a run keeps a copy of before anything else: certificates first.
pub fn precious(compose_files: &[PathBuf]) -> Vec<PathBuf> {
    let fixed = [CERTIFICATES, CONF, crate::site::CONFIG_FILE].into_iter().map(PathBuf::from);
    let overrides = compose_files.iter().filter(|file| file.as_path() != Path::new(COMPOSE_FILE)).cloned();
    fixed.chain(overrides).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_bash_would() {
        let conf = Conf::parse(
            "# x\nA=1\nexport B=two words\nC=\"quoted # text\"\nD=5 # five\nE=\nF='x'\n1 bad=2\nDBPASS=abc\n",
        );
        let values = ["A", "B", "C", "D", "E", "F"].map(|name| conf.get(name).unwrap());
        assert_eq!(values, ["1", "two words", "quoted # text", "5", "", "x"]);
        assert_eq!(conf.secrets().collect::<Vec<_>>(), ["abc"]);
    }

    #[test]
    fn hostnames_follow_the_script_s_rules() {
        assert!(hostname_problem("mail.example.org").is_none());
        assert!(hostname_problem("mail").is_some() && hostname_problem("mail.example.org.").is_some());
    }

    #[test]
    fn the_version_file_is_valid_php_whatever_the_branch_is_called() {
        let info = AppInfo { version: "2026-03", commit: "c0", commit_date: "d", branch: "a\"$b", updated_at: 7 };
        assert!(info.php().contains("$MAILCOW_BRANCH=\"a\\\"\\$b\";\n  $MAILCOW_UPDATEDAT=7;\n?>\n"));
    }
}
