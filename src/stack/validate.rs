//! Finds the problems of the new configuration, each with its fix, while the old stack still runs.

#![expect(clippy::disallowed_methods, reason = "it compares directories that the engine names")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::Path;

use super::change::Action;
use super::changes::Changes;
use super::compose::{Compose, ComposeFiles};
use super::container::{self, Container, Health};
use super::engine::Engine;
use super::resolved::{Mount, Port, Resolved};
use super::start::not_healthy;
use crate::error::{Error, Result};

/// A problem that must be fixed before the update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The problem and its object.
    pub what: String,
    /// The remedy, as an imperative.
    pub fix: String,
}

/// Returns one error for all problems; `None` if there are none.
pub fn refusal(problems: Vec<Problem>) -> Option<Error> {
    let mut problems = problems.into_iter();
    let first = problems.next()?;
    let error =
        Error::new("the new configuration would not work").because(first.what).hint(first.fix);
    Some(problems.fold(error, |error, problem| error.because(problem.what).hint(problem.fix)))
}

/// Returns the problems that the two configurations alone reveal. `exists` returns true if a path
/// of the host will exist after the switch.
pub fn problems(old: &Resolved, new: &Resolved, exists: &dyn Fn(&Path) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    problems.extend(project(old, new));
    problems.extend(volumes(old, new));
    problems.extend(binds(new, exists));
    problems
}

/// Another project name means other, empty volumes.
fn project(old: &Resolved, new: &Resolved) -> Option<Problem> {
    (old.project != new.project).then(|| Problem {
        what: format!(
            "the compose project would be renamed from {1} to {0}: the new stack would start with \
             empty volumes, without the existing mail",
            new.project, old.project
        ),
        fix: format!("Set COMPOSE_PROJECT_NAME={} in mailcow.conf.", old.project),
    })
}

/// Finds containers of this site that belong to a project of another name: its volumes do too.
/// A site that names no project is named after its directory, and compose 1 dropped characters
/// that compose 2 keeps. `containers` are all containers of the engine.
pub fn elsewhere(old: &Resolved, containers: &[Container], folder: &Path) -> Option<Problem> {
    let label = |one: &Container, name: &str| one.labels.get(name).cloned().unwrap_or_default();
    let project = |one: &Container| label(one, container::label::PROJECT);
    if containers.iter().any(|one| project(one) == old.project) {
        return None;
    }
    let once = once_called(folder);
    let of_this_site = |one: &&Container| match label(one, container::label::WORKING_DIR) {
        place if place.is_empty() => project(one) == once,
        // Compose records the path that it was called with, which may contain links.
        place => Path::new(&place).canonicalize().unwrap_or_else(|_| place.into()) == folder,
    };
    let mut found = containers
        .iter()
        .filter(|one| old.services.contains_key(&one.service))
        .filter(of_this_site);
    let theirs = found.next().map(project).filter(|name| !name.is_empty())?;
    Some(Problem {
        what: format!(
            "this site's containers belong to the compose project {theirs}, but mailcow.conf names \
             {}: the new stack would start with empty volumes, without the existing mail",
            old.project
        ),
        fix: format!("Set COMPOSE_PROJECT_NAME={theirs} in mailcow.conf."),
    })
}

/// Returns the project name that compose 1 derived from a directory.
fn once_called(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Finds volumes that would be renamed or replaced in a service: the service would start without
/// its data.
fn volumes(old: &Resolved, new: &Resolved) -> Vec<Problem> {
    let name = |resolved: &Resolved, mount: &Mount| {
        let key = mount.volume()?;
        resolved.volumes.get(key).map(|volume| volume.name.clone())
    };
    let mut problems = Vec::new();
    for (service, before) in &old.services {
        let Some(after) = new.services.get(service) else { continue };
        for mount in &before.mounts {
            let Some(volume) = name(old, mount) else { continue };
            let Some(other) = after.mounts.iter().find(|other| same_target(other, mount)) else {
                continue;
            };
            let now = name(new, other).unwrap_or_else(|| other.source.clone().unwrap_or_default());
            // If the whole project is renamed, `project` reports that.
            if now != volume && old.project == new.project {
                problems.push(Problem {
                    what: format!(
                        "{service} would mount {now} at {} instead of the volume {volume}, \
                         without its data",
                        mount.target
                    ),
                    fix: format!(
                        "Keep the volume in docker-compose.override.yml (`volumes:` with \
                         `name: {volume}`), or move the data first."
                    ),
                });
            }
        }
    }
    problems
}

fn same_target(one: &Mount, other: &Mount) -> bool {
    one.target.trim_end_matches('/') == other.target.trim_end_matches('/')
}

/// Finds missing paths that the engine would refuse, or create as a directory instead of a file.
fn binds(new: &Resolved, exists: &dyn Fn(&Path) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (service, configuration) in new.wanted() {
        for mount in &configuration.mounts {
            let Some(path) = mount.host_path() else { continue };
            let made = mount.bind.as_ref().is_some_and(|bind| bind.create_host_path);
            if !exists(&path) && (!made || looks_like_a_file(&path)) {
                problems.push(Problem {
                    what: format!("{service} mounts {}, which does not exist", path.display()),
                    fix: format!(
                        "Create {}, or remove the mount from docker-compose.override.yml.",
                        path.display()
                    ),
                });
            }
        }
    }
    problems
}

/// Returns true if the name has an extension. Directories with a dot in their names end in `.d` or
/// start with the dot.
fn looks_like_a_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension != "d")
}

/// Finds services that upstream dropped and only the site's additions still name: their remains
/// would keep running or could not run. The first file of `old` and of `new` is upstream's.
pub async fn left_over(
    compose: &Compose,
    old: &ComposeFiles,
    new: &ComposeFiles,
    resolved: &Resolved,
) -> Result<Vec<Problem>> {
    let upstream = |files: &ComposeFiles| ComposeFiles {
        files: files.files.iter().take(1).cloned().collect(),
        ..files.clone()
    };
    let (old, new) = (upstream(old), upstream(new));
    let (before, after) = tokio::join!(compose.services(&old), compose.services(&new));
    let after: BTreeSet<String> = after?.into_iter().collect();
    let gone = before?.into_iter().filter(|service| !after.contains(service));
    let still = gone.filter(|service| resolved.services.contains_key(service));
    Ok(still
        .map(|service| Problem {
            what: format!(
                "upstream dropped the service {service}, but docker-compose.override.yml still \
                 names it"
            ),
            fix: format!("Remove {service} from docker-compose.override.yml."),
        })
        .collect())
}

/// Finds unhealthy services that the update does not change and that a changed service requires
/// healthy: compose would not start the changed service again.
pub fn health(new: &Resolved, changes: &Changes, containers: &[Container]) -> Vec<Problem> {
    let action = |service: &str| {
        changes.services.iter().find(|one| one.service == service).map(|one| one.action)
    };
    let touched = |service: &str| action(service).is_none_or(|action| action != Action::Keep);
    let changing = new.wanted().map(|(name, _)| name).filter(|name| touched(name));
    let unhealthy = |one: &&Container| one.health == Health::Unhealthy && !touched(&one.service);
    changing
        .flat_map(|service| {
            not_healthy(new, service, containers).filter(unhealthy).map(move |on| Problem {
                what: format!(
                    "{service} requires {} to be healthy, but it is unhealthy",
                    on.service
                ),
                fix: format!("Fix it first: see `docker compose logs {}`.", on.service),
            })
        })
        .collect()
}

/// Finds ports that are in use outside the project. On a remote engine only containers can be
/// checked. `containers` are all containers of the engine.
pub fn ports(engine: &Engine, containers: &[Container], new: &Resolved) -> Vec<Problem> {
    let (mine, others): (Vec<&Container>, Vec<&Container>) = containers
        .iter()
        .partition(|one| one.labels.get(container::label::PROJECT) == Some(&new.project));
    let mut problems = Vec::new();
    for (service, configuration) in new.wanted() {
        for port in &configuration.ports {
            let Some(number) = port.published else { continue };
            let holder = others
                .iter()
                .find(|one| holds(one, port))
                .map(|one| format!("in use by the container {}", one.name));
            let holder = match holder {
                None if engine.endpoint().is_local()
                    && !mine.iter().any(|one| holds(one, port)) =>
                {
                    taken(port)
                }
                found => found,
            };
            if let Some(holder) = holder {
                problems.push(Problem {
                    what: format!(
                        "port {number} of {service} ({}) is not available: {holder}",
                        port.host_ip.as_deref().unwrap_or("all addresses")
                    ),
                    fix: format!(
                        "Free port {number} (`ss -lnp 'sport = :{number}'` shows what uses it), \
                         or set another port for {service} in mailcow.conf."
                    ),
                });
            }
        }
    }
    problems
}

/// Returns true if a container publishes a port that collides with this one.
fn holds(container: &Container, port: &Port) -> bool {
    let collide = |one: &str, other: &str| {
        let all = |address: &str| matches!(address, "" | "0.0.0.0" | "::");
        all(one) || all(other) || one == other
    };
    container.ports.iter().any(|held| {
        Some(held.host_port) == port.published
            && held.protocol == port.protocol
            && collide(&held.host_ip, port.host_ip.as_deref().unwrap_or_default())
    })
}

/// Tries to listen on the port for a moment and says why it cannot. Missing permissions are left
/// to the engine.
fn taken(port: &Port) -> Option<String> {
    let number = port.published?;
    let address = match &port.host_ip {
        Some(text) => text.parse().ok()?,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    // A program that listens on all IPv6 addresses may hold the port for IPv4 too, and vice versa.
    let addresses = match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![address, IpAddr::V6(Ipv6Addr::UNSPECIFIED)],
        address => vec![address],
    };
    let failures = addresses.into_iter().filter_map(|address| match port.protocol.as_str() {
        "udp" => UdpSocket::bind((address, number)).err(),
        _ => TcpListener::bind((address, number)).err(),
    });
    failures.map(|error| error.kind()).find_map(|kind| match kind {
        ErrorKind::AddrInUse => Some("in use by another program".to_owned()),
        ErrorKind::AddrNotAvailable if port.host_ip.is_some() => {
            Some("this machine does not have that address".to_owned())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::stack::change::ServiceChange;
    use crate::stack::container::State;

    fn mail() -> Value {
        json!({"name": "mail", "services": {"db": {"image": "d", "volumes": [
            {"type": "volume", "source": "db-vol", "target": "/var/lib/mysql/"},
            {"type": "bind", "source": "/s/my.cnf", "target": "/my.cnf", "bind": {"create_host_path": true}},
            {"type": "bind", "source": "/s/conf.d", "target": "/conf", "bind": {"create_host_path": true}},
            {"type": "bind", "source": "/s/must", "target": "/must", "bind": {}}]}},
            "volumes": {"db-vol": {"name": "mail_db-vol"}}})
    }

    fn found(edit: impl FnOnce(&mut Value), missing: &[&str]) -> Vec<String> {
        let read = |value: &Value| Resolved::parse(&value.to_string(), "").unwrap();
        let mut new = mail();
        edit(&mut new);
        let exists = |path: &Path| !missing.iter().any(|missing| path == Path::new(missing));
        problems(&read(&mail()), &read(&new), &exists)
            .into_iter()
            .map(|problem| problem.what)
            .collect()
    }

    #[test]
    fn names_that_would_leave_data_behind_are_found_once() {
        assert!(found(|_| {}, &[]).is_empty());
        let renamed = found(
            |new| {
                new["name"] = json!("x");
                new["volumes"]["db-vol"]["name"] = json!("x_db-vol");
            },
            &[],
        );
        assert_eq!(renamed.len(), 1);
        assert!(
            renamed[0].starts_with("the compose project would be renamed from mail to x"),
            "{renamed:?}"
        );
        let volume = found(|new| new["volumes"]["db-vol"]["name"] = json!("mail_db2"), &[]);
        assert_eq!(
            volume,
            ["db would mount mail_db2 at /var/lib/mysql/ instead of the volume mail_db-vol, \
                 without its data"]
        );
        let bind = found(
            |new| {
                new["services"]["db"]["volumes"][0] =
                    json!({"type": "bind", "source": "/d", "target": "/var/lib/mysql"});
            },
            &["/x"],
        );
        assert!(bind[0].starts_with("db would mount /d at /var/lib/mysql/"), "{bind:?}");
    }

    #[test]
    fn containers_of_this_folder_under_another_project_are_found() {
        let old = Resolved::parse(&mail().to_string(), "").unwrap();
        let container = |project: &str, service: &str, folder: &str| {
            let labels =
                [(container::label::PROJECT, project), (container::label::WORKING_DIR, folder)];
            let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            Container { service: service.to_owned(), labels, ..Container::default() }
        };
        let found =
            |containers: &[Container]| elsewhere(&old, containers, Path::new("/opt/my-mail_1"));
        let other = found(&[container("mymail1", "db", "/opt/my-mail_1")]).unwrap();
        assert!(other.fix.contains("COMPOSE_PROJECT_NAME=mymail1 "), "{other:?}");
        assert!(
            found(&[container("mymail1", "db", "")]).is_some(),
            "compose 1 recorded no directory"
        );
        for harmless in [
            container("mymail1", "db", "/srv/my-mail_1"),
            container("other", "db", ""),
            container("mymail1", "shop", "/opt/my-mail_1"),
        ] {
            assert_eq!(found(std::slice::from_ref(&harmless)), None, "{harmless:?}");
        }
        let own = container("mail", "db", "/opt/my-mail_1");
        assert_eq!(
            found(&[own, container("mymail1", "db", "/opt/my-mail_1")]),
            None,
            "the project has its containers"
        );
    }

    #[test]
    fn missing_paths_are_found_where_the_engine_would_not_do_the_right_thing() {
        assert_eq!(found(|_| {}, &["/s/my.cnf"]), ["db mounts /s/my.cnf, which does not exist"]);
        assert_eq!(found(|_| {}, &["/s/must"]).len(), 1);
        assert!(found(|_| {}, &["/s/conf.d"]).is_empty());
    }

    #[test]
    fn a_port_that_is_listened_on_is_taken() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let published = Some(listener.local_addr().unwrap().port());
        let port = Port {
            host_ip: Some("127.0.0.1".to_owned()),
            published,
            protocol: "tcp".to_owned(),
            ..Port::default()
        };
        assert_eq!(taken(&port).as_deref(), Some("in use by another program"));
        drop(listener);
        assert_eq!(taken(&port), None);
        let elsewhere = Port { host_ip: Some("192.0.2.1".to_owned()), ..port };
        assert!(taken(&elsewhere).unwrap().starts_with("this machine"));
    }

    #[test]
    fn what_has_to_be_healthy_first_is_found() {
        let config = json!({"name": "p", "services": {"dns": {"image": "d"}, "mail": {"image": "m",
            "depends_on": {"dns": {"condition": "service_healthy"}}}}});
        let new = Resolved::parse(&config.to_string(), "").unwrap();
        let found = |dns: Action, mail: Action, health: Health| {
            let change = |service: &str, action| ServiceChange {
                service: service.to_owned(),
                action,
                reasons: vec![],
                stops_first: false,
            };
            let changes =
                Changes { services: vec![change("dns", dns), change("mail", mail)], down: vec![] };
            let (service, state) = ("dns".to_owned(), State::Running);
            super::health(
                &new,
                &changes,
                &[Container { service, state, health, ..Container::default() }],
            )
            .len()
        };
        assert_eq!(found(Action::Keep, Action::Recreate, Health::Unhealthy), 1);
        assert_eq!(found(Action::Keep, Action::Keep, Health::Unhealthy), 0);
        assert_eq!(
            found(Action::Recreate, Action::Recreate, Health::Unhealthy),
            0,
            "the update may fix it"
        );
        assert_eq!(found(Action::Keep, Action::Recreate, Health::Starting), 0);
    }

    #[test]
    fn all_problems_are_in_one_refusal() {
        let problem = |text: &str| Problem { what: text.to_owned(), fix: format!("fix {text}") };
        let error = refusal(vec![problem("a"), problem("b")]).unwrap();
        assert_eq!((error.causes().len(), error.hints().len()), (2, 2));
        assert!(refusal(Vec::new()).is_none());
    }
}
