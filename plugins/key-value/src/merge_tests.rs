//! Merges of files as sites have them.

use super::*;

/// A substitute for the host's merge that takes the favoured side whole.
fn whole(sides: &Sides, favor: Favor) -> Result<String, String> {
    Ok(if favor == Favor::Ours { &sides.ours } else { &sides.theirs }.clone())
}

fn merge_as(syntax: Syntax, favor: Favor, three: [&str; 3]) -> Result<String, String> {
    let renamed = [("blacklist_action", "denylist_action")]
        .map(|(old, new)| (old.to_owned(), new.to_owned()))
        .into();
    let rules = Rules { syntax, renamed: &renamed, favor, text_merge: whole };
    let [base, ours, theirs] = three.map(str::to_owned);
    merge(&rules, &Sides { base, ours, theirs })
}

fn merged(syntax: Syntax, three: [&str; 3]) -> String {
    merge_as(syntax, Favor::Ours, three).unwrap()
}

#[test]
fn a_renamed_key_keeps_the_site_s_value() {
    let three = [
        "a = 1\nblacklist_action = drop\n",
        "a = 1\nblacklist_action = ignore\n",
        "a = 1\ndenylist_action = drop\n",
    ];
    for favor in [Favor::Ours, Favor::Theirs] {
        assert_eq!(
            merge_as(Syntax::Postfix, favor, three).unwrap(),
            "a = 1\ndenylist_action = ignore\n"
        );
    }
}

#[test]
fn a_list_that_upstream_removed_stays_where_the_site_had_its_own() {
    let three =
        ["a = 1\nlist = x,\n  y\nb = 2\n", "a = 1\nlist = x,\n  mine\nb = 2\n", "a = 1\nb = 3\n"];
    assert_eq!(merged(Syntax::Postfix, three), "a = 1\nlist = x,\n  mine\nb = 3\n");
    assert_eq!(merge_as(Syntax::Postfix, Favor::Theirs, three).unwrap(), "a = 1\nb = 3\n");
    let untouched = ["a = 1\nlist = x\nb = 2\n", "a = 2\nlist = x\nb = 2\n", "a = 1\nb = 2\n"];
    assert_eq!(merged(Syntax::Postfix, untouched), "a = 2\nb = 2\n");
}

#[test]
fn lines_that_the_container_wrote_are_not_edits() {
    let base = "a = 1\nsize = 5\n\n# Overrides #\n";
    let ours = "a = 2\nsize = 5\n\n# Overrides #\nsize = 9\nmyhostname = mail.example.org\n";
    let theirs = "a = 1\nsize = 6\nnew = 1\n\n# Overrides #\n";
    let expected =
        "a = 2\nsize = 6\nnew = 1\n\n# Overrides #\nsize = 9\nmyhostname = mail.example.org\n";
    assert_eq!(merged(Syntax::Postfix, [base, ours, theirs]), expected);
    assert!(merge_as(Syntax::Postfix, Favor::Ours, [base, ours, "a = 1\n"]).is_err());
}

#[test]
fn comments_and_order_are_kept() {
    let base = "# one\na = 1\n# two\nb = 2\n# end\n";
    let ours = "# one\na = 1\n# mine\nown = 1\n# two, as I like it\nb = 5\n# end\n# my end\n";
    let theirs = "# one, better\na = 1\nnew = 1\n# two\nb = 2\nc = 3\n# end\n";
    let expected = "# one, better\na = 1\n# mine\nown = 1\nnew = 1\n\
                # two, as I like it\nb = 5\nc = 3\n# end\n# my end\n";
    assert_eq!(merged(Syntax::Postfix, [base, ours, theirs]), expected);
}

#[test]
fn a_key_that_the_site_commented_out_stays_so() {
    let three = ["a 1\nb 2\nc 3\n", "a 1\n#b 2\nc 3\n", "a 1\nb 4\nc 5\n"];
    assert_eq!(merged(Syntax::Redis, three), "a 1\n#b 2\nc 5\n");
    assert_eq!(merge_as(Syntax::Redis, Favor::Theirs, three).unwrap(), "a 1\nb 4\n#b 2\nc 5\n");
}

#[test]
fn the_site_s_comments_on_a_removed_key_are_kept() {
    let three = ["# x\na 1\nb 2\n", "# x\n# mine\na 1\nb 3\n", "b 2\n"];
    assert_eq!(merged(Syntax::Redis, three), "# mine\nb 3\n");
}

#[test]
fn repeated_keys_are_identified_by_value() {
    let three = [
        "save 900 1\nsave 300 10\n",
        "save 900 1\nsave 60 5\n",
        "save 900 1\nsave 300 10\nsave 30 1\n",
    ];
    assert_eq!(merged(Syntax::Redis, three), "save 900 1\nsave 30 1\nsave 60 5\n");
}

#[test]
fn keys_are_merged_within_their_blocks() {
    let base = "log = a\nservice x {\n  limit = 1\n  user = u\n}\nservice y {\n  limit = 1\n}\n";
    let ours = "log = a\nservice x {\n  limit = 9\n  user = u\n}\n\
                service y {\n  limit = 1\n  more = 1\n}\n";
    let theirs = "log = b\nservice y {\n  limit = 2\n}\nservice x {\n  limit = 2\n}\n";
    let expected =
        "log = b\nservice y {\n  limit = 2\n  more = 1\n}\nservice x {\n  limit = 9\n}\n";
    assert_eq!(merged(Syntax::Dovecot, [base, ours, theirs]), expected);
}

#[test]
fn sections_are_scopes() {
    let three =
        ["[a]\nx = 1\n[b]\nx = 1\n", "[a]\nx = 2\n[b]\nx = 1\n", "[a]\nx = 1\ny = 1\n[b]\nx = 3\n"];
    assert_eq!(merged(Syntax::Ini, three), "[a]\nx = 2\ny = 1\n[b]\nx = 3\n");
}

#[test]
fn a_key_without_its_block_is_left_to_the_next_resolver() {
    let three = ["s {\n  a = 1\n}\n", "s {\n  a = 2\n}\n", "b = 1\n"];
    assert!(merge_as(Syntax::Dovecot, Favor::Ours, three).unwrap_err().contains("a block that"));
    let removed = ["s {\n  a = 1\n}\n", "b = 1\n", "s {\n  a = 1\n  c = 1\n}\n"];
    assert!(merge_as(Syntax::Dovecot, Favor::Ours, removed).is_err());
}

#[test]
fn blocks_of_one_name_are_left_to_the_next_resolver_if_their_number_changes() {
    let (one, two) = ("p {\n  a = 1\n}\n", "p {\n  a = 1\n}\np {\n  a = 2\n}\n");
    assert!(
        merge_as(Syntax::Dovecot, Favor::Ours, [one, two, one])
            .unwrap_err()
            .contains("more than once")
    );
    let edited = two.replace("a = 2", "a = 3");
    assert_eq!(merged(Syntax::Dovecot, [two, &edited, two]), edited);
}

#[test]
fn if_both_sides_changed_a_value_the_favoured_side_wins() {
    let three = ["a 1\n", "a 2\n", "a 3\n"];
    assert_eq!(merge_as(Syntax::Redis, Favor::Ours, three).unwrap(), "a 2\n");
    assert_eq!(merge_as(Syntax::Redis, Favor::Theirs, three).unwrap(), "a 3\n");
}

#[test]
fn a_file_that_both_added_has_the_keys_of_both() {
    assert_eq!(merged(Syntax::Redis, ["", "a 1\nb 2\n", "b 3\nc 4\n"]), "a 1\nb 2\nc 4\n");
}

#[test]
fn blocks_of_one_name_that_both_changed_are_left_to_the_next_resolver() {
    let row = |values: &[&str]| {
        values.iter().flat_map(|value| ["p {\n  ", value, "\n}\n"]).collect::<String>()
    };
    let merged = |base: &str, ours: &str, theirs: &str| {
        merge_as(Syntax::Dovecot, Favor::Ours, [base, ours, theirs])
    };
    let base = row(&["a = 1", "b = 1"]);
    let (ours, swapped) = (row(&["a = 9", "b = 1"]), row(&["b = 1", "a = 1"]));
    assert!(merged(&base, &ours, &swapped).unwrap_err().contains("both sides changed"));
    assert!(merged(&base, &swapped, &ours).unwrap_err().contains("both sides changed"));
    assert!(merged(&base, &ours, &row(&["a = 1", "b = 2"])).is_err());
    assert!(merged("", &ours, &base).is_err());
    // If only one side changed them, its version is taken, even reordered, or none.
    for (base, ours, theirs) in
        [(&base, &ours, &base), (&base, &base, &swapped), (&base, &swapped, &swapped)]
    {
        let expected = if theirs == base { ours } else { theirs };
        assert_eq!(&merged(base, ours, theirs).unwrap(), expected);
    }
    let row = |values: &[&str]| row(values) + "log = x\n";
    let (base, ours) = (row(&["a = 1\n  b = 1", "c = 1"]), row(&["b = 1\n  a = 1", "c = 1"]));
    assert!(
        merged(&base, &ours, &base.replace("log = x", "log = y")).is_err(),
        "the site's own order"
    );
    assert_eq!(
        merged(&base, &base.replace("c = 1", "c = 2"), &base.replace('x', "y")).unwrap(),
        base.replace("c = 1", "c = 2").replace('x', "y")
    );
}

#[test]
fn a_key_that_both_added_has_the_favoured_value_even_if_that_is_empty() {
    for (ours, theirs) in [("a = 1\nk =\n", "a = 1\nk = x\n"), ("a = 1\nk = x\n", "a = 1\nk =\n")] {
        let three = ["a = 1\n", ours, theirs];
        assert_eq!(merge_as(Syntax::Postfix, Favor::Ours, three).unwrap(), ours);
        assert_eq!(merge_as(Syntax::Postfix, Favor::Theirs, three).unwrap(), theirs);
    }
}

#[test]
fn a_value_is_taken_with_its_whole_line() {
    let three = ["flag\nx = 1\n", "flag = OFF\nx = 1\n", "flag\nx = 2\n"];
    assert_eq!(merged(Syntax::Ini, three), "flag = OFF\nx = 2\n");
    let three = ["flag = 1\nx = 1\n", "flag\nx = 1\n", "flag=1\nx = 2\n"];
    assert_eq!(merged(Syntax::Ini, three), "flag\nx = 2\n");
    let both = ["flag = 1\n", "flag\n", "flag = 0\n"];
    assert_eq!(merge_as(Syntax::Ini, Favor::Ours, both).unwrap(), "flag\n");
    assert_eq!(merge_as(Syntax::Ini, Favor::Theirs, both).unwrap(), "flag = 0\n");
}

#[test]
fn a_mysql_key_is_the_same_with_dashes_or_underscores() {
    let three = ["a = 1\nmax-x = 1\n", "a = 1\nmax-x = 5\n", "a = 1\nmax_x = 1\nb = 1\n"];
    assert_eq!(merged(Syntax::Ini, three), "a = 1\nmax-x = 5\nb = 1\n");
    assert_eq!(merged(Syntax::Redis, ["a-b 1\n", "a-b 2\n", "a-b 1\na_b 1\n"]), "a-b 2\na_b 1\n");
}

#[test]
fn spaces_within_quotes_are_part_of_a_value() {
    for [from, to] in [["\"a b\"", "\"a  b\""], ["'a b'", "'a  b'"], ["\"\\\" b\"", "\"\\\"  b\""]]
    {
        let file = |value: &str, limit: u8| format!("requirepass {value}\nlimit {limit}\n");
        let [base, ours, theirs] = [file(from, 1), file(to, 1), file(from, 2)];
        assert_eq!(merged(Syntax::Redis, [&base, &ours, &theirs]), file(to, 2));
    }
    assert_eq!(merged(Syntax::Redis, ["a 1  2\n", "a 1 2\n", "a 1  2\nb 1\n"]), "a 1  2\nb 1\n");
}

#[test]
fn the_site_s_last_value_of_a_key_stays_the_last() {
    assert_eq!(merged(Syntax::Ini, ["a = 1\n", "a = 1\na = 9\n", "a = 3\n"]), "a = 3\na = 9\n");
    assert_eq!(
        merged(
            Syntax::Ini,
            ["a = 1\nb = 1\n", "a = 1\nb = 1\na = 8\na = 9\n", "b = 1\na = 1\na = 2\nc = 1\n"]
        ),
        "b = 1\na = 1\na = 2\na = 8\na = 9\nc = 1\n"
    );
    // Upstream's last value stays behind the site's if it is so on the site's side.
    assert_eq!(
        merged(Syntax::Ini, ["n = 1\na = 2\n", "n = 1\na = 9\na = 2\n", "a = 2\nn = 1\n"]),
        "a = 9\na = 2\nn = 1\n"
    );
}

#[test]
fn values_in_an_order_that_cannot_be_kept_are_left_to_the_next_resolver() {
    let error = |three: [&str; 3]| merge_as(Syntax::Ini, Favor::Ours, three).unwrap_err();
    assert!(
        error(["a = 1\na = 2\nb = 1\n", "a = 2\nb = 1\na = 1\n", "a = 1\na = 2\nb = 2\n"])
            .contains("order")
    );
    assert!(
        error(["a = 1\n", "a = 1\na = 9\n", "a = 9\na = 1\n"]).contains("order"),
        "both added one"
    );
    assert!(
        error(["a = 1\na = 2\n", "a = 0\na = 1\n", "b = 1\n"]).contains("order"),
        "its last is gone"
    );
    assert!(error(["a = 1\na = 2\n", "a = 1\na = 9\na = 2\n", "a = 2\na = 1\n"]).contains("order"));
    assert_eq!(
        merged(Syntax::Ini, ["a = 1\na = 2\n", "a = 1\na = 2\nb = 1\n", "a = 2\na = 1\n"]),
        "a = 2\nb = 1\na = 1\n"
    );
}

#[test]
fn a_repeated_key_is_renamed_each_time() {
    let three = [
        "blacklist_action x\nblacklist_action y\n",
        "blacklist_action x\nblacklist_action z\n",
        "denylist_action x\ndenylist_action y\n",
    ];
    for favor in [Favor::Ours, Favor::Theirs] {
        assert_eq!(
            merge_as(Syntax::Redis, favor, three).unwrap(),
            "denylist_action x\ndenylist_action z\n"
        );
    }
}

#[test]
fn line_endings_are_kept() {
    let three = ["a = 1\nb = 1\n", "a = 2\nb = 1\nc = 1\n", "b = 1\na = 1\n"];
    let expected = "b = 1\nc = 1\na = 2\n".replace('\n', "\r\n");
    let windows = three.map(|text| text.replace('\n', "\r\n"));
    assert_eq!(merged(Syntax::Ini, [&windows[0], &windows[1], &windows[2]]), expected);
    assert_eq!(merged(Syntax::Ini, [three[0], three[1], &windows[2]]), expected);
    assert_eq!(merged(Syntax::Ini, [three[0], &windows[1], three[2]]), expected);
    assert!(merge_as(Syntax::Ini, Favor::Ours, [three[0], "a = 2\r\nb = 1\n", three[2]]).is_err());
}
