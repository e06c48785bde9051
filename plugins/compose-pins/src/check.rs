//! Whether a compose file holds together: everything that is named is there.

use crate::document::Document;
use crate::yaml::{Node, Value};

/// What is named and not there.
pub fn missing(document: &Document) -> Vec<String> {
    let parts = |key: &str| {
        let entry = document.find(&[key]);
        entry.map(|entry| entry.node.entries().iter().map(|entry| entry.key.as_str()).collect()).unwrap_or_default()
    };
    let (services, volumes, networks): (Vec<&str>, Vec<&str>, Vec<&str>) =
        (parts("services"), parts("volumes"), parts("networks"));
    let mut gone = Vec::new();
    for service in document.find(&["services"]).map(|entry| entry.node.entries()).unwrap_or_default() {
        let named = |key: &str| service.node.get(key).map(|entry| keys(&entry.node)).unwrap_or_default();
        let mut lacks = |kind: &str, known: &[&str], name: &str| {
            if !known.contains(&name) {
                gone.push(format!("the service {} names the {kind} {name}", service.key));
            }
        };
        for name in named("depends_on") {
            lacks("service", &services, &name);
        }
        for name in named("networks").iter().filter(|name| *name != "default") {
            lacks("network", &networks, name);
        }
        let mounts = service.node.get("volumes").map(|entry| entry.node.items()).unwrap_or_default();
        for name in mounts.iter().filter_map(|mount| volume(&mount.node)) {
            lacks("volume", &volumes, name);
        }
    }
    if services.is_empty() {
        gone.push("there are no services".to_owned());
    }
    gone
}

/// The keys of a map or the items of a list.
pub fn keys(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        Value::List(items) => items.iter().filter_map(|item| item.node.scalar()).map(str::to_owned).collect(),
        Value::Text(_) => Vec::new(),
    }
}

/// The named volume of a mount.
fn volume(mount: &Node) -> Option<&str> {
    if let Some(source) = mount.get("source") {
        let kind = mount.get("type").and_then(|entry| entry.node.scalar());
        return source.node.scalar().filter(|_| kind == Some("volume"));
    }
    let (source, _) = mount.scalar()?.split_once(':')?;
    (!source.starts_with(['.', '/', '~', '$'])).then_some(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let text = "\
services:
  a:
    depends_on:
      b:
        condition: service_started
      gone: {}
    volumes:
      - data:/data
      - ./own:/own
      - lost:/lost
    networks:
      - default
      - net
  b:
    networks:
      other:
volumes:
  data:
networks:
  net:
";
        let told = [
            "the service a names the service gone",
            "the service a names the volume lost",
            "the service b names the network other",
        ];
        assert_eq!(missing(&Document::read(text).unwrap()), told);
        assert_eq!(missing(&Document::read("a: 1\n").unwrap()), ["there are no services"]);
    }
}
