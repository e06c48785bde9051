//! Plugins that misbehave: each is contained and classified, and the next plugin works.

use std::time::Duration;

use cowhand::exit::Exit;
use cowhand::plugin::receipt::Class;
use cowhand::plugin::types::PreMergeVerdict;

use crate::kit::{Site, compiler, probe, update};

/// Runs a probe that does this at pre-merge, and a well-behaved one after it. Returns the failure
/// of the first. Checks that the run goes on, as the site configured it, and that the second works.
async fn failing(does: &str) -> (Class, String) {
    failing_within("60s", does).await
}

async fn failing_within(time: &str, does: &str) -> (Class, String) {
    let site = Site::new();
    let toml = format!(
        "[[plugin]]\nname = \"bad\"\nPROBE\non-failure = \"warn\"\nconfig.pre-merge = \"{does}\"\n\
         grant.time = \"{time}\"\n\
         [[plugin]]\nname = \"good\"\nPROBE\n"
    );
    let mut plugins = site.load(&toml).await.unwrap();
    for _ in 0..2 {
        let verdict = plugins.pre_merge(&update()).await.unwrap();
        assert_eq!(verdict, PreMergeVerdict::Proceed { to: None, files: Vec::new() });
        assert_eq!(site.receipt("good").answer.as_deref(), Some("proceed"));
    }
    site.failure("bad")
}

#[tokio::test]
async fn a_panic_is_a_trap_and_its_message_is_kept() {
    let (class, message) = failing("trap").await;
    assert_eq!(class, Class::Trap);
    assert!(message.contains("the probe panics"), "{message}");
}

#[tokio::test]
async fn a_loop_is_interrupted() {
    let (class, message) = failing_within("300ms", "loop").await;
    assert_eq!(
        (class, message.as_str()),
        (Class::TimeOut, "it did not answer within its limit of 300ms")
    );
}

#[tokio::test]
async fn waiting_in_the_host_is_interrupted() {
    assert_eq!(failing_within("300ms", "sleep").await.0, Class::TimeOut);
}

#[tokio::test]
async fn memory_has_a_limit() {
    let (class, message) = failing("memory").await;
    assert_eq!(class, Class::Limit);
    assert!(message.contains("more memory than its limit of 64.0 MiB"), "{message}");
}

#[tokio::test]
async fn the_log_has_a_limit() {
    let (class, message) = failing("log").await;
    assert_eq!(class, Class::Limit);
    assert!(message.contains("1000 lines"), "{message}");
}

#[tokio::test]
async fn handles_have_a_limit() {
    let (class, message) = failing("handles").await;
    assert_eq!(class, Class::Limit);
    assert!(message.contains("handles"), "{message}");
}

#[tokio::test]
async fn refusals_have_a_limit_and_are_reported_once() {
    for what in ["sockets", "requests"] {
        let site = Site::new();
        let toml = format!(
            "[[plugin]]\nname = \"bad\"\nPROBE\non-failure = \"warn\"\n\
             config.pre-merge = \"beg {what}\"\ngrant.time = \"60s\"\n"
        );
        let mut plugins = site.load(&toml).await.unwrap();
        for _ in 0..2 {
            plugins.pre_merge(&update()).await.unwrap();
            let (class, message) = site.failure("bad");
            assert_eq!((class, message.contains("was refused more")), (Class::Limit, true));
        }
        let refusals = site.receipt("bad").refusals;
        assert_eq!(refusals.len(), 65, "{what}");
        assert!(refusals.iter().all(|refusal| refusal.len() < 300), "{what}");
        assert!(refusals[64].starts_with("and ") && refusals[64].ends_with("more"), "{refusals:?}");
    }
}

#[tokio::test]
async fn long_messages_of_a_plugin_are_cut() {
    let (class, message) = failing("shout loud ").await;
    assert_eq!(class, Class::Error);
    assert!(message.len() < 5000 && message.ends_with("bytes more)"), "{}", message.len());
}

#[tokio::test]
async fn the_stack_has_a_limit() {
    assert_eq!(failing("stack").await.0, Class::Limit);
}

#[tokio::test]
async fn data_handed_over_has_a_limit() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"bad\"\nPROBE\nconfig.pre-merge = \"huge -\"\n\
                grant.memory = \"500MiB\"\n";
    let mut plugins = site.load(toml).await.unwrap();
    let error = plugins.pre_merge(&update()).await.unwrap_err();
    assert_eq!(error.exit_code(), Some(Exit::Declined));
    let (class, message) = site.failure("bad");
    assert_eq!(class, Class::Limit, "{message}");
    assert!(message.contains("64.0 MiB at once"), "{message}");
}

#[tokio::test]
async fn a_random_flood_and_an_exit_are_traps() {
    let (class, message) = failing("random").await;
    assert_eq!(class, Class::Trap, "{message}");
    let (class, message) = failing("exit").await;
    assert_eq!(class, Class::Trap);
    assert!(message.contains("exited with"), "{message}");
}

#[tokio::test]
async fn an_error_keeps_the_plugin_s_own_message() {
    assert_eq!(failing("error disk on fire").await, (Class::Error, "disk on fire".to_owned()));
}

#[tokio::test]
async fn invalid_answers_are_bad_output() {
    for does in [
        "to 0000",
        "file 644 data/assets/ssl/../x",
        "file 4755 data/assets/ssl/x",
        "file 644 data/conf/x",
    ] {
        assert_eq!(failing(does).await.0, Class::BadOutput, "{does}");
    }
}

#[tokio::test]
async fn by_default_a_failure_stops_with_a_hint_on_how_to_continue() {
    let site = Site::new();
    let mut plugins = site
        .load("[[plugin]]\nname = \"bad\"\nPROBE\nconfig.pre-merge = \"trap\"\n")
        .await
        .unwrap();
    let error = plugins.pre_merge(&update()).await.unwrap_err();
    assert_eq!(error.headline(), "the plugin `bad` failed at pre-merge (trap)");
    assert_eq!(error.exit_code(), Some(Exit::Declined));
    assert!(error.hints().iter().any(|hint| hint.contains("on-failure")), "{:?}", error.hints());
}

#[tokio::test]
async fn a_forged_handle_opens_nothing() {
    let (class, message) = failing("forge").await;
    assert_eq!(class, Class::Trap, "{message}");
    assert!(message.contains("handle"), "{message}");
}

/// Measures the memory that bad plugins make this process use. Runs in a separate process, where
/// nothing else uses memory.
#[tokio::test]
async fn the_process_stays_small() {
    const NAME: &str = "hostile::the_process_stays_small";
    if std::env::var_os("COWHAND_ALONE").is_none() {
        // This puts the compiled component into the cache.
        Site::new().load("[[plugin]]\nname = \"p\"\nPROBE\n").await.unwrap();
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--exact", NAME]).env("COWHAND_ALONE", "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let begging = ["beg sockets", "beg requests"];
    for does in ["memory", "giant", "log", "handles", "stack", "random"].into_iter().chain(begging)
    {
        let site = Site::new();
        let toml = format!(
            "[[plugin]]\nname = \"bad\"\nPROBE\non-failure = \"skip\"\n\
             config.pre-merge = \"{does}\"\n"
        );
        let mut plugins = site.load(&toml).await.unwrap();
        let before = resident("VmRSS:");
        // This resets Linux's peak counter.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        plugins.pre_merge(&update()).await.unwrap();
        let grown = resident("VmHWM:").saturating_sub(before);
        // The guest's 64 MiB, the 64 MiB that it may hand over, and the overhead of a call.
        assert!(grown < 160 << 20, "{does}: {} MiB", grown >> 20);
        let (class, message) = site.failure("bad");
        // On a busy machine the time limit may come before the limit of refusals.
        let late = does.starts_with("beg") && class == Class::TimeOut;
        assert!(late || matches!(class, Class::Limit | Class::Trap), "{does}: {message}");
    }
}

/// Returns a memory figure of this process in bytes, as Linux counts it.
fn resident(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// Returns the probe with an additional core module whose only function has a million blocks.
fn bomb() -> Vec<u8> {
    fn number(mut number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(0x80 | u8::try_from(number & 0x7f).unwrap());
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    }
    let section = |id: u8, content: &[u8]| [&[id][..], &number(content.len()), content].concat();
    // Each block: block; i32.const 1; br_if 0; end.
    let blocks = [0x02, 0x40, 0x41, 0x01, 0x0d, 0x00, 0x0b].repeat(1_000_000);
    let body = [&[0x00][..], &blocks, &[0x0b]].concat();
    let code = [&[0x01][..], &number(body.len()), &body].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[0x01, 0x60, 0x00, 0x00]),
        section(3, &[0x01, 0x00]),
        section(10, &code),
    ];
    [std::fs::read(probe()).unwrap(), section(1, &module.concat())].concat()
}

#[tokio::test]
async fn compiling_has_limits() {
    for (memory, time, expected) in [
        (4 << 30, Duration::from_secs(1), "did not end within 1 s"),
        (200 << 20, Duration::from_mins(3), "cannot be compiled within the limits"),
    ] {
        let mut compiler = compiler();
        (compiler.memory, compiler.time) = (memory, time);
        let site = Site { compiler, ..Site::new() };
        std::fs::write(site.path().join("bomb.wasm"), bomb()).unwrap();
        let toml = "[[plugin]]\nname = \"bomb\"\nsource = \"bomb.wasm\"\n";
        let error = site.load(toml).await.map(drop).unwrap_err();
        assert!(error.summary().contains(expected), "{}", error.summary());
        assert!(resident("VmHWM:") < 1 << 30, "this process compiles nothing");
    }
}
