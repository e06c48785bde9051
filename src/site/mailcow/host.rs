//! The checks and changes that update.sh makes on the machine, outside the site. Cowhand reports
//! these changes and makes none.

/// The path of the IPv6 controller in releases since 2025-09.
pub const IPV6_MODULE: &str = "_modules/scripts/ipv6_controller.sh";
/// The engine's settings, which update.sh writes.
pub const ENGINE_SETTINGS: &str = "/etc/docker/daemon.json";
/// The option with the first three numbers of mailcow's network, and what it is where the site does
/// not say.
pub const NETWORK: (&str, &str) = ("IPV4_NETWORK", "172.22.1");
/// The label of a network with the name of its bridge.
pub const BRIDGE: &str = "com.docker.network.bridge.name";
/// The service with which upstream finds out whether Spamhaus blocks the machine's network.
pub const ASN_CHECK: &str = "https://asn-check.mailcow.email";
/// The option with the site's own key for Spamhaus' lists.
pub const SPAMHAUS_KEY: &str = "SPAMHAUS_DQS_KEY";
/// The programs that upstream's functions and their jail need, besides the engine's.
pub const TOOLS: [&str; 9] =
    ["bash", "cut", "grep", "head", "mount", "sed", "setpriv", "tr", "unshare"];
/// Those of them that must be GNU's: smaller ones do not know every option that upstream's
/// functions use.
pub const GNU_TOOLS: [&str; 2] = ["grep", "sed"];

/// The rules that update.sh deletes from the table `nat`: those that masquerade mailcow's network
/// for a bridge that is not mailcow's. `rules` is what `iptables -t nat -S POSTROUTING` lists.
pub fn foreign_nat_rules<'a>(
    rules: &'a str,
    network: &'a str,
    bridge: &'a str,
) -> impl Iterator<Item = &'a str> {
    let known = !network.is_empty() && !bridge.is_empty();
    let concerns = move |rule: &&str| {
        let words: Vec<&str> = rule.split_whitespace().collect();
        words.windows(2).any(|pair| pair == ["-j", "MASQUERADE"])
            && words
                .iter()
                .any(|word| word.strip_prefix(network).is_some_and(|rest| rest.starts_with('.')))
            && !words.contains(&"-p")
            && !words.contains(&bridge)
    };
    rules.lines().filter(move |_| known).filter(concerns)
}

/// The state of IPv6 on the machine and in the site.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    /// True if the machine has a default route.
    pub route: bool,
    /// The setting in the new `mailcow.conf`.
    pub enabled: bool,
    /// The engine's settings, if there are any.
    pub settings: Option<&'a str>,
    /// The engine's version.
    pub engine: &'a str,
}

impl Ipv6<'_> {
    /// Returns the changes that update.sh would make.
    pub fn deeds(&self) -> Vec<String> {
        let (option, route) = (super::IPV6, self.route);
        let mut deeds = Vec::new();
        if self.enabled != route {
            let why = if route {
                "this machine has a route for IPv6"
            } else {
                "this machine has no route for IPv6"
            };
            deeds.push(format!(
                "set {option}={route} in mailcow.conf, whatever the site says: {why}"
            ));
        }
        if route {
            deeds.extend(self.engine_deed());
        }
        deeds
    }

    fn engine_deed(&self) -> Option<String> {
        let present: serde_json::Value = match self.settings.map(serde_json::from_str) {
            None => serde_json::Value::Null,
            Some(Ok(present)) => present,
            Some(Err(error)) => {
                return Some(format!("stop, because {ENGINE_SETTINGS} is not valid JSON: {error}"));
            }
        };
        let missing: Vec<String> = self
            .wanted_settings()
            .into_iter()
            .filter(|(name, value)| match value {
                serde_json::Value::String(_) => !present[name].is_string(),
                value => present[name] != *value,
            })
            .map(|(name, value)| format!("\"{name}\": {value}"))
            .collect();
        (!missing.is_empty()).then(|| {
            format!("write {} into {ENGINE_SETTINGS} and restart the engine", missing.join(", "))
        })
    }

    /// Newer engines need fewer settings.
    fn wanted_settings(&self) -> Vec<(&'static str, serde_json::Value)> {
        let major: u32 =
            self.engine.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(u32::MAX);
        let mut wanted = vec![("ipv6", true.into())];
        if major < 28 {
            wanted.push(("fixed-cidr-v6", "fd00:dead:beef:c0::/80".into()));
        }
        if major < 27 {
            wanted.extend([("ip6tables", true.into()), ("experimental", true.into())]);
        }
        wanted
    }
}

/// Returns true if the kernel's routes, `/proc/net/ipv6_route`, have a default one out of the
/// machine.
pub fn has_default_route(routes: &str) -> bool {
    const REJECT: u32 = 0x0200;
    routes.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [to, "00", _, _, _, _, _, _, flags, interface] = fields.as_slice() else {
            return false;
        };
        let rejects = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & REJECT != 0);
        to.bytes().all(|digit| digit == b'0') && *interface != "lo" && !rejects
    })
}

/// Judges the HTTP status of [`ASN_CHECK`] for a site with or without its own key. Returns true,
/// with the message, if the operator should act.
pub fn judge_asn(status: &str, has_key: bool) -> (bool, String) {
    match status {
        "200" => (false, "Spamhaus does not block this machine's network.".to_owned()),
        "503" if has_key => (
            false,
            format!(
                "Spamhaus blocks this machine's network; {SPAMHAUS_KEY} is set and used instead."
            ),
        ),
        "503" => (
            true,
            format!(
                "Spamhaus blocks this machine's network for its public lists, and {SPAMHAUS_KEY} is not set in mailcow.conf"
            ),
        ),
        "429" => (
            false,
            "The check for a Spamhaus block was rate-limited; a later run repeats it.".to_owned(),
        ),
        _ => (false, "Could not determine if Spamhaus blocks this machine's network.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_foreign_rules_for_mailcow_s_network_are_told() {
        let rules = "-P POSTROUTING ACCEPT\n\
            -A POSTROUTING -s 172.22.1.0/24 ! -o br-mailcow -j MASQUERADE\n\
            -A POSTROUTING -s 172.22.1.0/24 ! -o br-0815 -j MASQUERADE\n\
            -A POSTROUTING -s 172.22.10.0/24 ! -o br-10 -j MASQUERADE\n\
            -A POSTROUTING -s 172.22.1.7/32 -d 172.22.1.7/32 -p tcp -m tcp --dport 25 -j MASQUERADE\n\
            -A POSTROUTING -s 172.22.1.0/24 -j SNAT --to-source 192.0.2.1\n";
        let told: Vec<&str> = foreign_nat_rules(rules, "172.22.1", "br-mailcow").collect();
        assert_eq!(told, ["-A POSTROUTING -s 172.22.1.0/24 ! -o br-0815 -j MASQUERADE"]);
        assert_eq!(
            foreign_nat_rules(rules, "", "br-mailcow")
                .chain(foreign_nat_rules(rules, "172.22.1", ""))
                .count(),
            0
        );
    }

    #[test]
    fn what_the_script_would_do_about_ipv6_depends_on_the_machine_and_the_engine() {
        let all = Ipv6 { route: true, enabled: true, settings: None, engine: "26.1.0" };
        assert_eq!(
            all.deeds(),
            [format!(
                "write \"ipv6\": true, \"fixed-cidr-v6\": \"fd00:dead:beef:c0::/80\", \"ip6tables\": true, \"experimental\": \
                 true into {ENGINE_SETTINGS} and restart the engine"
            )]
        );
        let new = Ipv6 { settings: Some("{\"ipv6\": true}"), engine: "28.0.1", ..all };
        assert!(new.deeds().is_empty());
        assert!(Ipv6 { settings: Some("{"), ..new }.deeds()[0].contains("not valid JSON"));
        let own_range = "{\"ipv6\": true, \"fixed-cidr-v6\": \"fd01::/80\"}";
        assert!(Ipv6 { settings: Some(own_range), engine: "27.5", ..all }.deeds().is_empty());
        let none = Ipv6 { route: false, ..all };
        assert!(none.deeds()[0].starts_with("set ENABLE_IPV6=false"), "{:?}", none.deeds());
        assert!(none.deeds().len() == 1 && Ipv6 { enabled: false, ..none }.deeds().is_empty());
    }

    #[test]
    fn a_default_route_is_one_that_leads_out() {
        let zero = "0".repeat(32);
        let route = |flags: &str, interface: &str| {
            format!(
                "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 {flags} {interface}\n"
            )
        };
        assert!(has_default_route(&route("00450003", "eth0")));
        assert!(
            !has_default_route(&route("00200200", "lo"))
                && !has_default_route(&route("00200200", "eth0"))
        );
        assert!(!has_default_route(&format!(
            "fe80{} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0\n",
            &zero[4..]
        )));
    }

    #[test]
    fn only_a_blocked_network_without_a_key_asks_for_something_to_be_done() {
        for (status, has_key, todo) in [
            ("503", false, true),
            ("503", true, false),
            ("200", false, false),
            ("000", false, false),
        ] {
            assert_eq!(judge_asn(status, has_key).0, todo, "{status}");
        }
    }
}
