//! Everything specific to mailcow: file names, messages, options, migrations. When upstream
//! changes, change this module.

mod conf;
pub mod host;
pub mod migrations;
mod release;
pub mod unmigrated;

use std::path::{Path, PathBuf};

use jiff::ZonedDateTime;

pub use conf::{Conf, is_secret};
pub use release::{AppInfo, bash_list, is_release, major_releases, release_notes, stamped_version};

/// The site's settings, sourced by bash and read by compose through the `.env` link.
pub const CONF: &str = "mailcow.conf";
/// Its mode in upstream's script: it contains passwords.
pub const CONF_MODE: u32 = 0o600;
/// Upstream's compose file.
pub const COMPOSE_FILE: &str = "docker-compose.yml";
/// The site's own additions to it, by the names that compose looks for, in its order.
pub const OVERRIDE_FILES: [&str; 2] =
    ["docker-compose.override.yml", "docker-compose.override.yaml"];
/// The certificates in use.
pub const CERTIFICATES: &str = "data/assets/ssl";
/// The certificates that upstream ships so that a new site can start.
pub const EXAMPLE_CERTIFICATES: &str = "data/assets/ssl-example";
/// The option that names the server.
pub const HOSTNAME: &str = "MAILCOW_HOSTNAME";
/// Upstream's own updater.
pub const UPDATE_SCRIPT: &str = "update.sh";
/// The path of the functions that migrate `mailcow.conf`, in releases since 2025-09.
pub const OPTION_MODULES: [&str; 2] =
    ["_modules/scripts/migrate_options.sh", "_modules/scripts/new_options.sh"];
/// The path of the list of major releases, since 2025-09. Older releases have it in update.sh.
pub const CORE_MODULE: &str = "_modules/scripts/core.sh";
/// The names of these functions in the update.sh of older releases.
pub const OPTION_FUNCTIONS: [&str; 4] = [
    "migrate_solr_config_options",
    "migrate_config_options",
    "adapt_new_options",
    "remove_obsolete_options",
];
/// The name given to the part of an older update.sh outside of functions.
pub const INLINE_OPTIONS: &str = "inline_options";
/// The option that says how compose is called, as `native` or `standalone`.
pub const COMPOSE_KIND: &str = "DOCKER_COMPOSE_VERSION";
/// The option that says whether the network has IPv6, since 2025-09.
pub const IPV6: &str = "ENABLE_IPV6";
/// The directory in which update.sh leaves the diff of the local changes.
pub const DIFFS: &str = "update_diffs";
/// The file with the version that the web UI shows.
pub const APP_INFO: &str = "data/web/inc/app_info.inc.php";
/// Scripts of the site that update.sh runs before and after an update.
pub const PRE_HOOK: &str = "pre_update_hook.sh";
/// See [`PRE_HOOK`].
pub const POST_HOOK: &str = "post_update_hook.sh";
/// Names that upstream's documentation gives for these two by mistake, and the names that are
/// meant.
pub const MISNAMED_HOOKS: [(&str, &str); 2] =
    [("pre_commit_hook.sh", PRE_HOOK), ("post_commit_hook.sh", POST_HOOK)];
/// The branch that a site follows unless it chose otherwise: upstream's stable one.
pub const DEFAULT_BRANCH: &str = BRANCHES[0];
/// Upstream's own repository.
pub const REPOSITORY: &str = "https://github.com/mailcow/mailcow-dockerized";
/// Upstream's branches: stable, for testing, and for those who cannot follow yet.
pub const BRANCHES: [&str; 3] = ["master", "nightly", "legacy"];

/// Folders that their service reads live, or whose changes a restart of the service would not be
/// worth: a merge that only touches these restarts nothing. Site-relative prefixes. PHP and nginx
/// serve `data/web` from disk at each request; the templates are read for each mail.
pub const READ_LIVE: &[&str] = &["data/web", "data/assets/templates", "data/assets/ssl-example"];

/// Services that change their data's format when a newer image starts, so that going back to the
/// old image is no undo: the database itself, and php-fpm, which carries out upstream's schema
/// changes at start.
pub const MIGRATES_DATA: &[&str] = &["mysql-mailcow", "php-fpm-mailcow"];

/// The service that is the database.
pub const DATABASE: &str = "mysql-mailcow";
/// The option that names the database.
pub const DATABASE_NAME: &str = "DBNAME";
/// The option that holds the password of the database's root.
pub const DATABASE_ROOT: &str = "DBROOT";

/// A program in the database's image that dumps it, and the client that reads the dump.
#[derive(Clone, Copy, Debug)]
pub struct Dumper {
    /// The command that dumps.
    pub program: &'static str,
    /// The command that restores.
    pub client: &'static str,
}

/// By their names since `MariaDB` 10.5 and from before.
pub const DUMPERS: [Dumper; 2] = [
    Dumper { program: "mariadb-dump", client: "mariadb" },
    Dumper { program: "mysqldump", client: "mysql" },
];

impl Dumper {
    /// The beginning of the last line of a complete dump.
    pub const LAST_LINE: &str = "-- Dump completed";

    /// The whole database in one transaction, so that mail goes on meanwhile; reading it drops what
    /// the database has become. The password is taken from `MYSQL_PWD`.
    pub fn command<'a>(&self, database: &'a str) -> Vec<&'a str> {
        let options = [
            "--single-transaction",
            "--quick",
            "--routines",
            "--events",
            "--triggers",
            "--add-drop-database",
        ];
        let text = ["--user=root", "--default-character-set=utf8mb4"];
        [&[self.program], &text[..], &options, &["--databases", database]].concat()
    }

    /// Returns the question how many bytes the tables of the database hold.
    pub fn size_question(database: &str) -> String {
        let name = database.replace('\\', r"\\").replace('\'', r"\'");
        format!(
            "SELECT COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = '{name}'"
        )
    }

    /// Returns the command that asks one question and prints the bare answer.
    pub fn size_command<'a>(&self, question: &'a str) -> [&'a str; 6] {
        [self.client, "--user=root", "--batch", "--skip-column-names", "--execute", question]
    }
}

/// Returns the command that restores a dump, for the site's directory.
pub fn restore_command(client: &str, dump: &Path) -> String {
    let dump = dump.display();
    format!(
        "(. ./{CONF} && docker compose exec -T -e MYSQL_PWD=\"${DATABASE_ROOT}\" {DATABASE} {client} --user=root --default-character-set=utf8mb4 <'{dump}')"
    )
}

/// The message of the commit that holds the local changes, as update.sh writes it.
pub fn before_message(now: &ZonedDateTime) -> String {
    format!("Before update on {}", stamp(now))
}

/// The message of the merge, as update.sh writes it.
pub fn after_message(now: &ZonedDateTime) -> String {
    format!("After update on {}", stamp(now))
}

/// The name of the diff of the local changes, as update.sh writes it: before an update, or before a
/// switch to another branch.
pub fn diff_name(now: &ZonedDateTime, onto: Option<&str>) -> String {
    let occasion = onto.map_or("update".to_owned(), |branch| format!("upgrade_to_{branch}"));
    format!("diff_before_{occasion}_{}", now.strftime("%Y-%m-%d-%H-%M-%S"))
}

/// Returns true if a remote's URL is upstream's, over any protocol.
pub fn is_default_remote(url: &str) -> bool {
    let place =
        url.trim_end_matches('/').trim_end_matches(".git").to_ascii_lowercase().replace(':', "/");
    place.ends_with("github.com/mailcow/mailcow-dockerized")
}

fn stamp(now: &ZonedDateTime) -> String {
    now.strftime("%Y-%m-%d_%H_%M_%S").to_string()
}

/// update.sh's judgement of a `MAILCOW_HOSTNAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hostname {
    /// Nothing.
    Good,
    /// It has no subdomain, which works for many but is not tested upstream. The operator decides.
    Doubtful(String),
    /// It cannot work.
    Bad(String),
}

/// Judges a `MAILCOW_HOSTNAME` by update.sh's rules.
pub fn judge_hostname(hostname: &str) -> Hostname {
    match hostname.matches('.').count() {
        0 => Hostname::Bad(format!("{HOSTNAME} ({hostname}) is not a fully qualified domain name")),
        _ if hostname.ends_with('.') => {
            Hostname::Bad(format!("{HOSTNAME} ({hostname}) ends with a dot"))
        }
        1 => Hostname::Doubtful(format!(
            "{HOSTNAME} ({hostname}) has no subdomain, which upstream does not test"
        )),
        _ => Hostname::Good,
    }
}

/// The site's files that a run keeps a copy of before anything else: certificates first.
pub fn precious(compose_files: &[PathBuf]) -> Vec<PathBuf> {
    let fixed = [CERTIFICATES, CONF, crate::site::CONFIG_FILE].into_iter().map(PathBuf::from);
    // Runs change nothing outside of the site or behind a link.
    let overrides = compose_files.iter().filter(|file| file.is_relative()).cloned();
    let overrides = overrides.filter(|file| file.as_path() != Path::new(COMPOSE_FILE));
    fixed.chain(overrides).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_follow_the_script_s_rules() {
        assert_eq!(judge_hostname("mail.example.org"), Hostname::Good);
        assert!(matches!(judge_hostname("example.org"), Hostname::Doubtful(_)));
        for bad in ["mail", "", "mail.example.org.", "mail."] {
            assert!(matches!(judge_hostname(bad), Hostname::Bad(_)), "{bad}");
        }
    }
}
