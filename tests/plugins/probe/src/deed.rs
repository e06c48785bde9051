//! The probe's actions at every hook: misbehave in every way that the host must withstand, and
//! report what it can reach.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::bindings::cowhand::hooks::{config, log};
use crate::reach;

/// An action left to the hook: a word and its arguments.
#[derive(Default)]
pub struct Deed {
    pub word: String,
    pub rest: String,
}

/// Performs the action configured for this hook, or returns it for the hook to perform. Reports
/// what the probe sees of the outside as its error.
pub fn deed(hook: &str) -> Result<Deed, String> {
    let config: serde_json::Value = serde_json::from_str(&config::get()).unwrap();
    let Some(said) = config[hook].as_str() else { return Ok(Deed::default()) };
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    match word {
        "error" => return Err(rest.to_owned()),
        "trap" => panic!("the probe panics"),
        "exit" => std::process::exit(3),
        "loop" => spin(),
        "sleep" => std::thread::sleep(Duration::from_mins(1)),
        "memory" => hoard(),
        "stack" => log::write(log::Level::Debug, &deep(rest.len() as u64).to_string()),
        "log" => loop {
            log::write(log::Level::Info, "flood");
        },
        "say" => log::write(log::Level::Info, rest),
        "handles" => reach::open_handles(),
        "random" => drop(wasip2::random::random::get_random_bytes(10 << 20)),
        "count" => return Err(count().to_string()),
        "read" => return Err(format!("{:?}", std::fs::read_to_string(rest))),
        "write" => return Err(format!("{:?}", std::fs::write(rest, "x"))),
        "env" => return Err(format!("{:?}", std::env::vars().collect::<Vec<_>>())),
        "connect" => return Err(format!("{:?}", std::net::TcpStream::connect(rest).map(drop))),
        "http" => return Err(format!("{:?}", reach::get(rest))),
        "follow" => return Err(format!("{:?}", reach::follow(rest))),
        "lookup" => return Err(format!("{:?}", reach::look_up(rest))),
        "beg" => reach::beg(rest),
        "shout" => return Err(rest.repeat(1 << 20)),
        "forge" => return Err(format!("{:?}", reach::forge())),
        _ => return Ok(Deed { word: word.to_owned(), rest: rest.to_owned() }),
    }
    Ok(Deed::default())
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns + 1);
    }
}

fn hoard() -> ! {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[inline(never)]
fn deep(level: u64) -> u64 {
    if level == u64::MAX { 0 } else { deep(level + 1).rotate_left(3) ^ level }
}

/// Returns the number of earlier calls to this instance.
fn count() -> u64 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed)
}
