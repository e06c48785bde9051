//! The files of a new project: the common ones, and those for each language and hook.

use super::Language;
use crate::plugin::spec::Hook;

/// A file's path in the project, and its text.
pub(super) type File = (String, String);

/// Includes the template for a hook.
macro_rules! for_hook {
    ($hook:expr, $before:literal, $after:literal) => {
        match $hook {
            Hook::PreMerge => include_str!(concat!("templates/", $before, "pre-merge", $after)),
            Hook::ConflictResolver => {
                include_str!(concat!("templates/", $before, "conflict-resolver", $after))
            }
            Hook::PostPull => include_str!(concat!("templates/", $before, "post-pull", $after)),
            Hook::PrePrune => include_str!(concat!("templates/", $before, "pre-prune", $after)),
            Hook::Observer => include_str!(concat!("templates/", $before, "observer", $after)),
        }
    };
}

/// Includes the contract's files with their names.
macro_rules! contract {
    ($($name:literal),+) => {
        [$(($name, include_str!(concat!("../../wit/v0.1/", $name)))),+]
    };
}

const CONTRACT: [(&str, &str); 8] = contract![
    "conflict-resolver.wit",
    "imports.wit",
    "observer.wit",
    "package.wit",
    "post-pull.wit",
    "pre-merge.wit",
    "pre-prune.wit",
    "types.wit"
];

/// Returns every file of the project.
pub(super) fn files(name: &str, language: Language, hooks: &[Hook]) -> Vec<File> {
    let own = match language {
        Language::Rust => rust(hooks),
        Language::Python => python(hooks),
        Language::Javascript => javascript(hooks),
    };
    let component =
        if language == Language::Rust { snake(name) } else { name.to_owned() } + ".wasm";
    let named = |(path, text): File| {
        (path, text.replace("{{name}}", name).replace("{{component}}", &component))
    };
    own.into_iter().chain(common(language, hooks)).map(named).collect()
}

/// Returns the commands that build and test it, one per line.
pub(super) fn commands(language: Language) -> &'static str {
    let commands = match language {
        Language::Rust => include_str!("templates/rust/commands.txt"),
        Language::Python => include_str!("templates/python/commands.txt"),
        Language::Javascript => include_str!("templates/javascript/commands.txt"),
    };
    commands.trim_end()
}

fn file(path: &str, text: &str) -> File {
    (path.to_owned(), text.to_owned())
}

fn common(language: Language, hooks: &[Hook]) -> Vec<File> {
    let names = listed(hooks, ", ", |hook| hook.name().to_owned());
    let readme = include_str!("templates/README.md").replace("{{hooks}}", &names);
    let ignored = match language {
        Language::Rust => "/target\n",
        Language::Python => "/*.wasm\n/.venv\n__pycache__\n",
        Language::Javascript => "/*.wasm\n/node_modules\n",
    };
    let includes = listed(hooks, "", |hook| {
        format!("  include cowhand:hooks/{}-plugin@0.1.0;\n", hook.name())
    });
    let world = format!(
        "package my:plugin;\n\n/// The hooks that this plugin implements.\n\
         world plugin {{\n{includes}}}\n"
    );
    let mut files = vec![
        file("README.md", &readme.replace("{{commands}}", commands(language))),
        file(".gitignore", ignored),
        file("requests.json", "[]\n"),
        file("wit/plugin.wit", &world),
    ];
    files
        .extend(CONTRACT.map(|(name, text)| file(&format!("wit/deps/cowhand-hooks/{name}"), text)));
    files.extend(hooks.iter().flat_map(|hook| case(*hook)));
    files
}

/// Returns the files of a case that the new plugin passes.
fn case(hook: Hook) -> Vec<File> {
    let at = |name: &str| format!("cases/{}/{name}", hook.name());
    let mut files = vec![(at("case.toml"), for_hook!(hook, "cases/", ".toml").to_owned())];
    match hook {
        Hook::ConflictResolver => {
            let sides = [("base", 600), ("ours", 1200), ("theirs", 900)];
            files.extend(sides.map(|(side, value)| {
                (at(side), format!("WOPort = 20000;\nSOGoMaximumPingInterval = {value};\n"))
            }));
        }
        Hook::Observer => files
            .push((at("events.jsonl"), include_str!("templates/cases/events.jsonl").to_owned())),
        _ => {}
    }
    files
}

/// Returns the configuration key of a hook's example rule. `None` if it has none.
fn key(hook: Hook) -> Option<&'static str> {
    match hook {
        Hook::PreMerge => Some("hold-words"),
        Hook::ConflictResolver => Some("ours"),
        Hook::PostPull => Some("refuse"),
        Hook::PrePrune => Some("keep"),
        Hook::Observer => None,
    }
}

fn keys(hooks: &[Hook]) -> Vec<&'static str> {
    hooks.iter().filter_map(|hook| key(*hook)).collect()
}

fn listed(hooks: &[Hook], between: &str, one: impl Fn(Hook) -> String) -> String {
    hooks.iter().map(|hook| one(*hook)).collect::<Vec<_>>().join(between)
}

/// Converts a name such as `pre-merge` to an identifier in Rust and Python.
fn snake(text: &str) -> String {
    text.replace('-', "_")
}

fn rust(hooks: &[Hook]) -> Vec<File> {
    let modules = listed(hooks, "", |hook| format!("mod {};\n", snake(hook.name())));
    let fields: String =
        keys(hooks).iter().map(|key| format!("    pub {}: Vec<String>,\n", snake(key))).collect();
    let fields = if fields.is_empty() { fields } else { format!("\n{fields}") };
    let mut files = vec![
        file("Cargo.toml", include_str!("templates/rust/Cargo.toml")),
        file("src/lib.rs", &include_str!("templates/rust/lib.rs").replace("{{modules}}", &modules)),
        file(
            "src/settings.rs",
            &include_str!("templates/rust/settings.rs").replace("{{fields}}", &fields),
        ),
    ];
    files.extend(hooks.iter().map(|hook| {
        (format!("src/{}.rs", snake(hook.name())), for_hook!(hook, "rust/", ".rs").to_owned())
    }));
    files
}

fn python(hooks: &[Hook]) -> Vec<File> {
    let rules = |hook: Hook| format!("rules_{}", snake(hook.name()));
    let with_types: Vec<Hook> =
        hooks.iter().copied().filter(|hook| *hook != Hook::Observer).collect();
    let types = match listed(&with_types, ", ", |hook| snake(hook.name())) {
        names if names.is_empty() => names,
        names => format!("from wit_world.exports import {names}\n"),
    };
    let log = if hooks.contains(&Hook::Observer) { ", log" } else { "" };
    let modules = listed(hooks, "", |hook| format!("import {}\n", rules(hook)));
    let imports =
        format!("{types}from wit_world.imports import config{log}\n\n{}", modules.trim_end());
    let keys: String = keys(hooks).iter().map(|key| format!("\"{key}\", ")).collect();
    let head = include_str!("templates/python/app.head.py").replace("{{imports}}", &imports);
    let head = head.replace(
        "{{{keys}}}",
        &if keys.is_empty() {
            "set()".to_owned()
        } else {
            format!("{{{}}}", keys.trim_end_matches(", "))
        },
    );
    let tests = include_str!("templates/python/test.head.py").replace("{{imports}}", &modules);
    let app = listed(hooks, "", |hook| for_hook!(hook, "python/app.", ".py").to_owned());
    let tested = listed(hooks, "\n", |hook| for_hook!(hook, "python/test.", ".py").to_owned());
    let mut files = vec![
        file("requirements.txt", include_str!("templates/python/requirements.txt")),
        file("build.py", include_str!("templates/python/build.py")),
        file("app.py", &(head + &app)),
        file("test_rules.py", &(tests + &tested)),
    ];
    files.extend(hooks.iter().map(|hook| {
        (format!("{}.py", rules(*hook)), for_hook!(hook, "python/", ".py").to_owned())
    }));
    files
}

fn javascript(hooks: &[Hook]) -> Vec<File> {
    let imports = listed(hooks, "", |hook| {
        let rule = match hook {
            Hook::PreMerge => "heldBy",
            Hook::ConflictResolver => "isOurs",
            Hook::PostPull => "isRefused",
            Hook::PrePrune => "isKept",
            Hook::Observer => "outcome",
        };
        format!("import {{ {rule} }} from \"./{}.js\";\n", hook.name())
    });
    let log = if hooks.contains(&Hook::Observer) {
        "import { write } from \"cowhand:hooks/log@0.1.0\";\n"
    } else {
        ""
    };
    let keys = keys(hooks).iter().map(|key| format!("\"{key}\"")).collect::<Vec<_>>().join(", ");
    let head = include_str!("templates/javascript/plugin.head.js")
        .replace("{{imports}}", &format!("{log}{imports}"));
    let plugin = listed(hooks, "", |hook| for_hook!(hook, "javascript/plugin.", ".js").to_owned());
    let tests =
        include_str!("templates/javascript/test.head.js").replace("{{imports}}\n", &imports);
    let tested = listed(hooks, "", |hook| for_hook!(hook, "javascript/test.", ".js").to_owned());
    let mut files = vec![
        file("package.json", include_str!("templates/javascript/package.json")),
        file("build.js", include_str!("templates/javascript/build.js")),
        file("plugin.js", &(head.replace("{{keys}}", &keys) + &plugin)),
        file("rules.test.js", &(tests + &tested)),
    ];
    files.extend(hooks.iter().map(|hook| {
        (format!("{}.js", hook.name()), for_hook!(hook, "javascript/", ".js").to_owned())
    }));
    files
}
