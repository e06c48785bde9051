//! The machine around the site: the required tools, and the changes that update.sh would make,
//! which Cowhand reports and never makes.

#![expect(clippy::disallowed_methods, reason = "files of the host")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Run;
use super::scratch::{self, Resolutions};
use crate::error::{Error, Result};
use crate::process::{self, Command};
use crate::site::mailcow::host::{self, Ipv6};
use crate::site::mailcow::{self, Conf};

/// The kernel's routes for IPv6.
const ROUTES: &str = "/proc/net/ipv6_route";
/// The time limit of a look at the host.
const LIMIT: Duration = Duration::from_secs(10);
/// The time limit of the Spamhaus check.
const ASN_LIMIT: Duration = Duration::from_secs(30);

/// Refuses where upstream's functions could not run.
pub fn tools() -> Result<()> {
    let missing: Vec<&str> =
        host::TOOLS.into_iter().filter(|tool| process::find(tool).is_none()).collect();
    if !missing.is_empty() {
        return Err(Error::new(format!("not installed: {}", missing.join(", ")))
            .hint("Install bash, coreutils, grep, sed and util-linux, and check PATH."));
    }
    let real = |tool: &str| process::find(tool).and_then(|path| path.canonicalize().ok());
    let is_busybox = |tool: &&&str| real(tool).is_some_and(|path| path.ends_with("busybox"));
    match host::GNU_TOOLS.iter().find(is_busybox) {
        Some(tool) => {
            Err(Error::new(format!("{tool} is BusyBox's; upstream's functions cannot use it"))
                .hint(format!("Install GNU {tool}.")))
        }
        None => Ok(()),
    }
}

/// Reports if Spamhaus blocks the machine's network, if the site is configured to ask.
pub async fn asn(run: &Run) {
    let Some(service) = &run.site.config().preflight.asn_check else { return };
    let seconds = ASN_LIMIT.as_secs().to_string();
    let ask = Command::new("curl", ASN_LIMIT + LIMIT)
        .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time"])
        .args([seconds.as_str(), service]);
    let status = ask.run().await.map(|output| output.text()).unwrap_or_default();
    let has_key = run.site.conf().get(host::SPAMHAUS_KEY).is_some_and(|key| !key.is_empty());
    match host::judge_asn(&status, has_key) {
        (false, told) => run.events.info(told),
        (true, told) => {
            let hint = format!(
                "Put a key of Spamhaus' free Data Query Service into mailcow.conf, as {}.",
                host::SPAMHAUS_KEY
            );
            run.events.warn(told, Some(hint));
        }
    }
}

/// Adds update.sh's changes to the host to the plan. Unknown ones are left out.
pub async fn tell(run: &mut Run, resolved: &Resolutions) -> Result<()> {
    let mut told = nat(run, resolved).await;
    told.extend(ipv6(run).await?);
    run.plan.left_out.extend(told);
    Ok(())
}

/// The rules of the firewall that update.sh would delete.
async fn nat(run: &Run, resolved: &Resolutions) -> Vec<String> {
    let (option, usual) = host::NETWORK;
    let network = run.site.conf().get(option).unwrap_or(usual);
    let mut bridges = resolved
        .old
        .networks
        .values()
        .filter_map(|network| network.raw["driver_opts"][host::BRIDGE].as_str());
    let bridge = bridges.next_back().unwrap_or_default();
    let places = ["iptables", "/usr/sbin/iptables", "/sbin/iptables"];
    let Some(program) = places.into_iter().find_map(process::find) else { return Vec::new() };
    let list = Command::new(program, LIMIT).args(["-w", "5", "-t", "nat", "-S", "POSTROUTING"]);
    let rules = list.run_ok().await.map(|output| output.text()).unwrap_or_default();
    let foreign = host::foreign_nat_rules(&rules, network, bridge);
    foreign.map(|rule| format!("delete the rule `{rule}` from the firewall's table nat")).collect()
}

/// Returns the changes that a release's IPv6 controller would make.
async fn ipv6(run: &mut Run) -> Result<Vec<String>> {
    if !scratch::carries(run, host::IPV6_MODULE)? {
        return Ok(Vec::new());
    }
    let conf = scratch::settings(run)?.1;
    let enabled = Conf::parse(&String::from_utf8_lossy(&conf)).get(mailcow::IPV6) == Some("true");
    let engine = run.stack().await?.engine.version().to_owned();
    let settings = fs::read_to_string(Path::new(host::ENGINE_SETTINGS)).ok();
    let routes = fs::read_to_string(ROUTES).unwrap_or_default();
    let ipv6 = Ipv6 {
        route: host::has_default_route(&routes),
        enabled,
        settings: settings.as_deref(),
        engine: &engine,
    };
    Ok(ipv6.deeds())
}
