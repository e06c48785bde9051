//! Authors of plugins, from outside: what `plugin new` writes builds with its language's own tools
//! and passes its own tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::support::probe::probe;
use crate::support::ran::{Cowhand, Ran};
use crate::support::site::Site;
use crate::support::{plugin_tools, tests};
use crate::toolchain::{TARGET, Toolchain};

tests! {
    Nothing: a_project_in_rust_builds_and_passes_its_own_tests,
    a_case_that_does_not_hold_is_told,
    a_folder_without_cases_and_a_case_without_a_hook,
    a_name_that_no_tool_takes,
    what_a_plan_asks_can_be_recorded_and_run_again;
    Python: a_project_in_python_builds_and_passes_its_own_tests;
    JavaScript: a_project_in_javascript_builds_and_passes_its_own_tests;
}

const HOOKS: [&str; 5] = ["pre-merge", "conflict-resolver", "post-pull", "pre-prune", "observer"];

/// A new project for every hook, in a folder of its own that goes with the next run.
fn project(language: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors").join(language);
    let _ = fs::remove_dir_all(&folder);
    let mine = folder.join("mine");
    let hooks = HOOKS.iter().flat_map(|hook| ["--hook", hook]);
    let arguments = ["plugin", "new", mine.to_str().unwrap(), "--lang", language];
    Cowhand::new(arguments.into_iter().chain(hooks)).run().exits(0).says("cowhand plugin test");
    fs::create_dir_all(mine.join("cases/wrong-key")).unwrap();
    let wrong =
        "[config]\nourz = []\n[pre-prune]\n[expect]\nanswer = \"error\"\nreason = \"ourz\"\n";
    fs::write(mine.join("cases/wrong-key/case.toml"), wrong).unwrap();
    mine
}

/// Runs one of the author's tools in the project.
fn tool(command: &mut Command, project: &Path) {
    let output = command
        .current_dir(project)
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = [output.stdout, output.stderr]
        .map(|told| String::from_utf8_lossy(&told).into_owned())
        .concat();
    assert!(output.status.success(), "{command:?}: {told}");
}

/// Builds the component, unless that was done before from the same files: it takes some of these
/// tools ten seconds.
fn built(project: &Path, build: impl FnOnce()) {
    let kept = project.parent().unwrap().with_extension(format!("{}.wasm", digest(project)));
    let component = project.join("mine.wasm");
    if !kept.exists() {
        build();
        fs::copy(&component, &kept).unwrap();
    }
    fs::copy(&kept, &component).unwrap();
}

/// Of every file in a folder but the cases, names and contents.
fn digest(folder: &Path) -> String {
    let mut all = Sha256::new();
    let (mut open, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() && !path.is_symlink() {
            open.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                    .filter(|path| !path.ends_with("cases")),
            );
        } else if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    for file in files {
        all.update(file.to_str().unwrap());
        all.update(fs::read(&file).unwrap());
    }
    all.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn tested(project: &Path) -> Ran {
    Cowhand::new(["plugin", "test"]).folder(project).run()
}

/// The plugin passes its cases, each with the same fuel whenever it runs, and asks for nothing.
fn passes(project: &Path, component: &str) {
    tested(project).exits(0).says("6 of 6 passed.");
    let fuel = || {
        let ran = Cowhand::new(["plugin", "test", "--json"]).folder(project).run().exits(0);
        let cases = ran.event("report")["data"].clone();
        let fuel: Vec<u64> =
            cases.as_array().unwrap().iter().map(|case| case["fuel"].as_u64().unwrap()).collect();
        fuel
    };
    let once = fuel();
    assert!(once.len() == 6 && once.iter().all(|fuel| *fuel > 0), "{once:?}");
    assert_eq!(once, fuel());
    let inspected = Cowhand::new(["plugin", "inspect", component]).folder(project).run().exits(0);
    HOOKS.iter().fold(inspected, |ran, hook| ran.says(hook)).says("requests nothing");
}

/// The Rust project, with its component built.
fn rust() -> PathBuf {
    let project = project("rust");
    // The crates that the tests' own guests are built with are here already.
    probe();
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/Cargo.lock"),
        project.join("Cargo.lock"),
    )
    .unwrap();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tool(Command::new(cargo).args(["update", "--workspace", "--offline", "--quiet"]), &project);
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut build = Toolchain::found().unwrap().cargo(scratch).unwrap();
    tool(build.args(["--quiet", "--offline", "--target-dir"]).arg(rust_target()), &project);
    fs::create_dir_all(project.join("target")).unwrap();
    std::os::unix::fs::symlink(rust_target().join(TARGET), project.join("target").join(TARGET))
        .unwrap();
    project
}

/// The Rust project's build directory is kept between runs.
fn rust_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("authors/rust-target")
}

fn a_project_in_rust_builds_and_passes_its_own_tests() {
    let project = rust();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tool(
        Command::new(cargo)
            .args(["test", "--quiet", "--offline", "--target-dir"])
            .arg(rust_target()),
        &project,
    );
    passes(&project, "target/wasm32-wasip2/release/mine.wasm");
}

fn a_project_in_python_builds_and_passes_its_own_tests() {
    let python = plugin_tools().join("python/bin/python");
    let project = project("python");
    tool(Command::new(&python).args(["-m", "unittest"]), &project);
    let _ = fs::remove_dir_all(project.join("__pycache__"));
    built(&project, || tool(Command::new(&python).arg("build.py"), &project));
    passes(&project, "mine.wasm");
}

fn a_project_in_javascript_builds_and_passes_its_own_tests() {
    let project = project("javascript");
    std::os::unix::fs::symlink(
        plugin_tools().join("javascript/node_modules"),
        project.join("node_modules"),
    )
    .unwrap();
    tool(Command::new("npm").arg("test"), &project);
    built(&project, || tool(Command::new("npm").args(["run", "build"]), &project));
    passes(&project, "mine.wasm");
}

/// A folder with one case for a stock plugin.
fn case(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("cases/one")).unwrap();
    fs::write(folder.path().join("cases/one/case.toml"), text).unwrap();
    folder
}

fn stock_on(text: &str) -> Ran {
    Cowhand::new(["plugin", "test", "stock:stock-conflicts"]).folder(case(text).path()).run()
}

const CONFLICT: &str = "[conflict-resolver]\npath = \"a\"\nkind = \"binary\"\n[conflict-resolver.ours]\n[conflict-resolver.theirs]\n";

fn a_case_that_does_not_hold_is_told() {
    let expecting =
        |answer: &str| stock_on(&format!("{CONFLICT}[expect]\nanswer = \"{answer}\"\n"));
    expecting("ours")
        .exits(1)
        .says("FAILED  cases/one: answered `theirs`, expected `ours`")
        .says("1 of 1 failed");
    expecting("theirs").exits(0).says("1 of 1 passed.");
    stock_on(&format!("fuel = 10\n{CONFLICT}[expect]\nanswer = \"theirs\"\n"))
        .exits(1)
        .says("its budget of 10");
}

fn a_folder_without_cases_and_a_case_without_a_hook() {
    stock_on("[expect]\nanswer = \"ours\"\n").exits(2).says("[conflict-resolver]");
    stock_on(&format!("{CONFLICT}[expect]\nanswr = \"ours\"\n"))
        .exits(2)
        .says("case.toml, line")
        .says("answr");
    stock_on("[pre-prune]\n[expect]\nanswer = \"keep\"\n")
        .exits(2)
        .says("which stock:stock-conflicts does not export");
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir(empty.path().join("cases")).unwrap();
    Cowhand::new(["plugin", "test", "stock:notify"])
        .folder(empty.path())
        .run()
        .exits(2)
        .says("No cases found");
    Cowhand::new(["plugin", "test"]).folder(empty.path()).run().exits(2).says("No component found");
}

fn a_name_that_no_tool_takes() {
    let folder = tempfile::tempdir().unwrap();
    let new = |name: &str| {
        Cowhand::new(["plugin", "new", name, "--lang", "rust", "--hook", "observer"])
            .folder(folder.path())
            .run()
    };
    new("My_Plugin").exits(2).says("`My_Plugin`");
    new("mine").exits(0);
    new("mine").exits(1).says("Could not create mine");
}

fn what_a_plan_asks_can_be_recorded_and_run_again() {
    let site = Site::without_engine().edited(
        "data/conf/postfix/main.cf",
        "threshold = 6",
        "threshold = 4",
    );
    let secret = "Zugangswort-77";
    let conf = site.file("mailcow.conf") + &format!("DBPASS={secret}\n");
    let site = site.has("mailcow.conf", &conf);
    site.edit("data/conf/postfix/main.cf", |text| format!("{text}# {secret}\n")).unwrap();
    let release = site.upstream.release("2026-03");
    release
        .replace("data/conf/postfix/main.cf", "threshold = 6", "threshold = 8")
        .publish()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("cases");
    let record = record.to_str().unwrap();
    site.cowhand(["plan", "--until", "merge", "--record", record]).exits(0);
    let test = |plugin: &str| {
        let cases = format!("{record}/{plugin}");
        Cowhand::new(["plugin", "test", &format!("stock:{plugin}"), "--cases", &cases])
            .run()
            .exits(0)
    };
    test("stock-conflicts").says("conflict-resolver: favor-theirs").says("1 of 1 passed.");
    test("release-gate").says("pre-merge: proceed");
    let mut recorded = String::new();
    for entry in fs::read_dir(format!("{record}/stock-conflicts")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            recorded += &fs::read_to_string(file.unwrap().path()).unwrap();
        }
    }
    assert!(recorded.contains("threshold = 4") && recorded.contains("threshold = 8"), "{recorded}");
    assert!(recorded.contains("# [redacted]") && !recorded.contains(secret), "{recorded}");
}
