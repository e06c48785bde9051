//! What the tests are written with: sites that read like sentences, runs of the binary, and what is demanded of them.

pub mod ran;
pub mod site;
pub mod snapshot;
pub mod untouched;
pub mod world;

use std::path::Path;

use libtest_mimic::Trial;

/// A test and what it cannot do without.
pub struct Test {
    name: String,
    needs: &'static [Need],
    run: fn(),
}

/// What a machine may lack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A Docker engine of the suite's own, and a registry.
    Stack,
    /// A registry alone.
    Registry,
}

/// Lists a module's tests as `all()`: `tests!(Stack: one, another; : a_third)`.
macro_rules! tests {
    ($($($need:ident),* : $($name:ident),+ $(,)?);+ $(;)?) => {
        /// The tests of this module.
        pub fn all() -> Vec<$crate::support::Test> {
            let module = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$($($crate::support::Test::new(module, stringify!($name), &[$($crate::support::Need::$need),*], $name)),+),+]
        }
    };
}
pub(crate) use tests;

impl Test {
    /// A test of a module.
    pub fn new(module: &str, name: &str, needs: &'static [Need], run: fn()) -> Self {
        Self { name: format!("{module}::{name}"), needs, run }
    }
}

/// What the runner runs, and the names of those that this machine cannot run, with the reason.
pub fn trials(tests: Vec<Test>) -> (Vec<Trial>, Vec<(String, String)>) {
    let mut skipped = Vec::new();
    let trials = tests.into_iter().map(|test| {
        let missing = test.needs.iter().find_map(|need| missing(*need));
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
    let programs: &[&str] = match need {
        Need::Stack => &["dockerd", "docker", "docker-registry"],
        Need::Registry => &["docker-registry"],
    };
    if need == Need::Stack && !rustix::process::geteuid().is_root() {
        return Some("an engine of the suite's own needs root".to_owned());
    }
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found = |program: &str| path.split(':').any(|folder| Path::new(folder).join(program).exists());
    programs.iter().find(|program| !found(program)).map(|program| format!("there is no {program}; run scripts/setup"))
}
