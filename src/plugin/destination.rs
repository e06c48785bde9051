//! Destinations of a plugin's requests: the syntax of grants, and the addresses that names must not
//! resolve to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::uri::Authority;

/// A host in a grant or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// True if plain http is allowed too.
    plain: bool,
    host: String,
    port: Option<u16>,
}

impl Destination {
    /// Parses `NAME`, `NAME:PORT`, `http://NAME` and `http://NAME:PORT`. Addresses are allowed as
    /// names, IPv6 in brackets.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (plain, rest) = match text.split_once("://") {
            Some(("http", rest)) => (true, rest),
            Some(("https", rest)) => (false, rest),
            Some(_) => return None,
            None => (false, text),
        };
        let authority: Authority = rest.strip_suffix('/').unwrap_or(rest).parse().ok()?;
        let (host, port) = (authority.host(), authority.port_u16());
        // Any other part, such as a user or a port out of range, makes the two differ.
        let whole = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            == authority.as_str();
        (whole && !host.is_empty()).then(|| Self { plain, host: plain_name(host), port })
    }

    /// Returns true if this allows a request over plain http or https to this host and port.
    pub(super) fn covers(&self, plain: bool, host: &str, port: u16) -> bool {
        (self.plain || !plain)
            && self.host == plain_name(host)
            && self.port.unwrap_or(default_port(plain)) == port
    }

    /// Returns true if this names exactly this address and port: names may then resolve to it.
    fn is_address(&self, address: SocketAddr) -> bool {
        let ip = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        let ports = [
            self.port.unwrap_or(default_port(false)),
            self.port.unwrap_or(default_port(self.plain)),
        ];
        ip.is_ok_and(|ip| ip.to_canonical() == address.ip().to_canonical())
            && ports.contains(&address.port())
    }

    /// Returns the destinations that both allow.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let same = self.host == other.host && self.port == other.port;
        same.then(|| Self { plain: self.plain && other.plain, ..self.clone() })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "http://" } else { "" };
        write!(f, "{scheme}{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// The default port.
pub(super) fn default_port(plain: bool) -> u16 {
    if plain { 80 } else { 443 }
}

/// Returns a destination as a grant would name it.
pub(super) fn shown(plain: bool, host: &str, port: u16) -> String {
    let scheme = if plain { "http://" } else { "" };
    let port = if port == default_port(plain) { String::new() } else { format!(":{port}") };
    format!("{scheme}{host}{port}")
}

/// Normalises a name: case and a trailing dot do not matter.
fn plain_name(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Returns true if connections to an address are allowed: it is public, or a grant names it.
pub(super) fn is_open(address: SocketAddr, granted: &[Destination]) -> bool {
    is_public(address.ip()) || granted.iter().any(|destination| destination.is_address(address))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Returns false for the addresses that IANA's special-purpose registry excludes from the public
/// internet.
fn is_public_v4(address: Ipv4Addr) -> bool {
    /// Azure's platform serves each machine's secrets here.
    const WIRE_SERVER: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127 | 224.., ..)
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        (..) => false,
    };
    !special && address != WIRE_SERVER
}

/// Accepts global unicast addresses. An embedded IPv4 address decides.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let inside = |at: usize| {
        let ([a, b], [c, d]) = (parts[at].to_be_bytes(), parts[at + 1].to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Mapped, and translated by the well-known NAT64 prefix.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => inside(6),
        // 6to4.
        [0x2002, ..] => inside(1),
        // Teredo, benchmarking, ORCHID and the like; documentation.
        [0x2001, 0..=0x01ff | 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_https_on_its_port() {
        let name = Destination::parse("Hooks.Example.org").unwrap();
        assert!(name.covers(false, "hooks.example.org.", 443));
        assert!(!name.covers(true, "hooks.example.org", 80));
        assert!(!name.covers(false, "hooks.example.org", 8443));
        assert!(!name.covers(false, "example.org", 443));
        assert!(Destination::parse("hooks.example.org:8443").unwrap().covers(
            false,
            "hooks.example.org",
            8443
        ));
    }

    #[test]
    fn plain_http_only_where_it_is_said() {
        let plain = Destination::parse("http://ntfy.example.org").unwrap();
        assert!(
            plain.covers(true, "ntfy.example.org", 80)
                && plain.covers(false, "ntfy.example.org", 443)
        );
        assert!(
            plain
                .and(&Destination::parse("ntfy.example.org").unwrap())
                .is_some_and(|both| !both.plain)
        );
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "ftp://example.org",
            "user@example.org",
            "example.org/path",
            "example.org:99999",
            "a b",
        ] {
            assert!(Destination::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn inner_addresses_are_closed_unless_granted_as_addresses() {
        let closed = [
            "127.0.0.1",
            "10.1.2.3",
            "172.22.1.1",
            "192.168.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::127.0.0.1",
            "ff02::1",
            "2001:db8::1",
            "fec0::1",
        ];
        for text in closed {
            let address = SocketAddr::new(text.parse().unwrap(), 443);
            assert!(!is_open(address, &[]), "{text}");
            let host = if address.is_ipv6() { format!("[{text}]") } else { text.to_owned() };
            assert!(is_open(address, &[Destination::parse(&host).unwrap()]), "{text} granted");
            assert!(
                !is_open(address, &[Destination::parse(&format!("{host}:1")).unwrap()]),
                "{text} at another port"
            );
        }
        for text in ["9.9.9.9", "2620:fe::fe", "64:ff9b::909:909", "2a01:4f8::1"] {
            assert!(is_open(SocketAddr::new(text.parse().unwrap(), 443), &[]), "{text}");
        }
    }
}
