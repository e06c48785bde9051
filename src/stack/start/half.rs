//! Repairs containers that an interrupted compose left under a temporary name: renames or removes
//! them.

use crate::error::Result;
use crate::event::Events;
use crate::stack::container::{Container, State, label};
use crate::stack::engine::Engine;

/// The number of digits of the old container's id that precede the new one's name.
const DIGITS: usize = 12;

/// The repair of a half-created container.
#[derive(Debug, PartialEq, Eq)]
enum Mend<'a> {
    /// Give it the name of its predecessor, which is gone.
    Name(&'a str),
    /// Remove it: its predecessor still exists, and it never ran.
    Away,
}

/// Repairs the project's half-created containers.
pub(super) async fn mend(engine: &Engine, project: &str, events: &Events) -> Result<()> {
    let containers = engine.containers(project).await?;
    for container in &containers {
        match how(container, &containers, project) {
            Some(Mend::Name(name)) => engine.rename(&container.id, name).await?,
            Some(Mend::Away) => engine.remove(container).await?,
            None => continue,
        }
        events.info(format!(
            "{}: repaired a container that an interrupted compose left half-created",
            container.service
        ));
    }
    Ok(())
}

/// Returns the repair that a container needs. Compose names a replacement `ID_NAME` until the old
/// container is gone.
fn how<'a>(container: &'a Container, all: &[Container], project: &str) -> Option<Mend<'a>> {
    let (id, name) = container.name.split_once('_')?;
    let is_id = id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let in_the_meantime = is_id && container.labels.contains_key(label::REPLACE);
    if !in_the_meantime || container.name.starts_with(&format!("{project}-")) {
        return None;
    }
    match all.iter().any(|other| other.name == name) {
        false => Some(Mend::Name(name)),
        true if container.state == State::Created => Some(Mend::Away),
        true => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_the_meantime_are_known() {
        let container = |name: &str, state: State| Container {
            name: name.to_owned(),
            state,
            labels: [(label::REPLACE.to_owned(), "x".to_owned())].into(),
            ..Container::default()
        };
        let old = container("mail-redis-1", State::Running);
        let half = container("0123456789ab_mail-redis-1", State::Created);
        assert_eq!(how(&half, &[half.clone(), old.clone()], "mail"), Some(Mend::Away));
        assert_eq!(
            how(&half, std::slice::from_ref(&half), "mail"),
            Some(Mend::Name("mail-redis-1"))
        );
        assert_eq!(how(&old, &[half, old.clone()], "mail"), None);
        let of_a_project = container("0123456789ab_x-redis-1", State::Created);
        assert_eq!(how(&of_a_project, &[], "0123456789ab_x"), None);
        let by_hand =
            Container { labels: [].into(), ..container("0123456789ab_own", State::Running) };
        assert_eq!(how(&by_hand, &[], "mail"), None);
    }
}
