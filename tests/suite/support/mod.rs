//! The tests' vocabulary: sites that read like sentences, runs of the binary, and expectations.

pub mod faulty;
pub mod outside;
pub mod probe;
pub mod ran;
pub mod site;
pub mod snapshots;
pub mod stack;
pub mod terminal;
pub mod untouched;
pub mod whole;
pub mod world;

use std::path::{Path, PathBuf};

use libtest_mimic::Trial;

/// A test and what it cannot do without.
pub struct Test {
    name: String,
    need: Need,
    run: fn(),
}

/// The things that a machine may lack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Only what building Cowhand needs.
    Nothing,
    /// A Docker engine of the suite's own, and a registry.
    Stack,
    /// The same, and `strace`.
    Trace,
    /// OpenSSH, both sides.
    Ssh,
    /// The tool for plugins in Python.
    Python,
    /// The tool for plugins in JavaScript.
    JavaScript,
}

/// Lists a module's tests as `all()`: `tests! { Stack: one, another; Nothing: a_third }`.
macro_rules! tests {
    ($($need:ident: $($name:ident),+ $(,)?);+ $(;)?) => {
        /// The tests of this module.
        pub fn all() -> Vec<$crate::support::Test> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            let mut all = Vec::new();
            $(
                let need = $crate::support::Need::$need;
                all.extend([$((stringify!($name), $name as fn())),+].map(|(name, run)| $crate::support::Test::new(module, name, need, run)));
            )+
            all
        }
    };
}
pub(crate) use tests;

impl Test {
    /// A test of a module.
    pub fn new(module: &str, name: &str, need: Need, run: fn()) -> Self {
        Self { name: format!("{module}::{name}"), need, run }
    }

    /// `MODULE::NAME`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Returns the runner's tests, and the names of those that cannot run here, with the reason.
pub fn trials(tests: Vec<Test>) -> (Vec<Trial>, Vec<(String, String)>) {
    let mut skipped = Vec::new();
    let trials = tests.into_iter().map(|test| {
        let missing = missing(test.need);
        if let Some(reason) = &missing {
            skipped.push((test.name.clone(), reason.clone()));
        }
        let run = test.run;
        Trial::test(test.name, move || {
            run();
            Ok(())
        })
        .with_ignored_flag(missing.is_some())
    });
    (trials.collect(), skipped)
}

/// Why this machine cannot give what is needed, if so.
fn missing(need: Need) -> Option<String> {
    match need {
        Need::Nothing => None,
        Need::Stack => missing_to_root(&["dockerd", "docker", "docker-registry"]),
        Need::Trace => missing_to_root(&["dockerd", "docker", "docker-registry", "strace"]),
        Need::Ssh => missing_to_root(&["ssh", "sshd", "ssh-keygen", "setpriv", "unshare"]),
        Need::Python => missing_tool("python/bin/componentize-py"),
        Need::JavaScript => {
            missing_tool("javascript/node_modules/@bytecodealliance/componentize-js")
        }
    }
}

/// The directory of `scripts/setup authors`.
pub fn plugin_tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/plugin-tools")
}

fn missing_tool(path: &str) -> Option<String> {
    let tool = plugin_tools().join(path);
    (!tool.exists()).then(|| format!("there is no {}; run scripts/setup authors", tool.display()))
}

fn missing_to_root(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("an engine or a server of the suite's own needs root".to_owned());
    }
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found =
        |program: &str| path.split(':').any(|folder| Path::new(folder).join(program).exists());
    let lacking = programs.iter().find(|program| !found(program));
    lacking.map(|program| format!("there is no {program}; run scripts/setup"))
}
