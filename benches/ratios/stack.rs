//! The measured stack: mailcow's 18 services with their dependencies, as programs with fixed start
//! and stop times.

use std::collections::BTreeSet;

use cowhand::demo::images::{Image, Images};
use cowhand::demo::site::Site;

/// The tag of every image at first.
pub const FIRST: &str = "1";
/// The release that is updated to, and the tag of the images that are new in it.
pub const RELEASE: &str = "2026-03";
/// Finds the images that are new in it.
pub const NEW: &str = "label=release=2026-03";

/// The services whose images change: those of mailcow's step from 2026-05 to 2026-07a.
pub const CHANGED: &[&str] = &["unbound", "rspamd", "php-fpm", "sogo", "postfix", "nginx", "acme"];
/// The files that change, each mounted by one service: redis, which changes in nothing else, and
/// php-fpm.
pub const FILES: &[&str] =
    &["data/conf/redis/redis-conf.sh", "data/conf/phpfpm/php-fpm.d/pools.conf"];
/// The service that changes by a file alone.
const BY_FILE: &str = "redis";

/// A service: its name, its stop time (ms), the services that it needs started, those that it needs
/// healthy, and further configuration.
pub struct Service {
    name: &'static str,
    stop: u32,
    started: &'static [&'static str],
    healthy: &'static [&'static str],
    more: &'static str,
}

const fn service(
    name: &'static str,
    stop: u32,
    started: &'static [&'static str],
    healthy: &'static [&'static str],
    more: &'static str,
) -> Service {
    Service { name, stop, started, healthy, more }
}

/// The time until a service listens (ms).
const START: u32 = 500;
/// The same for a service that others need healthy.
const HEALTHY: u32 = 1000;

/// Mailcow's services and what they depend on.
pub const SERVICES: &[Service] = &[
    service(
        "unbound",
        300,
        &[],
        &[],
        "volumes: [./data/conf/unbound/unbound.conf:/etc/unbound/unbound.conf:ro]",
    ),
    service("mysql", 2000, &["unbound", "netfilter"], &[], "volumes: [mysql-vol-1:/var/lib/mysql]"),
    service(
        "redis",
        500,
        &["netfilter"],
        &[],
        "volumes: [redis-vol-1:/data, ./data/conf/redis/redis-conf.sh:/redis-conf.sh]",
    ),
    service("clamd", 1000, &[], &["unbound"], ""),
    service(
        "rspamd",
        1000,
        &["dovecot", "clamd"],
        &[],
        "volumes: [./data/conf/rspamd/local.d:/etc/rspamd/local.d]",
    ),
    service(
        "php-fpm",
        500,
        &["redis"],
        &[],
        "volumes: [./data/web:/web, ./data/conf/phpfpm/php-fpm.d/pools.conf:/z-pools.conf]",
    ),
    service("sogo", 1000, &[], &[], ""),
    service("dovecot", 500, &["mysql", "netfilter", "redis"], &[], "ports: [\"${IMAP_PORT}:143\"]"),
    service(
        "postfix",
        1000,
        &["mysql", "postfix-tlspol"],
        &["unbound"],
        "ports: [\"${SMTP_PORT}:25\"]",
    ),
    service("postfix-tlspol", 300, &[], &["unbound"], ""),
    service("memcached", 300, &[], &[], ""),
    service(
        "nginx",
        300,
        &["redis", "php-fpm", "sogo", "rspamd"],
        &[],
        "volumes: [./data/web:/web:ro]",
    ),
    service("acme", 300, &["nginx"], &["unbound"], ""),
    service("netfilter", 500, &[], &[], ""),
    service("watchdog", 300, &["postfix", "dovecot", "mysql", "acme", "redis"], &[], ""),
    service("dockerapi", 300, &[], &[], ""),
    service("olefy", 300, &[], &[], ""),
    service("ofelia", 300, &["sogo", "dovecot"], &[], ""),
];

/// What is fixed, for the table.
pub fn times() -> String {
    let stops = SERVICES.iter().map(|service| service.stop);
    let (least, most) = (stops.clone().min().unwrap_or_default(), stops.max().unwrap_or_default());
    format!(
        "services stop in {least} to {most} ms and start in {START} ms, unbound and clamd in {HEALTHY} ms"
    )
}

/// The services that have to be interrupted.
pub fn interrupted() -> BTreeSet<String> {
    CHANGED.iter().chain([&BY_FILE]).map(|name| full(name)).collect()
}

fn full(name: &str) -> String {
    format!("{name}-mailcow")
}

/// Pushes every image of the first release, or with a `weight` those that are new in the next.
pub fn push(site: &Site, weight: usize) {
    for service in SERVICES.iter().filter(|service| weight == 0 || CHANGED.contains(&service.name))
    {
        let tag = if weight == 0 { FIRST } else { RELEASE };
        site.images.push(service.name, tag, &image(service, tag).weight(weight)).unwrap();
    }
}

fn image(service: &Service, tag: &str) -> Image {
    let waited_for = SERVICES.iter().any(|other| other.healthy.contains(&service.name));
    let start = if waited_for || service.name == "clamd" { HEALTHY } else { START };
    let image = Image::new()
        .env("STOP_DELAY", &service.stop.to_string())
        .env("START_DELAY", &start.to_string());
    let image = match service.name {
        "postfix" => image.listens(25, "220 mail.example.org ESMTP"),
        "dovecot" => image.listens(143, "* OK ready"),
        _ => image.listens(80, "http"),
    };
    let image = image.label("release", tag);
    if waited_for || service.name == "clamd" { image.healthcheck() } else { image }
}

/// The compose file of a release: its new images from `tag` on.
pub fn compose_file(images: &Images, tag: &str) -> String {
    let services: String =
        SERVICES.iter().map(|service| compose_service(images, service, tag)).collect();
    format!(
        "services:\n{services}networks:\n  mailcow-network:\n    ipam: {{config: [{{subnet: \"${{IPV4_NETWORK}}.0/24\"}}]}}\n\
         volumes:\n  mysql-vol-1:\n  redis-vol-1:\n"
    )
}

fn compose_service(images: &Images, service: &Service, tag: &str) -> String {
    let tag = if CHANGED.contains(&service.name) { tag } else { FIRST };
    let conditions = [(service.started, "service_started"), (service.healthy, "service_healthy")];
    let needs = conditions
        .iter()
        .flat_map(|(names, condition)| names.iter().map(move |name| (name, condition)));
    let needs: Vec<String> = needs
        .map(|(name, condition)| format!("{}: {{condition: {condition}}}", full(name)))
        .collect();
    format!(
        "  {}:\n    image: {}\n    restart: always\n    networks: [mailcow-network]\n    stop_grace_period: 45s\n\
         \x20   depends_on: {{{}}}\n    {}\n",
        full(service.name),
        images.reference(service.name, tag),
        needs.join(", "),
        service.more
    )
}
