//! Checks that the definitions of released versions of the contract stay frozen, and that
//! `docs/hooks.md` matches the newest one.
//!
//! After an intended change: `COWHAND_SNAPSHOTS=write cargo test --features testing --test
//! host_plugins contract`, then read the difference.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::wit::{self, Container, Item};

const WHAT_TO_DO: &str = "Components built against it are in use. Within a version, add new data \
    as a new function in an interface that plugins import, and a new hook as a new interface. \
    Any other change needs a new directory under wit/ (docs/plugins.md, Versions).";

/// Returns every definition of a version, one line each, in the order of the text.
fn definitions(text: &str) -> Vec<String> {
    let line = |container: &Container, item: &Item| {
        let (sort, name) = (&container.sort, &container.name);
        // A resource may get new methods, as an interface may get new functions.
        if item.head.starts_with("resource ") {
            let method =
                |(part, _): &(String, String)| format!("{sort} {name}: {}.{part}", item.head);
            return item.parts.iter().map(method).collect();
        }
        vec![format!("{sort} {name}: {}", item.line())]
    };
    let all = wit::parse(text);
    all.iter()
        .flat_map(|container| container.items.iter().flat_map(|item| line(container, item)))
        .collect()
}

/// Returns the ways in which a text breaks the frozen definitions.
fn broken(frozen: &[String], text: &str) -> Vec<String> {
    let now = definitions(text);
    let gone = frozen
        .iter()
        .filter(|line| !now.contains(line))
        .map(|line| format!("removed or changed: {line}"));
    let containers: Vec<&str> =
        frozen.iter().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    let hooks: Vec<&str> = frozen
        .iter()
        .filter_map(|line| line.strip_prefix("world ")?.split_once(": export "))
        .map(|(_, hook)| hook)
        .collect();
    let wrong = |line: &&String| {
        let (container, item) = line.split_once(": ").unwrap();
        let hook = container.strip_prefix("interface ").is_some_and(|name| hooks.contains(&name));
        let world = container.starts_with("world ") && !item.starts_with("import ");
        !frozen.contains(line) && containers.contains(&container) && (hook || world)
    };
    let added =
        now.iter().filter(wrong).map(|line| format!("added to what plugins export: {line}"));
    gone.chain(added).collect()
}

fn frozen_file(version: &Path) -> PathBuf {
    let name = version.file_name().unwrap().to_str().unwrap();
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/wit-{name}.txt"))
}

fn writing() -> bool {
    std::env::var("COWHAND_SNAPSHOTS").is_ok_and(|what| what == "write")
}

fn frozen(version: &Path) -> Vec<String> {
    let lines = std::fs::read_to_string(frozen_file(version)).unwrap_or_default();
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn the_definitions_of_a_version_are_frozen() {
    for version in wit::versions() {
        let (text, frozen) = (wit::text(&version), frozen(&version));
        let broken = broken(&frozen, &text);
        assert!(broken.is_empty(), "{}:\n{}\n{WHAT_TO_DO}", version.display(), broken.join("\n"));
        let new: Vec<String> =
            definitions(&text).into_iter().filter(|line| !frozen.contains(line)).collect();
        if writing() {
            std::fs::write(frozen_file(&version), [frozen, new].concat().join("\n") + "\n")
                .unwrap();
        } else {
            assert!(
                new.is_empty(),
                "not yet in {}:\n{}",
                frozen_file(&version).display(),
                new.join("\n")
            );
        }
    }
}

#[test]
fn allowed_additions_do_not_count_as_breakage() {
    let version = wit::versions().remove(0);
    let (text, frozen) = (wit::text(&version), frozen(&version));
    let breaks = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        !broken(&frozen, &text.replacen(from, to, 1)).is_empty()
    };
    assert!(breaks("    kind: kind,\n", "    kind: kind,\n    more: string,\n"), "an added field");
    assert!(breaks("    remove,\n", ""), "a removed case");
    assert!(breaks("size: func() -> u64", "size: func() -> u32"), "another type");
    assert!(
        breaks("  check: func(update", "  more: func();\n  check: func(update"),
        "a function that old plugins lack"
    );
    assert!(
        breaks("  export observer;\n", "  export observer;\n  export pre-merge;\n"),
        "a world that requires more"
    );
    assert!(
        !breaks("  write: func(level", "  flush: func();\n  write: func(level"),
        "a function to import"
    );
    assert!(
        !breaks("    size: func", "    digest: func() -> string;\n    size: func"),
        "a method to import"
    );
    assert!(
        !breaks(
            "interface observer {",
            "interface more {\n  ask: func();\n}\ninterface observer {"
        ),
        "a new hook"
    );
    assert!(!breaks("/// Called once", "/// Called one time"), "a comment");
}

#[test]
fn the_reference_matches_the_contract() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/hooks.md");
    let newest = wit::versions().pop().unwrap();
    let made = reference(&newest);
    if writing() {
        std::fs::write(&file, &made).unwrap();
    }
    let is = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        is == made,
        "docs/hooks.md does not match wit/. Run: COWHAND_SNAPSHOTS=write cargo test --features \
         testing --test host_plugins contract"
    );
}

/// Renders the contract as a page: the hooks first, then the interfaces that they share and import.
fn reference(version: &Path) -> String {
    let (text, name) = (wit::text(version), version.file_name().unwrap().to_str().unwrap());
    let all = wit::parse(&text);
    let exported = |container: &Container| {
        let line = format!("export {}", container.name);
        all.iter()
            .any(|world| world.sort == "world" && world.items.iter().any(|item| item.head == line))
    };
    let mut page = format!(
        "# The hooks, {name}\n\nGenerated from [`wit/{name}`](../wit/{name}) by\n\
         `COWHAND_SNAPSHOTS=write cargo test --features testing --test host_plugins contract`.\n\
         To write a plugin, see [plugins.md](plugins.md).\n"
    );
    let package = wit::package_docs(&text);
    let _ = write!(page, "\n{package}\n");
    let order = ["pre-merge", "conflict-resolver", "post-pull", "pre-prune", "observer"];
    let mut containers: Vec<&Container> =
        all.iter().filter(|container| container.sort == "interface").collect();
    containers.sort_by_key(|container| {
        order.iter().position(|hook| *hook == container.name).unwrap_or(order.len())
    });
    for container in containers {
        let sort = if exported(container) { "hook" } else { "to import" };
        let _ = write!(page, "\n## `{}` ({sort})\n\n{}\n", container.name, container.docs);
        // Functions come first.
        let (functions, types): (Vec<&Item>, Vec<&Item>) =
            container.items.iter().partition(|item| item.head.contains(": func"));
        for item in functions.into_iter().chain(types).filter(|item| !item.head.starts_with("use "))
        {
            describe(&mut page, item);
        }
    }
    page
}

fn describe(page: &mut String, item: &Item) {
    let _ = write!(page, "\n**`{}`**\n\n{}\n", item.head, item.docs);
    if !item.parts.is_empty() {
        page.push('\n');
    }
    for (part, docs) in &item.parts {
        let _ = writeln!(page, "- `{part}`: {}", docs.replace('\n', " "));
    }
}
