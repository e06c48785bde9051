//! Containers that a compose which was cut short left half made, under a name for the meantime: named as they should be, or taken away.

use crate::error::Result;
use crate::event::Events;
use crate::stack::container::{Container, State, label};
use crate::stack::engine::Engine;

/// How many digits of the old container's id stand before the new one's name.
const DIGITS: usize = 12;

/// What is to be done with a container that is half made.
#[derive(Debug, PartialEq, Eq)]
enum Mend<'a> {
    /// Its predecessor is gone: it takes over the name.
    Name(&'a str),
    /// Its predecessor is still there, and it never ran.
    Away,
}

/// Mends what is half made of the project.
pub(super) async fn mend(engine: &Engine, project: &str, events: &Events) -> Result<()> {
    let containers = engine.containers(project).await?;
    for container in &containers {
        match how(container, &containers, project) {
            Some(Mend::Name(name)) => engine.rename(&container.id, name).await?,
            Some(Mend::Away) => engine.remove(container).await?,
            None => continue,
        }
        events.info(format!(
            "{}: a container that was left half made is put in order",
            container.service
        ));
    }
    Ok(())
}

/// Compose names a container that shall replace another `ID_NAME` until the other is gone.
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
