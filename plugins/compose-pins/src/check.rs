//! Checks that a compose file is complete: everything that its services refer to exists.

use std::fmt;

use crate::document::Document;
use crate::yaml::{Node, Value};

/// A reference of a service to something that the file does not define.
#[derive(Clone, Debug)]
pub struct Lack {
    service: String,
    /// The kind of the missing part.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Lack {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "service {} refers to {} {}", self.service, self.kind, self.name)
    }
}

/// The parts of a compose file that services refer to: the kind and its key.
const PARTS: [(&str, &str); 5] = [
    ("service", "services"),
    ("network", "networks"),
    ("volume", "volumes"),
    ("secret", "secrets"),
    ("config", "configs"),
];

/// Returns the references to what the file does not define.
pub fn missing(document: &Document) -> Vec<Lack> {
    let part = |key: &str| document.find(&[key]).map(|entry| keys(&entry.node)).unwrap_or_default();
    let known = PARTS.map(|(kind, key)| (kind, part(key)));
    let is_known = |kind: &str, name: &String| {
        known.iter().any(|(of, names)| *of == kind && names.contains(name))
    };
    let mut lacks = Vec::new();
    for service in
        document.find(&["services"]).map(|entry| entry.node.read().entries()).unwrap_or_default()
    {
        let named = references(service.node.read()).into_iter();
        let gone = named.filter(|(kind, name)| !name.contains('$') && !is_known(kind, name));
        lacks.extend(gone.map(|(kind, name)| Lack { service: service.key.clone(), kind, name }));
    }
    lacks
}

/// Returns the services that have neither an image nor a build, an `extends` or a merge key.
pub fn without_image(document: &Document) -> Vec<&str> {
    let services =
        document.find(&["services"]).map(|entry| entry.node.read().entries()).unwrap_or_default();
    let runs =
        |node: &Node| ["image", "build", "extends", "<<"].iter().any(|key| node.get(key).is_some());
    let is_alias = |node: &Node| node.scalar().is_some_and(|text| text.starts_with('*'));
    let idle = services.iter().filter(|entry| !runs(entry.node.read()) && !is_alias(&entry.node));
    idle.map(|entry| entry.key.as_str()).collect()
}

/// Returns everything that a service refers to, as kind and name.
fn references(service: &Node) -> Vec<(&'static str, String)> {
    let value = |key: &str| service.get(key).map(|entry| entry.node.read());
    let named = |key: &str| value(key).map(keys).unwrap_or_default();
    let first = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    let mut all: Vec<(&str, String)> =
        named("depends_on").into_iter().map(|name| ("service", name)).collect();
    all.extend(named("links").iter().map(|link| ("service", first(link))));
    let from = named("volumes_from");
    all.extend(
        from.iter()
            .filter(|from| !from.starts_with("container:"))
            .map(|from| ("service", first(from))),
    );
    for key in ["network_mode", "ipc", "pid"] {
        let other =
            value(key).and_then(Node::scalar).and_then(|mode| mode.strip_prefix("service:"));
        all.extend(other.map(|name| ("service", name.to_owned())));
    }
    let networks = named("networks").into_iter().filter(|name| name != "default");
    all.extend(networks.map(|name| ("network", name)));
    let mounts = value("volumes").map(Node::items).unwrap_or_default();
    all.extend(
        mounts
            .iter()
            .filter_map(|mount| volume(mount.node.read()))
            .map(|name| ("volume", name.to_owned())),
    );
    for (kind, key) in [("secret", "secrets"), ("config", "configs")] {
        for item in value(key).map(Node::items).unwrap_or_default() {
            let node = item.node.read();
            let source = node.get("source").and_then(|entry| entry.node.scalar()).or(node.scalar());
            all.extend(source.map(|name| (kind, name.to_owned())));
        }
    }
    all
}

/// Returns the keys of a map or the items of a list, in block or flow style.
pub fn keys(node: &Node) -> Vec<String> {
    let node = node.read();
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        Value::List(items) => {
            items.iter().filter_map(|item| item.node.scalar()).map(str::to_owned).collect()
        }
        Value::Text(_) | Value::Flow(_) => Vec::new(),
    }
}

/// Returns the named volume of a mount. `None` for a bind mount.
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
    fn missing_parts_are_found() {
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
        let expected = [
            "service a refers to service gone",
            "service a refers to volume lost",
            "service b refers to network other",
        ];
        assert_eq!(lacks(text), expected);
        assert_eq!(without_image(&Document::read(text).unwrap()), ["a", "b"]);
    }

    #[test]
    fn references_in_flow_style_are_found() {
        let text = "\
services:
  a:
    image: a
    depends_on: [b, gone]
    networks: {net: {}, other: {}}
    volumes: [\"data:/data\", {type: volume, source: lost, target: /lost}, \"./x:/x\"]
  b: {image: b, depends_on: {gone: {condition: service_started}}}
volumes: {data: {}}
networks: {net: {}}
";
        let expected = [
            "service a refers to service gone",
            "service a refers to network other",
            "service a refers to volume lost",
            "service b refers to service gone",
        ];
        assert_eq!(lacks(text), expected);
        assert_eq!(without_image(&Document::read(text).unwrap()), [""; 0]);
    }

    #[test]
    fn other_kinds_of_references_are_found() {
        for named in [
            "links: [\"gone:alias\"]",
            "network_mode: service:gone",
            "volumes_from: [gone:ro]",
            "pid: \"service:gone\"",
        ] {
            assert_eq!(
                lacks(&format!("services:\n  a:\n    {named}\n")),
                ["service a refers to service gone"]
            );
        }
        let own = "services:\n  a:\n    secrets: [gone]\n    \
                   configs:\n      - source: gone\n      - ${ANY}\n";
        assert_eq!(
            lacks(own),
            ["service a refers to secret gone", "service a refers to config gone"]
        );
    }

    fn lacks(text: &str) -> Vec<String> {
        missing(&Document::read(text).unwrap()).iter().map(Lack::to_string).collect()
    }
}
