//! Compose files of the shapes that sites have.

use super::*;

const BASE: &str = "\
services:

    mysql-mailcow:
      image: mariadb:10.5
      ports:
        - \"${SQL_PORT:-127.0.0.1:13306}:3306\"

    postfix-mailcow:
      image: ghcr.io/mailcow/postfix:1.80
      depends_on:
        mysql-mailcow:
          condition: service_started
      ports:
        - \"${SMTP_PORT:-25}:25\"
        - \"${SUBMISSION_PORT:-587}:587\"

    solr-mailcow:
      image: mailcow/solr:1.8
      ports:
        - \"${SOLR_PORT:-127.0.0.1:18983}:8983\"

    ipv6nat-mailcow:
      depends_on:
        - mysql-mailcow
        - solr-mailcow
      image: robbertkl/ipv6nat

networks:
  mailcow-network:
    enable_ipv6: true
    ipam:
      config:
        - subnet: 172.22.1.0/24
        - subnet: fd4d::/64

volumes:
  mysql-vol-1:
";

/// The changes of a side.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

/// Upstream's file with the site's pins, as if a merge had let upstream win everywhere.
fn kept(ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Result<String, String> {
    let (ours, theirs) = (changed(ours), changed(theirs));
    let sides = Sides { base: BASE.to_owned(), ours, theirs };
    let pinned = ["image", "ports", "profiles"].map(str::to_owned);
    keep(&pinned, &sides, &sides.theirs)
}

const SOLR: &str = "    solr-mailcow:
      image: mailcow/solr:1.8
      ports:
        - \"${SOLR_PORT:-127.0.0.1:18983}:8983\"

";
const IPV6NAT: &str = "    ipv6nat-mailcow:
      depends_on:
        - mysql-mailcow
        - solr-mailcow
      image: robbertkl/ipv6nat

";

#[test]
fn images_and_ports_are_kept_where_upstream_moved_on() {
    let ours = [("mariadb:10.5", "mariadb:10.5.29 # not 10.6 yet"), ("${SMTP_PORT:-25}:25", "2525:25")];
    let theirs = [
        ("mariadb:10.5", "mariadb:10.11"),
        ("postfix:1.80", "postfix:1.81"),
        ("${SMTP_PORT:-25}:25", "${SMTP_PORT:-0.0.0.0:25}:25"),
    ];
    let told = changed(&[
        ("mariadb:10.5", "mariadb:10.5.29 # not 10.6 yet"),
        ("postfix:1.80", "postfix:1.81"),
        ("${SMTP_PORT:-25}:25", "2525:25"),
    ]);
    assert_eq!(kept(&ours, &theirs).unwrap(), told);
}

#[test]
fn a_service_that_upstream_removed_does_not_come_back_for_its_port() {
    let theirs = [(SOLR, ""), ("        - solr-mailcow\n", "")];
    assert_eq!(kept(&[("18983", "18984")], &theirs).unwrap(), changed(&theirs));
    // Not even where the site's side won.
    let sides = Sides { base: BASE.to_owned(), ours: changed(&[("18983", "18984")]), theirs: changed(&theirs) };
    assert_eq!(keep(&["ports".to_owned()], &sides, &sides.ours).unwrap(), changed(&theirs));
}

#[test]
fn a_service_that_the_site_took_out_stays_out_and_nothing_waits_for_it() {
    let ours = [(SOLR, ""), ("        - solr-mailcow\n", "")];
    let theirs = [("solr:1.8", "solr:1.9"), ("postfix:1.80", "postfix:1.81")];
    assert_eq!(kept(&ours, &theirs).unwrap(), changed(&[ours[0], ours[1], theirs[1]]));
}

#[test]
fn a_service_in_comments_stays_there_as_upstream_has_it_now() {
    let commented = SOLR.trim_end().lines().map(|line| format!("#{line}\n")).collect::<String>() + "\n";
    let text = kept(&[(SOLR, &commented), ("        - solr-mailcow\n", "")], &[("solr:1.8", "solr:1.9")]).unwrap();
    assert!(text.contains("#    solr-mailcow:\n#      image: mailcow/solr:1.9\n#      ports:\n"), "{text}");
}

#[test]
fn a_service_with_a_profile_of_the_site_s_stays_switched_off() {
    let ours = [("image: mailcow/solr:1.8", "image: mailcow/solr:1.8\n      profiles:\n        - never")];
    let text = kept(&ours, &[("solr:1.8", "solr:1.9")]).unwrap();
    assert!(text.contains("18983}:8983\"\n      profiles:\n        - never\n\n"), "{text}");
}

#[test]
fn ipv6_that_is_off_stays_off_altogether() {
    let ours = [(IPV6NAT, ""), ("enable_ipv6: true", "enable_ipv6: false"), ("        - subnet: fd4d::/64\n", "")];
    let theirs = [(IPV6NAT, ""), ("enable_ipv6: true", "enable_ipv6: ${ENABLE_IPV6:-true}")];
    assert_eq!(kept(&ours, &theirs).unwrap(), changed(&ours));
}

#[test]
fn a_service_of_the_site_s_own_comes_along_with_its_volume() {
    let own = "    own-mailcow:\n      image: own:1\n      volumes:\n        - own-vol-1:/data\n\nnetworks:\n";
    let ours = [("networks:\n", own), ("  mysql-vol-1:\n", "  mysql-vol-1:\n  own-vol-1:\n")];
    let text = kept(&ours, &[(SOLR, ""), ("        - solr-mailcow\n", "")]).unwrap();
    assert!(
        text.contains("    own-mailcow:\n      image: own:1\n      volumes:\n        - own-vol-1:/data\n"),
        "{text}"
    );
    assert!(text.ends_with("volumes:\n  mysql-vol-1:\n  own-vol-1:\n"), "{text}");
}

#[test]
fn what_would_not_hold_together_is_left_to_others() {
    let needs = [("image: mariadb:10.5", "image: mariadb:10.5\n      volumes:\n        - lost-vol-1:/data")];
    let sides = Sides { base: BASE.to_owned(), ours: BASE.to_owned(), theirs: BASE.to_owned() };
    assert!(keep(&[], &sides, &changed(&needs)).unwrap_err().contains("lost-vol-1"));
    assert!(keep(&[], &sides, "services: [").unwrap_err().starts_with("the merged file"));
    assert!(keep(&[], &sides, &BASE.replace("solr-mailcow:", "mysql-mailcow:")).unwrap_err().contains("twice"));
}
