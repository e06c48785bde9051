//! Compose files as sites have them.

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

/// The base with a side's changes.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(BASE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

fn sides(ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Sides {
    Sides { base: BASE.to_owned(), ours: changed(ours), theirs: changed(theirs) }
}

/// Upstream's file with the site's pins, as if a merge had let upstream win everywhere.
fn kept(ours: &[(&str, &str)], theirs: &[(&str, &str)]) -> Result<String, String> {
    let sides = sides(ours, theirs);
    let pinned = ["image", "ports", "profiles"].map(str::to_owned);
    keep(&pinned, &sides, |sides| Ok(sides.theirs.clone()))
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
fn images_and_ports_are_kept_when_upstream_changes_them() {
    let ours =
        [("mariadb:10.5", "mariadb:10.5.29 # not 10.6 yet"), ("${SMTP_PORT:-25}:25", "2525:25")];
    let theirs = [
        ("mariadb:10.5", "mariadb:10.11"),
        ("postfix:1.80", "postfix:1.81"),
        ("${SMTP_PORT:-25}:25", "${SMTP_PORT:-0.0.0.0:25}:25"),
    ];
    let expected = changed(&[
        ("mariadb:10.5", "mariadb:10.5.29 # not 10.6 yet"),
        ("postfix:1.80", "postfix:1.81"),
        ("${SMTP_PORT:-25}:25", "2525:25"),
    ]);
    assert_eq!(kept(&ours, &theirs).unwrap(), expected);
}

#[test]
fn a_service_that_upstream_removed_does_not_come_back_because_of_its_port() {
    let theirs = [(SOLR, ""), ("        - solr-mailcow\n", "")];
    assert_eq!(kept(&[("18983", "18984")], &theirs).unwrap(), changed(&theirs));
    // Not even where the site's side won.
    let sides = Sides {
        base: BASE.to_owned(),
        ours: changed(&[("18983", "18984")]),
        theirs: changed(&theirs),
    };
    assert_eq!(
        keep(&["ports".to_owned()], &sides, |sides| Ok(sides.ours.clone())).unwrap(),
        changed(&theirs)
    );
}

#[test]
fn a_service_that_the_site_removed_stays_removed_and_nothing_depends_on_it() {
    let ours = [(SOLR, ""), ("        - solr-mailcow\n", "")];
    let theirs = [("solr:1.8", "solr:1.9"), ("postfix:1.80", "postfix:1.81")];
    assert_eq!(kept(&ours, &theirs).unwrap(), changed(&[ours[0], ours[1], theirs[1]]));
}

#[test]
fn a_service_in_comments_stays_in_comments_and_follows_upstream() {
    let commented =
        SOLR.trim_end().lines().map(|line| format!("#{line}\n")).collect::<String>() + "\n";
    let text =
        kept(&[(SOLR, &commented), ("        - solr-mailcow\n", "")], &[("solr:1.8", "solr:1.9")])
            .unwrap();
    assert!(
        text.contains("#    solr-mailcow:\n#      image: mailcow/solr:1.9\n#      ports:\n"),
        "{text}"
    );
}

#[test]
fn a_service_with_a_profile_of_the_site_s_stays_switched_off() {
    let ours =
        [("image: mailcow/solr:1.8", "image: mailcow/solr:1.8\n      profiles:\n        - never")];
    let text = kept(&ours, &[("solr:1.8", "solr:1.9")]).unwrap();
    assert!(text.contains("18983}:8983\"\n      profiles:\n        - never\n\n"), "{text}");
}

#[test]
fn ipv6_stays_off_if_the_site_switched_it_off() {
    let ours = [
        (IPV6NAT, ""),
        ("enable_ipv6: true", "enable_ipv6: false"),
        ("        - subnet: fd4d::/64\n", ""),
    ];
    let theirs = [(IPV6NAT, ""), ("enable_ipv6: true", "enable_ipv6: ${ENABLE_IPV6:-true}")];
    assert_eq!(kept(&ours, &theirs).unwrap(), changed(&ours));
}

#[test]
fn a_service_of_the_site_s_own_is_kept_with_its_volume() {
    let own = "    own-mailcow:\n      image: own:1\n      volumes:\n        - own-vol-1:/data\n\n\
               networks:\n";
    let ours = [("networks:\n", own), ("  mysql-vol-1:\n", "  mysql-vol-1:\n  own-vol-1:\n")];
    let text = kept(&ours, &[(SOLR, ""), ("        - solr-mailcow\n", "")]).unwrap();
    assert!(
        text.contains(
            "    own-mailcow:\n      image: own:1\n      volumes:\n        - own-vol-1:/data\n"
        ),
        "{text}"
    );
    assert!(text.ends_with("volumes:\n  mysql-vol-1:\n  own-vol-1:\n"), "{text}");
}

#[test]
fn an_incomplete_result_is_left_to_the_next_resolver() {
    let needs = [(
        "image: mariadb:10.5",
        "image: mariadb:10.5\n      volumes:\n        - lost-vol-1:/data",
    )];
    let sides = Sides { base: BASE.to_owned(), ours: BASE.to_owned(), theirs: BASE.to_owned() };
    let error = |merged: &str| keep(&[], &sides, |_| Ok(merged.to_owned())).unwrap_err();
    assert!(error(&changed(&needs)).contains("lost-vol-1"));
    assert!(error("services: [").starts_with("the merged file"));
    assert!(error(&BASE.replace("solr-mailcow:", "mysql-mailcow:")).contains("twice"));
    assert!(error("services:\n").contains("no services"));
    assert!(
        error(&BASE.replace("      image: mailcow/solr:1.8\n", ""))
            .contains("no longer has an image")
    );
}

#[test]
fn references_in_brackets_to_a_removed_service_are_removed() {
    let (list, brackets) =
        ("\n        - mysql-mailcow\n        - solr-mailcow\n", " [mysql-mailcow, solr-mailcow]\n");
    let without = " [mysql-mailcow]\n";
    let upstream = [(SOLR, ""), (list, "\n        - mysql-mailcow\n")];
    // The site's side won there.
    let sides = Sides {
        base: BASE.to_owned(),
        ours: changed(&[(list, brackets)]),
        theirs: changed(&upstream),
    };
    let text = keep(&[], &sides, |sides| Ok(sides.ours.clone())).unwrap();
    assert_eq!(text, changed(&[(SOLR, ""), (list, without)]));
    let nothing_else = [(list, " {mysql-mailcow: {}, solr-mailcow: {}}\n")];
    let sides = Sides { ours: changed(&nothing_else), ..sides };
    let error = keep(&[], &sides, |sides| Ok(sides.ours.clone())).unwrap_err();
    assert!(error.contains("refers to service solr-mailcow"), "{error}");
}

#[test]
fn references_to_a_service_in_another_file_are_kept() {
    let named = [("        - solr-mailcow\n", "        - solr-mailcow\n        - own-mailcow\n")];
    let text =
        keep(&[], &sides(&named, &[("solr:1.8", "solr:1.9")]), |sides| Ok(sides.ours.clone()))
            .unwrap();
    assert!(text.contains("        - own-mailcow\n"), "{text}");
    // Also one that the site moved there.
    let moved = [(SOLR, "")];
    let text = keep(&[], &sides(&moved, &[("postfix:1.80", "postfix:1.81")]), |sides| {
        Ok(sides.ours.clone())
    })
    .unwrap();
    assert!(text.contains("        - solr-mailcow\n"), "{text}");
}

#[test]
fn line_endings_are_kept() {
    let windows = |text: String| text.replace('\n', "\r\n");
    let (ours, theirs) = ([("mariadb:10.5", "mariadb:10.6")], [("solr:1.8", "solr:1.9")]);
    let of = |sides: &Sides| keep(&["image".to_owned()], sides, |sides| Ok(sides.theirs.clone()));
    let expected = windows(changed(&[ours[0], theirs[0]]));
    let plain = sides(&ours, &theirs);
    let sides = Sides {
        base: windows(plain.base.clone()),
        ours: windows(plain.ours.clone()),
        theirs: windows(plain.theirs.clone()),
    };
    assert_eq!(of(&sides).unwrap(), expected);
    assert_eq!(of(&Sides { ours: sides.ours.clone(), ..plain.clone() }).unwrap(), expected);
    assert!(of(&Sides { ours: sides.ours.replacen("\r\n", "\n", 1), ..plain }).is_err());
}

#[test]
fn a_service_ends_where_its_last_text_does() {
    let text = "      image: mailcow/solr:1.8\n      command: >\n        one line\n";
    let base = BASE
        .replace("      image: mailcow/solr:1.8\n", "")
        .replace("18983}:8983\"\n", &format!("18983}}:8983\"\n{text}"));
    let theirs = base.replace("postfix:1.80", "postfix:1.81");
    let from = base.find("    solr-mailcow:").unwrap();
    let ours = base[..from].to_owned() + &base[base.find("    ipv6nat-mailcow:").unwrap()..];
    let sides = Sides { base, ours: ours.replace("        - solr-mailcow\n", ""), theirs };
    let kept = keep(&[], &sides, |sides| Ok(sides.theirs.clone())).unwrap();
    assert_eq!(kept, sides.ours.replace("postfix:1.80", "postfix:1.81"));
}

#[test]
fn a_part_in_brackets_is_not_taken_for_missing() {
    let solr = "    solr-mailcow: {image: \"mailcow/solr:1.8\", restart: always}\n\n";
    assert!(
        kept(&[(SOLR, solr)], &[("solr:1.8", "solr:1.9")])
            .unwrap_err()
            .contains("`solr-mailcow` is not a block")
    );
    // A list that was in brackets is taken from the site as a whole.
    let ports = "ports:\n        - \"${SOLR_PORT:-127.0.0.1:18983}:8983\"\n";
    let base = BASE.replace(ports, "ports: [\"1:1\", \"2:2\"]\n");
    let ours = base.replace("ports: [\"1:1\", \"2:2\"]\n", "ports:\n        - \"2:2\"\n");
    let theirs = base
        .replace("ports: [\"1:1\", \"2:2\"]\n", "ports:\n        - \"1:1\"\n        - \"2:2\"\n");
    let sides = Sides { base, ours, theirs };
    assert_eq!(
        keep(&["ports".to_owned()], &sides, |sides| Ok(sides.theirs.clone())).unwrap(),
        sides.ours
    );
}

#[test]
fn upstream_s_change_of_a_pinned_key_applies_where_the_site_made_none() {
    let (ours, theirs) = (
        [("mariadb:10.5", "mariadb:10.6"), ("${SMTP_PORT:-25}:25", "2525:25")],
        [("solr:1.8", "solr:1.9"), ("587}:587\"\n", "587}:587\"\n        - \"465:465\"\n")],
    );
    // As if the site's side had won everywhere.
    let pinned = ["image", "ports"].map(str::to_owned);
    let text = keep(&pinned, &sides(&ours, &theirs), |sides| Ok(sides.ours.clone())).unwrap();
    assert_eq!(text, changed(&[ours[0], ours[1], theirs[0], theirs[1]]));
}

#[test]
fn a_service_that_one_side_added_stays_as_it_was() {
    let (own, new) = (
        "    own:\n      image: own:1\n      restart: always\n\nnetworks:\n",
        "    new:\n      image: new:1\n      restart: always\n\nnetworks:\n",
    );
    let three = sides(&[("networks:\n", own)], &[("networks:\n", new)]);
    // A merge may produce this if some lines of both are the same.
    let mixed = changed(&[("networks:\n", "    own:\n      restart: always\n\nnetworks:\n")]);
    let text = keep(&[], &three, |_| Ok(mixed.clone())).unwrap();
    for service in [own, new] {
        assert!(text.contains(service.trim_end_matches("\nnetworks:\n")), "{text}");
    }
}
