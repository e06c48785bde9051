//! The things that neither the merge nor update.sh migrates from an old release, with a remedy
//! each. The more releases an update passes, the more of them apply. Found in the site's release,
//! the merged one and the site's own files.

use super::{COMPOSE_FILE, Conf};
use crate::error::Result;

/// The directory for a site's own nginx servers.
const NGINX: &str = "data/conf/nginx";
const DATABASE_SCHEMA: &str = "data/web/inc/init_db.inc.php";
const DKIM_KEYS: &str = "data/web/inc/vars.inc.php";
const DOVECOT: &str = "data/conf/dovecot/dovecot.conf";
const OLD_INCLUDE: &str = "data/conf/nginx/includes/site-defaults.conf";
const PHP_ENTRYPOINT: &str = "data/Dockerfiles/php-fpm/docker-entrypoint.sh";
const PHP_POOLS: &str = "data/conf/phpfpm/php-fpm.d/pools.conf";
const STATISTICS: &str = "data/conf/rspamd/local.d/statistic.conf";

/// By what something is found. A file that does not exist contains nothing.
#[derive(Clone, Copy, Debug)]
enum Sign {
    /// This file of the release that the site has contains this.
    Had(&'static str, &'static str),
    /// It does not.
    HadNot(&'static str, &'static str),
    /// This file of the merged release contains this.
    Has(&'static str, &'static str),
    /// It does not.
    HasNot(&'static str, &'static str),
    /// An image of the compose file has another version, counted in so many numbers.
    Jump(&'static str, usize),
    /// The site has not switched off what this option skips, although upstream skips it by default.
    NotSkipped(&'static str),
    /// A file of the site's own contains this.
    Own(Place, &'static str),
}

/// The places for a site's own settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Its additions to the compose file.
    Compose,
    /// The files directly in this directory.
    Folder(&'static str),
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
struct Unmigrated {
    /// All of these must be there.
    signs: &'static [Sign],
    /// The missing migration, and why.
    what: &'static str,
    /// What the operator can do.
    remedy: &'static str,
}

/// Something that an update leaves undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The missing migration, and its place.
    pub what: String,
    /// What the operator can do.
    pub remedy: &'static str,
}

/// The parts of a site that are checked.
pub struct Sight<'a> {
    /// A file of the release that the site has.
    pub before: &'a dyn Fn(&str) -> Result<String>,
    /// A file of the merged release.
    pub after: &'a dyn Fn(&str) -> Result<String>,
    /// The site's own files: name and content.
    pub own: &'a dyn Fn(Place) -> Vec<(String, String)>,
    /// The site's settings as they are.
    pub conf: &'a Conf,
}

use Sign::{Had, HadNot, Has, HasNot, Jump, NotSkipped, Own};

/// All of them, oldest first. The dates are those of upstream's history.
const UNMIGRATED: [Unmigrated; 11] = [
    // php-fpm's image copied the files into redis when it started, from 2017-05-13 to 2018-02-01.
    Unmigrated {
        signs: &[Had(DKIM_KEYS, "MC_DKIM_KEYS"), HadNot(PHP_ENTRYPOINT, "DKIM_PRIV_KEYS")],
        what: "DKIM keys are files in the volume dkim-vol-1; the new release reads them only from \
               redis, and sends mail unsigned",
        remedy: "Import each private key in the web UI, under ARC/DKIM keys, with the selector dkim. \
               The volume stays.",
    },
    // 2018-04-26: php-fpm listens on 9001 and 9002. The update.sh of that year corrected such
    // files.
    Unmigrated {
        signs: &[
            HadNot(PHP_POOLS, "9001"),
            Has(PHP_POOLS, "9001"),
            Own(Place::Folder(NGINX), "phpfpm:9000"),
        ],
        what: "the site's own nginx servers use php-fpm's port 9000, where nothing listens any more",
        remedy: "Write phpfpm:9002 there.",
    },
    // 2018-04-26. The old keys stay in redis and are not read.
    Unmigrated {
        signs: &[HadNot(STATISTICS, "new_schema"), Has(STATISTICS, "new_schema")],
        what: "rspamd stores its training on spam and ham in a new format and starts without any",
        remedy: "Train it again: it learns from mail that is moved into and out of Junk.",
    },
    // 2018-09-29.
    Unmigrated {
        signs: &[
            HadNot(DOVECOT, " mail_crypt_global_private_key"),
            Has(DOVECOT, " mail_crypt_global_private_key"),
        ],
        what: "new mail is stored encrypted, older mail stays as it is; the keys are only in the \
               volume crypt-vol-1",
        remedy: "Add crypt-vol-1 to the backups: without it, new mail cannot be read.",
    },
    // In mailcow from 2021-02-11 to 2021-06-30.
    Unmigrated {
        signs: &[
            Had(COMPOSE_FILE, " ejabberd-mailcow:"),
            HasNot(COMPOSE_FILE, " ejabberd-mailcow:"),
        ],
        what: "mailcow has no XMPP server any more: its accounts, messages and uploads are not migrated",
        remedy: "Save the data from the volumes xmpp-vol-1 and xmpp-upload-vol-1, which stay.",
    },
    // 2022-01-21: a user who logs in with such a key has to register it again, and has no second
    // factor until then.
    Unmigrated {
        signs: &[
            Had(DATABASE_SCHEMA, "u2f"),
            HadNot(DATABASE_SCHEMA, "'webauthn'"),
            Has(DATABASE_SCHEMA, "'webauthn'"),
        ],
        what: "U2F second factors are deleted at their owner's next login, which leaves the owner none",
        remedy: "Have their owners register them again, as WebAuthn.",
    },
    // 2025-01-23.
    Unmigrated {
        signs: &[
            Had(COMPOSE_FILE, " solr-mailcow:"),
            HasNot(COMPOSE_FILE, " solr-mailcow:"),
            NotSkipped("SKIP_SOLR"),
        ],
        what: "Solr's index is not migrated, and its successor is off: upstream adds SKIP_FTS=y",
        remedy: "Set SKIP_FTS=n in mailcow.conf, run `docker compose up -d`, and index with \
               `docker compose exec dovecot-mailcow doveadm index -A '*'`.",
    },
    // 2025-01-23: nginx has its own image, which writes /etc/nginx/includes/sites-default.conf.
    Unmigrated {
        signs: &[
            Had(OLD_INCLUDE, ""),
            HasNot(OLD_INCLUDE, ""),
            Own(Place::Folder(NGINX), "/etc/nginx/conf.d/includes/"),
        ],
        what: "the site's own nginx servers include a file that upstream no longer has; nginx does \
               not start with them",
        remedy: "Include /etc/nginx/includes/sites-default.conf there, or write down what they need.",
    },
    // 2026-03.
    Unmigrated {
        signs: &[
            HadNot(COMPOSE_FILE, ":/usr/local/lib/GNUstep/SOGo"),
            Has(COMPOSE_FILE, ":/usr/local/lib/GNUstep/SOGo"),
            Own(Place::Compose, "/usr/lib/GNUstep/SOGo"),
        ],
        what: "the site mounts files to where SOGo no longer looks for them",
        remedy: "Write /usr/local/lib/GNUstep/SOGo there.",
    },
    // MariaDB's manual: any older version can become any newer one at once, after a clean stop.
    // Nothing is said of the way back.
    Unmigrated {
        signs: &[Jump("mariadb", 2)],
        what: "the database is upgraded in one step; this fails after an unclean shutdown and with \
               TokuDB tables",
        remedy: "Dump it first: with `database = true` below [backup] in cowhand.toml, or by hand.",
    },
    // Redis refuses a dump of a newer format than its own. Sites with versions as old as that have
    // no password for redis.
    Unmigrated {
        signs: &[Jump("redis", 1)],
        what: "the new redis converts its data; after a rollback the old one may not read it, which \
               loses DKIM keys and spam statistics",
        remedy: "Copy them first: `docker compose exec redis-mailcow redis-cli save`, then \
               `docker compose cp redis-mailcow:/data/dump.rdb .`",
    },
];

/// Returns the manual steps after an update.
pub fn found(sight: &Sight<'_>) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for line in &UNMIGRATED {
        if let Some(details) = line.met(sight)? {
            let details = if details.is_empty() {
                String::new()
            } else {
                format!(" ({})", details.join(", "))
            };
            all.push(Found { what: format!("{}{details}", line.what), remedy: line.remedy });
        }
    }
    Ok(all)
}

impl Unmigrated {
    /// Returns the signs if all of them are present.
    fn met(&self, sight: &Sight<'_>) -> Result<Option<Vec<String>>> {
        let mut details = Vec::new();
        for sign in self.signs {
            match sign.seen(sight)? {
                Some(found) => details.extend(found),
                None => return Ok(None),
            }
        }
        Ok(Some(details))
    }
}

impl Sign {
    /// Returns the details if the sign is present.
    fn seen(self, sight: &Sight<'_>) -> Result<Option<Vec<String>>> {
        let is = |seen: bool| Ok(seen.then(Vec::new));
        match self {
            Had(file, text) => is(contains(&(sight.before)(file)?, text)),
            HadNot(file, text) => is(!contains(&(sight.before)(file)?, text)),
            Has(file, text) => is(contains(&(sight.after)(file)?, text)),
            HasNot(file, text) => is(!contains(&(sight.after)(file)?, text)),
            Jump(image, numbers) => {
                let (from, to) = ((sight.before)(COMPOSE_FILE)?, (sight.after)(COMPOSE_FILE)?);
                let versions = version(&from, image, numbers).zip(version(&to, image, numbers));
                Ok(versions
                    .filter(|(from, to)| from != to)
                    .map(|(from, to)| vec![format!("{from} → {to}")]))
            }
            NotSkipped(option) => is(sight
                .conf
                .get(option)
                .is_some_and(|value| value.to_ascii_lowercase().starts_with('n'))),
            Own(place, text) => {
                let files =
                    (sight.own)(place).into_iter().filter(|(_, content)| contains(content, text));
                let names: Vec<String> = files.map(|(name, _)| name).collect();
                Ok((!names.is_empty()).then_some(names))
            }
        }
    }
}

/// Returns true if there is such a line. Comments do not count.
fn contains(content: &str, text: &str) -> bool {
    content.lines().any(|line| !line.trim_start().starts_with(['#', ';']) && line.contains(text))
}

/// Returns the first numbers of an image's version in a compose file, from any registry. `None` if
/// it has no version.
fn version(compose: &str, image: &str, numbers: usize) -> Option<String> {
    let references = compose.lines().filter_map(|line| line.trim().strip_prefix("image:"));
    let mut references = references.map(|reference| reference.trim().trim_matches(['"', '\'']));
    let tag = references.find_map(|reference| {
        reference.rsplit('/').next().unwrap_or(reference).strip_prefix(image)?.strip_prefix(':')
    })?;
    let parts: Vec<&str> = tag.split(['.', '-']).take(numbers).collect();
    let is_version = parts.len() == numbers && parts.iter().all(|part| part.parse::<u32>().is_ok());
    is_version.then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    fn read(files: Files<'_>) -> impl Fn(&str) -> Result<String> {
        let owned = |(name, content): &(&str, &str)| ((*name).to_owned(), (*content).to_owned());
        let files: BTreeMap<String, String> = files.iter().map(owned).collect();
        move |name| Ok(files.get(name).cloned().unwrap_or_default())
    }

    fn told(before: Files<'_>, after: Files<'_>, own: Files<'_>, conf: &str) -> Vec<String> {
        let own = |place: Place| {
            let folder = match place {
                Place::Compose => "docker-compose.override",
                Place::Folder(folder) => folder,
            };
            let there = own.iter().filter(|(name, _)| name.starts_with(folder));
            there.map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
        };
        let sight = Sight {
            before: &read(before),
            after: &read(after),
            own: &own,
            conf: &Conf::parse(conf),
        };
        found(&sight).unwrap().into_iter().map(|found| found.what).collect()
    }

    fn is_told(seen: &[String], what: &str) {
        assert_eq!(seen.len(), 1, "{seen:#?}");
        assert!(seen[0].contains(what), "{seen:#?}");
    }

    #[test]
    fn what_a_newer_release_brought_is_met_once() {
        let old = "mail_plugins = quota\n  #mail_crypt_global_private_key = </x\n";
        let new = "mail_plugins = quota\n  mail_crypt_global_private_key = </x\n";
        is_told(&told(&[(DOVECOT, old)], &[(DOVECOT, new)], &[], ""), "crypt-vol-1");
        assert!(told(&[(DOVECOT, new)], &[(DOVECOT, new)], &[], "").is_empty());
        assert!(told(&[], &[], &[], "").is_empty());
    }

    #[test]
    fn keys_that_an_older_release_has_taken_over_are_nothing_to_tell_of() {
        let keys = "$MC_DKIM_KEYS = \"/data/dkim/keys\";\n";
        is_told(&told(&[(DKIM_KEYS, keys)], &[], &[], ""), "dkim-vol-1");
        assert!(
            told(&[(DKIM_KEYS, keys), (PHP_ENTRYPOINT, "HSET DKIM_PRIV_KEYS")], &[], &[], "")
                .is_empty()
        );
    }

    #[test]
    fn a_search_index_is_lost_only_where_there_was_one() {
        const SOLR: Files<'_> = &[(COMPOSE_FILE, "services:\n    solr-mailcow:\n")];
        const NONE: Files<'_> = &[(COMPOSE_FILE, "services:\n")];
        is_told(&told(SOLR, NONE, &[], "SKIP_SOLR=n\n"), "SKIP_FTS");
        assert!(told(SOLR, NONE, &[], "SKIP_SOLR=y\n").is_empty());
        assert!(told(SOLR, NONE, &[], "").is_empty(), "upstream skips it unless told otherwise");
        assert!(told(SOLR, SOLR, &[], "SKIP_SOLR=n\n").is_empty());
    }

    #[test]
    fn files_of_the_site_s_own_are_named_and_comments_are_not_meant() {
        const OLD: Files<'_> = &[(OLD_INCLUDE, "charset utf-8;\n")];
        let own: Files<'_> = &[
            (
                "data/conf/nginx/shop.conf",
                "server {\n  include /etc/nginx/conf.d/includes/site-defaults.conf;\n}\n",
            ),
            (
                "data/conf/nginx/other.conf",
                "# include /etc/nginx/conf.d/includes/site-defaults.conf;\n",
            ),
        ];
        let seen = told(OLD, &[], own, "");
        is_told(&seen, "(data/conf/nginx/shop.conf)");
        assert!(told(OLD, OLD, own, "").is_empty());
        let theme: Files<'_> = &[(
            "docker-compose.override.yml",
            "- ./t.js:/usr/lib/GNUstep/SOGo/WebServerResources/t.js\n",
        )];
        let (from, to) = ("- a:/usr/lib/GNUstep/SOGo/x\n", "- a:/usr/local/lib/GNUstep/SOGo/x\n");
        is_told(
            &told(&[(COMPOSE_FILE, from)], &[(COMPOSE_FILE, to)], theme, ""),
            "docker-compose.override.yml",
        );
    }

    #[test]
    fn versions_are_compared_as_far_as_they_matter() {
        let compose = |image: &str| format!("services:\n  x:\n    image: {image}\n");
        let seen = |image: &str, numbers| version(&compose(image), "mariadb", numbers);
        assert_eq!(seen("mariadb:10.11", 2).as_deref(), Some("10.11"));
        assert_eq!(
            seen("'registry:5000/library/mariadb:10.5.9-focal'", 2).as_deref(),
            Some("10.5")
        );
        for none in [
            "mariadb:latest",
            "mariadb",
            "mariadb:10",
            "mariadb-backup:10.5",
            "registry:5000/mariadb",
        ] {
            assert_eq!(seen(none, 2), None, "{none}");
        }
        let seen = told(
            &[(COMPOSE_FILE, "image: mariadb:10.5\nimage: redis:7-alpine\n")],
            &[(COMPOSE_FILE, "image: mariadb:10.11\nimage: redis:7.4.6-alpine\n")],
            &[],
            "",
        );
        is_told(&seen, "(10.5 → 10.11)");
    }
}
