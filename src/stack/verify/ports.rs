//! Whether what answers behind a published port is the service itself: asked at the container's own address, because the engine's
//! proxy accepts connections with nothing behind it.

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

/// How long one attempt to connect may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a server may think before it greets: some wait on purpose, to see who talks first.
const GREETING: Duration = Duration::from_secs(15);
/// How a server on these ports begins; nobody else speaks first.
const GREETINGS: &[(u16, &[u8])] =
    &[(25, b"220"), (587, b"220"), (110, b"+OK"), (143, b"* "), (4190, b"\"")];

/// Whether containers' addresses can be reached from here: not on another machine, nor where the engine runs as a user.
pub(super) async fn reachable(engine: &Engine) -> Result<bool> {
    if !engine.endpoint().is_local() {
        return Ok(false);
    }
    let info = engine
        .ask("could not ask the engine about itself", async || engine.docker().info().await)
        .await?;
    Ok(!info.security_options.unwrap_or_default().iter().any(|option| option.contains("rootless")))
}

/// Says which published ports nobody tries. What is sent to a UDP port need not be answered, so silence says nothing.
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
        events.info("published ports are not checked: the containers' own addresses cannot be reached from here");
    } else if !unchecked.is_empty() {
        events.info(format!("ports that are not checked: {}", unchecked.join(", ")));
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

/// An address of a container, or of the one whose network it is in. None with the host's own
/// network.
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
        .map_err(|_| "it does not greet".to_owned())?
        .map_err(|_| "it hangs up without greeting".to_owned())?;
    if said == *expected {
        Ok(())
    } else {
        Err("it does not greet as a mail server does".to_owned())
    }
}
