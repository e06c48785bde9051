//! A plugin as it is shown: for programs, and for people.

use serde_json::{Value, json};

use crate::error::Error;
use crate::plugin::spec::{Grant, Hook, Spec};
use crate::plugin::{Allowed, Approved, Examined, Inspection, Request, Standing, Trust};
use crate::printable;

/// All that is known of a plugin, for programs.
pub fn data(found: &Examined, trust: &Trust) -> Value {
    let standing = trust.standing(found);
    let lacking = found.lacking.iter().map(|(what, line)| json!({ "request": what, "line": line }));
    let mut data = json!({
        "name": found.spec.name, "source": found.spec.source, "standing": standing.name(), "reasons": reasons(&standing),
        "granted": granted(&found.spec.grant), "effective": allowed(&found.allowed), "lacking": lacking.collect::<Vec<_>>(),
        "idle": found.idle, "monitor": found.spec.monitor,
        "approved": trust.approved(found).map(approval),
    });
    if let (Some(data), Value::Object(inspected)) = (data.as_object_mut(), json!(found.inspection))
    {
        data.extend(inspected);
    }
    data
}

/// A plugin that cannot be used, for programs.
pub fn broken(spec: &Spec, error: &Error) -> Value {
    json!({ "name": spec.name, "source": spec.source, "standing": "unusable", "problem": error.summary(), "hints": error.hints() })
}

fn approval(approved: &Approved) -> Value {
    json!({
        "by": approved.approved_by, "at": approved.approved_at, "digest": approved.digest, "effective": allowed(&approved.grant),
        "manifest": approved.manifest, "signed": approved.signature.is_some(),
    })
}

fn allowed(may: &Allowed) -> Value {
    let Allowed { read, install, http, env, memory, time } = may;
    json!({
        "read": read, "install": install, "http": http, "env": env, "memory": memory,
        "time_ms": u64::try_from(time.as_millis()).unwrap_or_default(),
    })
}

fn granted(grant: &Grant) -> Value {
    let Grant { read, install, http, env, memory, time } = grant;
    json!({
        "read": read, "install": install, "http": http, "env": env, "memory": memory.as_u64(),
        "time_ms": u64::try_from(time.as_millis()).unwrap_or_default(),
    })
}

fn reasons(standing: &Standing) -> &[String] {
    match standing {
        Standing::Unapproved(reasons) => reasons,
        _ => &[],
    }
}

/// A plugin in a few lines: how it stands, and what it may do outside of its sandbox.
pub fn short(found: &Examined, trust: &Trust) -> Vec<String> {
    let standing = trust.standing(found);
    let mut about =
        vec![found.spec.source.clone(), hooks(&found.inspection.hooks), standing.name().to_owned()];
    about.extend(found.spec.monitor.then(|| "only monitored".to_owned()));
    let mut lines = vec![format!("{}  ({})", found.spec.name, about.join("; "))];
    lines.extend(may(&found.allowed));
    lines.extend(reasons(&standing).iter().map(|reason| format!("  {reason}")));
    lines
}

/// Lines for what leads out of the sandbox.
fn may(allowed: &Allowed) -> Vec<String> {
    let key = |wanted: &str| {
        let values: Vec<&str> =
            allowed.reaches().filter(|(key, _)| *key == wanted).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| format!("  may {wanted}: {}", values.join(", ")))
    };
    ["read", "install", "http", "env"].into_iter().filter_map(key).collect()
}

/// Returns the lines on a component.
pub fn inspected(found: &Inspection) -> Vec<String> {
    let size = bytesize::ByteSize::b(found.size as u64);
    let mut lines = vec![
        format!("  hooks    {} (version {})", hooks(&found.hooks), found.version),
        format!("  size     {size}"),
        format!("  digest   {}", found.digest),
    ];
    lines.extend(requests(&found.requests));
    lines
}

/// Returns the line on its imports.
pub fn imports(found: &Inspection) -> String {
    let imports =
        if found.imports.is_empty() { "nothing".to_owned() } else { found.imports.join(", ") };
    format!("  imports  {}", printable::escaped(&imports))
}

/// Everything: requested, granted, effective, approved.
pub fn long(found: &Examined, trust: &Trust) -> Vec<String> {
    let standing = trust.standing(found);
    let mut lines = vec![format!("{}  ({})", found.spec.name, found.spec.source)];
    lines.extend(inspected(&found.inspection));
    lines.push(format!("  status   {}{}", standing.name(), by(trust.approved(found))));
    lines.extend(reasons(&standing).iter().map(|reason| format!("           {reason}")));
    lines.extend(
        found
            .spec
            .monitor
            .then(|| "  monitor  its answers are recorded and have no effect".to_owned()),
    );
    lines.extend(effective(&found.allowed));
    lines.extend(
        found.idle.iter().map(|grant| format!("  granted without effect (not requested): {grant}")),
    );
    for (request, line) in &found.lacking {
        lines.push(format!("  requested, not granted: {request}"));
        lines.extend(line.lines().map(|line| format!("    {line}")));
    }
    lines
}

/// Returns the lines on its permissions, with memory and time.
pub fn effective(allowed: &Allowed) -> Vec<String> {
    let mut lines = may(allowed);
    if lines.is_empty() {
        lines.push("  no permissions outside of its sandbox".to_owned());
    }
    let memory = crate::plugin::shown_bytes(allowed.memory);
    lines.push(format!("  limits: {memory} of memory, {:#} per call", allowed.time));
    lines
}

fn by(approved: Option<&Approved>) -> String {
    approved
        .map(|approved| format!(" (by {} on {})", approved.approved_by, approved.approved_at))
        .unwrap_or_default()
}

pub fn hooks(hooks: &[Hook]) -> String {
    hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>().join(", ")
}

fn requests(requests: &[Request]) -> Vec<String> {
    if requests.is_empty() {
        return vec!["  requests nothing".to_owned()];
    }
    let line = |request: &Request| {
        format!("  requests {} {}: {}", request.capability.key(), request.value, request.reason)
    };
    requests.iter().map(line).collect()
}
