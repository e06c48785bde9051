//! The health of the new stack, as an update judges it: published ports must be served, with the
//! right greeting.

use cowhand::demo::images::Image;

use crate::support::site::Site;
use crate::support::stack::small;
use crate::support::tests;

tests! {
    Stack: who_does_not_greet_as_a_mail_server_does_is_not_well,
}

/// Each port, and what its server says first.
const GREETINGS: &[(&str, u16, &str)] = &[
    ("postfix", 25, "220 mail.example.org ESMTP"),
    ("postfix", 587, "220 mail.example.org ESMTP"),
    ("dovecot", 110, "+OK ready"),
    ("dovecot", 143, "* OK ready"),
    ("dovecot", 4190, "\"IMPLEMENTATION\" \"sieve\""),
];

/// Upstream has new images, whose servers greet, say something else (`OK` is not yet `+OK`) or are
/// not there.
fn releases(site: &Site, tag: &str, wrong: &[u16], missing: &[u16]) {
    let mut compose = site.upstream.read("docker-compose.yml").unwrap();
    for name in ["postfix", "dovecot"] {
        let ports = GREETINGS.iter().filter(|(of, port, _)| *of == name && !missing.contains(port));
        let said = |port: u16, greeting: &'static str| {
            if wrong.contains(&port) { "OK, hello" } else { greeting }
        };
        let image = ports.fold(Image::new(), |image, (_, port, greeting)| {
            image.listens(*port, said(*port, greeting))
        });
        site.images.push(name, tag, &image).unwrap();
        let was =
            compose.lines().find(|line| line.contains(&format!("/{name}:"))).unwrap().to_owned();
        compose =
            compose.replace(&was, &format!("      image: {}", site.images.reference(name, tag)));
    }
    let sieve = "        - \"${SIEVE_PORT:-4190}:4190\"\n";
    if !compose.contains(":110\"") {
        let pop = format!("        - \"127.0.0.1:{}:110\"\n", site.slot().port(9));
        compose = compose.replace(sieve, &format!("{sieve}{pop}"));
    }
    site.upstream.commit("Mail servers").write("docker-compose.yml", compose).publish().unwrap();
}

fn who_does_not_greet_as_a_mail_server_does_is_not_well() {
    let site = small(&[
        "unbound-mailcow",
        "mysql-mailcow",
        "redis-mailcow",
        "dovecot-mailcow",
        "postfix-mailcow",
    ]);
    let site = site.has("cowhand.toml", "[verify]\nsettle = \"300ms\"\nports = \"1s\"\n").running();
    // From now on git's status leaves Cowhand's own files out.
    site.cowhand(["plan", "--until", "preflight"]).exits(0);
    let old = site.whole();
    let not_served =
        |port: u16, why: &str| format!("(in the container: {port}) is not served: {why}");
    let greets = "it does not greet as a mail server does";
    let refused = "Connection refused";
    let cases: [(&[u16], &[u16], _); 3] = [
        (&[25, 110], &[], [not_served(25, greets), not_served(110, greets)]),
        (&[587, 143], &[], [not_served(587, greets), not_served(143, greets)]),
        (&[4190], &[25], [not_served(4190, greets), not_served(25, refused)]),
    ];
    for (turn, (wrong, missing, told)) in cases.into_iter().enumerate() {
        releases(&site, &format!("bad-{turn}"), wrong, missing);
        site.cowhand(["update", "--yes"]).exits(20).says(&told[0]).says(&told[1]);
        site.is_wholly(&old);
    }
    releases(&site, "good", &[], &[]);
    site.cowhand(["update", "--yes"]).exits(0).says("5 services healthy");
}
