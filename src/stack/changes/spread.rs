//! Spreads the change of a service to those that share its network or mounts, or that ask to be
//! restarted with it.

use std::collections::BTreeMap;

use super::{Action, ReasonKind, ServiceChange, reason};
use crate::stack::resolved::{Resolved, Service};

/// Raises the action of dependents until nothing is left to raise.
pub(super) fn to_dependents(new: &Resolved, changes: &mut BTreeMap<&str, ServiceChange>) {
    while let Some((service, action, because)) = next(new, changes) {
        let Some(change) = changes.get_mut(service.as_str()) else { return };
        change.action = action;
        change.reasons.push(reason(ReasonKind::Dependency, because));
    }
}

/// Returns a dependent whose action is too weak, with the action that it needs and the reason.
fn next(
    new: &Resolved,
    changes: &BTreeMap<&str, ServiceChange>,
) -> Option<(String, Action, String)> {
    let action = |name: &str| changes.get(name).map_or(Action::Keep, |change| change.action);
    for (name, service) in new.wanted() {
        let has = action(name);
        if matches!(has, Action::Recreate | Action::Create) {
            continue;
        }
        for (other, needed, why) in needs(service, &action) {
            if needed > has {
                return Some((name.to_owned(), needed, format!("{why} {other}")));
            }
        }
    }
    None
}

/// Returns the actions that other services' changes require of a service.
fn needs<'a>(
    service: &'a Service,
    action: &impl Fn(&str) -> Action,
) -> Vec<(&'a str, Action, &'static str)> {
    let is_new = |name: &str| matches!(action(name), Action::Recreate | Action::Create);
    let mut needs = Vec::new();
    for other in service.shares_with() {
        let network = service.network_of() == Some(other);
        if is_new(other) {
            needs.push((
                other,
                Action::Recreate,
                if network { "it is in the network of" } else { "it shares with" },
            ));
        } else if network && action(other) == Action::Restart {
            needs.push((other, Action::Restart, "it is in the network of"));
        }
    }
    for (other, dependency) in &service.depends_on {
        if dependency.restart && (is_new(other) || action(other) == Action::Restart) {
            needs.push((other, Action::Restart, "it asks to be restarted with"));
        }
    }
    needs
}
