//! Observers see every event, do not delay the run, and do not react to each other's logs
//! endlessly.

use std::time::{Duration, Instant};

use cowhand::event::Event;
use cowhand::exit::Exit;
use cowhand::plugin::receipt::Class;

use crate::kit::Site;

fn outcome() -> Event {
    Event::Outcome {
        code: 0,
        exit: Exit::Done,
        message: "done".to_owned(),
        because: Vec::new(),
        left: None,
        hints: Vec::new(),
        run: None,
    }
}

/// Runs with these observers and emits this many notes. Returns the time that the run's end took.
async fn run(site: &Site, toml: &str, notes: usize, limit: Duration) -> Duration {
    site.events.info("the start");
    let mut plugins = site.load(toml).await.unwrap();
    site.events.add_from_the_start(plugins.observe().unwrap());
    for note in 0..notes {
        site.events.info(format!("note {note}"));
    }
    let begun = Instant::now();
    plugins.finish_observers(&outcome(), limit).await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_sees_every_event_in_order_and_the_outcome_last() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"echo\"\nPROBE\nconfig.observer = \"echo\"\n\
                [[plugin]]\nname = \"other\"\nPROBE\nconfig.observer = \"echo\"\n";
    run(&site, toml, 3, Duration::from_secs(20)).await;
    let echoed: Vec<String> =
        site.notes().into_iter().filter(|note| note.starts_with("echo: ")).collect();
    let seen = |word: &str| echoed.iter().position(|note| note.contains(word)).unwrap();
    assert_eq!((seen("the start"), seen("\"outcome\"")), (0, echoed.len() - 1), "{echoed:?}");
    assert!(seen("note 0") < seen("note 1") && seen("note 1") < seen("note 2"), "{echoed:?}");
    assert!(!echoed.iter().any(|note| note.contains("other: ")), "{echoed:?}");
    let receipt = site.receipt("echo");
    assert_eq!((receipt.calls, receipt.failure), (echoed.len() as u64, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_does_not_wait_for_an_observer_that_hangs() {
    let site = Site::new();
    let toml = "[[plugin]]\nname = \"slow\"\nPROBE\n\
                config.observer = \"sleep\"\ngrant.time = \"30s\"\n\
                [[plugin]]\nname = \"loop\"\nPROBE\n\
                config.observer = \"loop\"\ngrant.time = \"30s\"\n\
                [[plugin]]\nname = \"good\"\nPROBE\n";
    let took = run(&site, toml, 2, Duration::from_millis(500)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(site.failure("slow").0, Class::TimeOut);
    assert_eq!(site.failure("loop").0, Class::TimeOut);
    assert_eq!(site.receipt("good").failure, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_that_fails_is_noted_once_and_changes_nothing() {
    let site = Site::new();
    run(
        &site,
        "[[plugin]]\nname = \"bad\"\nPROBE\nconfig.observer = \"trap\"\n",
        20,
        Duration::from_secs(20),
    )
    .await;
    let receipt = site.receipt("bad");
    assert_eq!(receipt.failure.unwrap().class, Class::Trap);
    assert_eq!(receipt.calls, 4, "three in a row, and the outcome");
    assert_eq!(
        site.notes().iter().filter(|note| note.contains("the observer `bad` failed")).count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_events_and_counts_them() {
    let site = Site::new();
    let toml =
        "[[plugin]]\nname = \"slow\"\nPROBE\nconfig.observer = \"sleep\"\ngrant.time = \"30s\"\n";
    let begun = Instant::now();
    run(&site, toml, 3000, Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(site.notes().iter().any(|note| note.contains("was too slow and missed ")));
}
