//! The small migrations of update.sh that still matter: one line each, with its reason.

/// Something about the site's own files that no merge changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A file is renamed, unless the source is missing or the target exists.
    Move {
        /// The old path, relative to the site.
        from: &'static str,
        /// The new path.
        to: &'static str,
    },
    /// The certificates in one directory are copied to another if missing there.
    Provide {
        /// The directory with upstream's.
        from: &'static str,
        /// The directory with the site's.
        to: &'static str,
    },
    /// An option of `mailcow.conf` has another name.
    Rename {
        /// The wrong one.
        from: &'static str,
        /// The right one.
        to: &'static str,
    },
    /// Git knows a file that it must not know; on disk it stays.
    Untrack(&'static str),
    /// Upstream's compose file once said something that compose 2 does not read; it is given what
    /// it reads, and the file stays.
    Respell {
        /// The text in the file.
        from: &'static str,
        /// The text as compose reads it.
        to: &'static str,
    },
}

/// A migration and why it is done.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The change.
    pub step: Step,
    /// Why.
    pub reason: &'static str,
}

const fn because(step: Step, reason: &'static str) -> Migration {
    Migration { step, reason }
}

/// All of them.
const MIGRATIONS: [Migration; 9] = [
    because(
        Step::Move {
            from: "data/conf/rspamd/custom/global_from_blacklist.map",
            to: "data/conf/rspamd/custom/global_smtp_from_blacklist.map",
        },
        "rspamd's map of blocked envelope senders has a new name",
    ),
    because(
        Step::Move {
            from: "data/conf/rspamd/custom/global_from_whitelist.map",
            to: "data/conf/rspamd/custom/global_smtp_from_whitelist.map",
        },
        "rspamd's map of allowed envelope senders has a new name",
    ),
    because(
        Step::Move {
            from: "data/conf/rspamd/local.d/metrics.conf",
            to: "data/conf/rspamd/local.d/metrics.conf_deprecated",
        },
        "rspamd no longer reads metrics.conf: move its content to actions.conf and groups.conf",
    ),
    because(
        Step::Move {
            from: "data/conf/nginx/ZZZ-ejabberd.conf",
            to: "data/conf/nginx/ZZZ-ejabberd.conf_deprecated",
        },
        "mailcow has no XMPP server any more, and nginx does not start if a site refers to it",
    ),
    because(
        Step::Provide { from: super::EXAMPLE_CERTIFICATES, to: super::CERTIFICATES },
        "services do not start without a certificate",
    ),
    because(
        Step::Rename { from: "COMPOSEPROJECT_NAME", to: "COMPOSE_PROJECT_NAME" },
        "upstream wrote it misspelt in 2018",
    ),
    because(
        Step::Untrack("data/conf/rspamd/override.d/worker-controller-password.inc"),
        "it holds the site's rspamd password, which a merge could remove",
    ),
    because(
        Step::Respell { from: "{HTTP_BIND:-:}", to: "{HTTP_BIND:-}" },
        "releases from 2021-01 to 2022-06 bind to a colon if no address is set; only compose 1 \
         accepted that",
    ),
    because(Step::Respell { from: "{HTTPS_BIND:-:}", to: "{HTTPS_BIND:-}" }, "as HTTP_BIND"),
];

/// The files that have other names: from, to, why.
pub fn moves() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    MIGRATIONS.iter().filter_map(|migration| match migration.step {
        Step::Move { from, to } => Some((from, to, migration.reason)),
        _ => None,
    })
}

/// The directories whose certificates are copied to others: from, to.
pub fn provided() -> impl Iterator<Item = (&'static str, &'static str)> {
    MIGRATIONS.iter().filter_map(|migration| match migration.step {
        Step::Provide { from, to } => Some((from, to)),
        _ => None,
    })
}

/// The options that have other names: from, to.
pub fn renamed_options() -> impl Iterator<Item = (&'static str, &'static str)> {
    MIGRATIONS.iter().filter_map(|migration| match migration.step {
        Step::Rename { from, to } => Some((from, to)),
        _ => None,
    })
}

/// The files that git must not know, and why.
pub fn untracked() -> impl Iterator<Item = (&'static str, &'static str)> {
    MIGRATIONS.iter().filter_map(|migration| match migration.step {
        Step::Untrack(path) => Some((path, migration.reason)),
        _ => None,
    })
}

/// Upstream's compose file as compose 2 reads it.
pub fn respelt(compose: &str) -> String {
    MIGRATIONS.iter().fold(compose.to_owned(), |text, migration| match migration.step {
        Step::Respell { from, to } => text.replace(from, to),
        _ => text,
    })
}
