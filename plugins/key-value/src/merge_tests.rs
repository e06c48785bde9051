//! Files of the shapes that sites have, merged.

use super::*;

/// A merge that knows nothing of lines; the host's own is used from outside.
fn whole(sides: &Sides, favor: Favor) -> Result<String, String> {
    Ok(if favor == Favor::Ours { &sides.ours } else { &sides.theirs }.clone())
}

fn merge_as(syntax: Syntax, favor: Favor, three: [&str; 3]) -> Result<String, String> {
    let renamed = [("blacklist_action", "denylist_action")].map(|(old, new)| (old.to_owned(), new.to_owned())).into();
    let rules = Rules { syntax, renamed: &renamed, favor, text_merge: whole };
    let [base, ours, theirs] = three.map(str::to_owned);
    merge(&rules, &Sides { base, ours, theirs })
}

fn merged(syntax: Syntax, three: [&str; 3]) -> String {
    merge_as(syntax, Favor::Ours, three).unwrap()
}

#[test]
fn a_renamed_key_keeps_the_site_s_value() {
    let three =
        ["a = 1\nblacklist_action = drop\n", "a = 1\nblacklist_action = ignore\n", "a = 1\ndenylist_action = drop\n"];
    for favor in [Favor::Ours, Favor::Theirs] {
        assert_eq!(merge_as(Syntax::Postfix, favor, three).unwrap(), "a = 1\ndenylist_action = ignore\n");
    }
}

#[test]
fn a_list_that_upstream_removed_stays_where_the_site_had_its_own() {
    let three = ["a = 1\nlist = x,\n  y\nb = 2\n", "a = 1\nlist = x,\n  mine\nb = 2\n", "a = 1\nb = 3\n"];
    assert_eq!(merged(Syntax::Postfix, three), "a = 1\nlist = x,\n  mine\nb = 3\n");
    assert_eq!(merge_as(Syntax::Postfix, Favor::Theirs, three).unwrap(), "a = 1\nb = 3\n");
    let untouched = ["a = 1\nlist = x\nb = 2\n", "a = 2\nlist = x\nb = 2\n", "a = 1\nb = 2\n"];
    assert_eq!(merged(Syntax::Postfix, untouched), "a = 2\nb = 2\n");
}

#[test]
fn what_the_container_wrote_is_no_edit() {
    let base = "a = 1\nsize = 5\n\n# Overrides #\n";
    let ours = "a = 2\nsize = 5\n\n# Overrides #\nsize = 9\nmyhostname = mail.example.org\n";
    let theirs = "a = 1\nsize = 6\nnew = 1\n\n# Overrides #\n";
    let told = "a = 2\nsize = 6\nnew = 1\n\n# Overrides #\nsize = 9\nmyhostname = mail.example.org\n";
    assert_eq!(merged(Syntax::Postfix, [base, ours, theirs]), told);
    assert!(merge_as(Syntax::Postfix, Favor::Ours, [base, ours, "a = 1\n"]).is_err());
}

#[test]
fn comments_and_order_are_kept() {
    let base = "# one\na = 1\n# two\nb = 2\n# end\n";
    let ours = "# one\na = 1\n# mine\nown = 1\n# two, as I like it\nb = 5\n# end\n# my end\n";
    let theirs = "# one, better\na = 1\nnew = 1\n# two\nb = 2\nc = 3\n# end\n";
    let told = "# one, better\na = 1\n# mine\nown = 1\nnew = 1\n# two, as I like it\nb = 5\nc = 3\n# end\n# my end\n";
    assert_eq!(merged(Syntax::Postfix, [base, ours, theirs]), told);
}

#[test]
fn a_key_that_the_site_commented_out_stays_so() {
    let three = ["a 1\nb 2\nc 3\n", "a 1\n#b 2\nc 3\n", "a 1\nb 4\nc 5\n"];
    assert_eq!(merged(Syntax::Redis, three), "a 1\n#b 2\nc 5\n");
    assert_eq!(merge_as(Syntax::Redis, Favor::Theirs, three).unwrap(), "a 1\nb 4\n#b 2\nc 5\n");
}

#[test]
fn what_the_site_noted_at_a_key_that_went_is_kept() {
    let three = ["# x\na 1\nb 2\n", "# x\n# mine\na 1\nb 3\n", "b 2\n"];
    assert_eq!(merged(Syntax::Redis, three), "# mine\nb 3\n");
}

#[test]
fn keys_that_come_more_than_once_are_told_apart_by_value() {
    let three = ["save 900 1\nsave 300 10\n", "save 900 1\nsave 60 5\n", "save 900 1\nsave 300 10\nsave 30 1\n"];
    assert_eq!(merged(Syntax::Redis, three), "save 900 1\nsave 60 5\nsave 30 1\n");
}

#[test]
fn keys_are_merged_within_their_blocks() {
    let base = "log = a\nservice x {\n  limit = 1\n  user = u\n}\nservice y {\n  limit = 1\n}\n";
    let ours = "log = a\nservice x {\n  limit = 9\n  user = u\n}\nservice y {\n  limit = 1\n  more = 1\n}\n";
    let theirs = "log = b\nservice y {\n  limit = 2\n}\nservice x {\n  limit = 2\n}\n";
    let told = "log = b\nservice y {\n  limit = 2\n  more = 1\n}\nservice x {\n  limit = 9\n}\n";
    assert_eq!(merged(Syntax::Dovecot, [base, ours, theirs]), told);
}

#[test]
fn sections_are_scopes() {
    let three = ["[a]\nx = 1\n[b]\nx = 1\n", "[a]\nx = 2\n[b]\nx = 1\n", "[a]\nx = 1\ny = 1\n[b]\nx = 3\n"];
    assert_eq!(merged(Syntax::Ini, three), "[a]\nx = 2\ny = 1\n[b]\nx = 3\n");
}

#[test]
fn a_key_without_its_block_is_left_to_others() {
    let three = ["s {\n  a = 1\n}\n", "s {\n  a = 2\n}\n", "b = 1\n"];
    assert!(merge_as(Syntax::Dovecot, Favor::Ours, three).unwrap_err().contains("its block"));
    let removed = ["s {\n  a = 1\n}\n", "b = 1\n", "s {\n  a = 1\n  c = 1\n}\n"];
    assert!(merge_as(Syntax::Dovecot, Favor::Ours, removed).is_err());
}

#[test]
fn blocks_of_one_name_are_left_to_others_if_there_are_more_or_fewer() {
    let (one, two) = ("p {\n  a = 1\n}\n", "p {\n  a = 1\n}\np {\n  a = 2\n}\n");
    assert!(merge_as(Syntax::Dovecot, Favor::Ours, [one, two, one]).unwrap_err().contains("more than once"));
    let edited = two.replace("a = 2", "a = 3");
    assert_eq!(merged(Syntax::Dovecot, [two, &edited, two]), edited);
}

#[test]
fn where_both_changed_a_value_the_favoured_side_s_counts() {
    let three = ["a 1\n", "a 2\n", "a 3\n"];
    assert_eq!(merge_as(Syntax::Redis, Favor::Ours, three).unwrap(), "a 2\n");
    assert_eq!(merge_as(Syntax::Redis, Favor::Theirs, three).unwrap(), "a 3\n");
}

#[test]
fn a_file_that_both_added_has_the_keys_of_both() {
    assert_eq!(merged(Syntax::Redis, ["", "a 1\nb 2\n", "b 3\nc 4\n"]), "a 1\nb 2\nc 4\n");
}
