//! Checks that services serve their published ports. It connects to the containers' own addresses,
//! because the engine's proxy accepts connections even if nothing listens behind it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::Limits;
use super::verdict::{Verdict, Watched};
use crate::error::Result;
use crate::event::Events;
use crate::stack::container::Container;
use crate::stack::engine::Engine;
use crate::stack::resolved::{Port, Resolved, Service};

/// The time limit for one attempt to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// The time limit for a greeting. Some servers delay it on purpose, to catch clients that talk
/// first.
const GREETING: Duration = Duration::from_secs(15);
/// The ports whose servers speak first, with the start of their greeting.
const GREETINGS: &[(u16, &[u8])] =
    &[(25, b"220"), (587, b"220"), (110, b"+OK"), (143, b"* "), (4190, b"\"")];

/// Returns true if containers' addresses are reachable: the engine is local and not rootless.
pub(super) async fn reachable(engine: &Engine) -> Result<bool> {
    if !engine.endpoint().is_local() {
        return Ok(false);
    }
    let info = engine
        .ask("could not ask the engine about itself", async || engine.docker().info().await)
        .await?;
    Ok(!info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")))
}

/// Reports the published ports that are not checked. UDP servers need not answer, so their silence
/// means nothing.
pub(super) fn tell_unchecked(resolved: &Resolved, reachable: bool, events: &Events) {
    let published = |(name, service): (&str, &Service)| {
        let ports = service.ports.iter().filter(|port| port.published.is_some());
        let unchecked = ports.filter(|port| !reachable || port.protocol != "tcp");
        unchecked
            .map(|port| format!("{}/{} of {name}", port.target, port.protocol))
            .collect::<Vec<_>>()
    };
    let unchecked: Vec<String> = resolved.wanted().flat_map(published).collect();
    if !reachable && !unchecked.is_empty() {
        events.info("published ports are not checked: the containers' addresses cannot be reached");
    } else if !unchecked.is_empty() {
        events.info(format!("ports not checked: {}", unchecked.join(", ")));
    }
}

/// Judges a service whose container is up by its published TCP ports.
pub(super) async fn judge(
    watched: &Watched,
    resolved: &Resolved,
    containers: &[Container],
    limits: &Limits,
    now: Duration,
) -> Verdict {
    let Some(service) = resolved.services.get(&watched.service) else { return Verdict::Well };
    let up = watched.up().unwrap_or(now);
    let published =
        || service.ports.iter().filter(|port| port.published.is_some() && port.protocol == "tcp");
    let own = containers.iter().filter(|one| one.service == watched.service);
    let addresses = own.filter_map(|one| address(one, containers));
    for (address, port) in
        addresses.flat_map(|address| published().map(move |port| (address, port)))
    {
        if let Err(reason) = served(SocketAddr::new(address, port.target), port).await {
            let published = port.published.unwrap_or(port.target);
            let reason = format!(
                "its port {published} (in the container: {}) is not served: {reason}",
                port.target
            );
            return if now < up + limits.ports {
                Verdict::Wait(Some(reason))
            } else {
                Verdict::Ill(reason)
            };
        }
    }
    Verdict::Well
}

/// Returns an address of a container, or of the one whose network it shares; `None` with the host's
/// own network.
fn address(own: &Container, containers: &[Container]) -> Option<IpAddr> {
    let holder = match &own.network_of {
        Some(id) => containers.iter().find(|one| one.id == *id)?,
        None => own,
    };
    let addresses =
        || holder.networks.values().flatten().copied().filter(|address| !is_unset(*address));
    addresses().find(IpAddr::is_ipv4).or_else(|| addresses().next())
}

fn is_unset(address: IpAddr) -> bool {
    address == IpAddr::V4(Ipv4Addr::UNSPECIFIED) || address.is_unspecified()
}

async fn served(address: SocketAddr, port: &Port) -> Result<(), String> {
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
    let mut stream =
        connecting.await.map_err(|_| "no answer".to_owned())?.map_err(|error| error.to_string())?;
    let Some((_, expected)) = GREETINGS.iter().find(|(number, _)| *number == port.target) else {
        return Ok(());
    };
    let mut said = vec![0; expected.len()];
    let reading = tokio::time::timeout(GREETING, stream.read_exact(&mut said));
    reading
        .await
        .map_err(|_| "no greeting".to_owned())?
        .map_err(|_| "connection closed without a greeting".to_owned())?;
    if said == *expected {
        Ok(())
    } else {
        Err("it does not greet as a mail server does".to_owned())
    }
}
