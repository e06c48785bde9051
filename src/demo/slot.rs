//! Keeps fixtures that run at the same time, in this process or in others, apart: each holds a
//! slot, which is a subnet and a range of ports.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Context, Error, Result};

/// The most fixtures at the same time.
const SLOTS: u16 = 200;
/// The ports of each slot.
const PORTS: u16 = 50;
/// The first port of the first slot: below the range from which systems take ports for outgoing
/// connections.
const FIRST_PORT: u16 = 21_000;

/// A subnet and a range of ports that nobody else uses. Freed when dropped or when its process
/// ends.
#[derive(Debug)]
pub struct Slot {
    number: u16,
    _held: File,
}

impl Slot {
    /// Takes a free slot.
    pub fn take() -> Result<Self> {
        let folder = std::env::temp_dir().join("cowhand-slots");
        fs::create_dir_all(&folder).what("could not create the folder of the fixtures' slots")?;
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        // Start at a place that differs between processes, so that a subnet just given up rests for
        // a while.
        let start = u16::try_from(std::process::id() % u32::from(SLOTS)).unwrap_or(0);
        for number in (0..SLOTS).map(|step| (start + step) % SLOTS) {
            let file = File::create(folder.join(number.to_string()))
                .what("could not open a fixture's slot")?;
            if file.try_lock().is_ok()
                && !has_route(&routes, number)
                && TcpListener::bind(first_port(number)).is_ok()
            {
                return Ok(Self { number, _held: file });
            }
        }
        Err(Error::new("all of the fixtures' slots are taken")
            .hint("Wait until other tests have ended."))
    }

    /// The slot's number, for names.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The first three numbers of the slot's IPv4 subnet, a /24, as mailcow's `IPV4_NETWORK` has
    /// them.
    pub fn network(&self) -> String {
        format!("10.219.{}", self.number)
    }

    /// The port number `which` of the slot.
    pub fn port(&self, which: u16) -> u16 {
        FIRST_PORT + self.number * PORTS + which % PORTS
    }
}

fn first_port(number: u16) -> (Ipv4Addr, u16) {
    (Ipv4Addr::LOCALHOST, FIRST_PORT + number * PORTS)
}

/// Returns true if the routing table has this slot's subnet. The kernel writes addresses as
/// little-endian hexadecimal numbers.
fn has_route(routes: &str, number: u16) -> bool {
    let destination =
        format!("{:08X}", u32::from_le_bytes([10, 219, u8::try_from(number).unwrap_or(0), 0]));
    routes.lines().any(|line| line.split_whitespace().nth(1) == Some(&destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_slots_differ() {
        let (one, other) = (Slot::take().unwrap(), Slot::take().unwrap());
        assert_ne!(one.network(), other.network());
        assert_ne!(one.port(0), other.port(0));
    }

    #[test]
    fn a_route_is_recognised() {
        let routes = "Iface\tDestination\nbr-1\t0007DB0A\t00000000\n";
        assert!(has_route(routes, 7));
        assert!(!has_route(routes, 8));
    }
}
