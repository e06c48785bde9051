//! Edits of a `cowhand.toml` that keep the rest of the text, including comments.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, TableLike, Value, value};

use crate::error::{Error, Result};
use crate::exit::Exit;

/// The key of the plugins' tables.
const PLUGIN: &str = "plugin";
/// The grant keys with lists.
const LISTS: [&str; 4] = ["read", "install", "http", "env"];
/// The grant keys with one value.
const VALUES: [&str; 2] = ["memory", "time"];

/// A grant from the command line: `http=ntfy.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantLine {
    key: String,
    value: String,
}

impl std::str::FromStr for GrantLine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let keys = || LISTS.into_iter().chain(VALUES);
        match text.split_once('=') {
            Some((key, value)) if keys().any(|known| known == key) && !value.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(Error::new(format!(
                "`{text}` is not KEY=VALUE with one of the keys {}",
                keys().collect::<Vec<_>>().join(", ")
            ))),
        }
    }
}

/// Adds a plugin's table after the others, or changes the source of an existing one. Grants are
/// added to its existing grants.
pub fn put_plugin(text: &str, name: &str, source: &str, grants: &[GrantLine]) -> Result<String> {
    let mut document = parse(text)?;
    // Trailing comments stay above a table that is added after them.
    let end = document.trailing().as_str().unwrap_or_default().to_owned();
    let is_new = tables(&mut document)?.iter().all(|table| !is_named(table, name));
    if is_new {
        document.set_trailing("");
        tables(&mut document)?.push(named(name, &end));
    }
    let tables = tables(&mut document)?;
    let table = tables.iter_mut().find(|table| is_named(table, name)).ok_or_else(not_tables)?;
    set(table, "source", source.into());
    for grant in grants {
        add_grant(table, grant)?;
    }
    Ok(document.to_string())
}

/// Removes a plugin's table and the comment right above it. `None` if the plugin does not exist.
pub fn remove_plugin(text: &str, name: &str) -> Result<Option<String>> {
    let mut document = parse(text)?;
    let tables = tables(&mut document)?;
    let Some(at) = tables.iter().position(|table| is_named(table, name)) else { return Ok(None) };
    let (place, kept) = tables.get(at).map_or((None, String::new()), |table| {
        let above = above(table);
        // A comment above an empty line is not about the table.
        (table.position(), above.rfind("\n\n").map_or("", |end| &above[..=end]).to_owned())
    });
    tables.remove(at);
    if tables.is_empty() {
        document.remove(PLUGIN);
    }
    if let Some(next) = first_below(&mut document, place) {
        let prefix = kept + above(next);
        next.decor_mut().set_prefix(prefix);
    } else {
        let end = kept + document.trailing().as_str().unwrap_or_default();
        document.set_trailing(end);
    }
    Ok(Some(document.to_string()))
}

/// Returns the comments and empty lines above a table.
fn above(table: &Table) -> &str {
    table.decor().prefix().and_then(|above| above.as_str()).unwrap_or_default()
}

/// Returns the first table after a position.
fn first_below(table: &mut Table, place: Option<isize>) -> Option<&mut Table> {
    if !table.is_implicit() && table.position() > place {
        return Some(table);
    }
    let children = table.iter_mut().flat_map(|(_, item)| match item {
        Item::Table(table) => vec![table],
        Item::ArrayOfTables(tables) => tables.iter_mut().collect(),
        _ => Vec::new(),
    });
    children.filter_map(|child| first_below(child, place)).min_by_key(|child| child.position())
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        Error::new("could not parse cowhand.toml").because(error)
    })
}

fn tables(document: &mut DocumentMut) -> Result<&mut ArrayOfTables> {
    let item = document.entry(PLUGIN).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    item.as_array_of_tables_mut().ok_or_else(not_tables)
}

fn not_tables() -> Error {
    let what = "the plugins in cowhand.toml are not `[[plugin]]` tables";
    Error::new(what)
        .exit(Exit::Usage)
        .hint("Write each plugin as a table that begins with `[[plugin]]`.")
}

fn is_named(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

fn named(name: &str, above: &str) -> Table {
    let mut table = Table::new();
    table.insert("name", value(name));
    table.decor_mut().set_prefix(format!("{above}\n"));
    table
}

/// Sets a value and keeps the comment after it.
fn set(table: &mut dyn TableLike, key: &str, new: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => drop(table.insert(key, Item::Value(new))),
    }
}

fn add_grant(table: &mut Table, grant: &GrantLine) -> Result<()> {
    let held = table.entry("grant").or_insert_with(|| Item::Table(Table::new()));
    let wrong =
        || Error::new("the plugin's `grant` in cowhand.toml is not a table").exit(Exit::Usage);
    let held = held.as_table_like_mut().ok_or_else(wrong)?;
    if VALUES.contains(&grant.key.as_str()) {
        set(held, &grant.key, grant.value.as_str().into());
        return Ok(());
    }
    let list = held.entry(&grant.key).or_insert_with(|| value(Array::new()));
    let list = list.as_array_mut().ok_or_else(wrong)?;
    if list.iter().all(|known| known.as_str() != Some(&grant.value)) {
        list.push(grant.value.as_str());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# ours\n[merge]\nfavor = \"ours\" # always\n\n# the first\n[[plugin]]\nname = \"one\"\nsource = \"a.wasm\" # old\n[plugin.config]\nx = 1 # kept\n\n[prune]\nvolumes = false\n";

    #[test]
    fn a_new_plugin_comes_last_and_nothing_else_changes() {
        let put = put_plugin(TEXT, "two", "b.wasm", &[]).unwrap();
        assert!(
            put.contains("x = 1 # kept\n\n[[plugin]]\nname = \"two\"\nsource = \"b.wasm\"\n"),
            "{put}"
        );
        for line in TEXT.lines() {
            assert!(put.contains(line), "{line} is not in\n{put}");
        }
        let comments = "# ours\n\n# merge = none\n";
        let below = put_plugin(comments, "two", "b.wasm", &[]).unwrap();
        assert_eq!(below, format!("{comments}\n[[plugin]]\nname = \"two\"\nsource = \"b.wasm\"\n"));
        assert_eq!(
            put_plugin("", "two", "b.wasm", &[]).unwrap(),
            "\n[[plugin]]\nname = \"two\"\nsource = \"b.wasm\"\n"
        );
    }

    #[test]
    fn a_known_plugin_gets_the_source_and_the_grants() {
        let grants = ["http=ntfy.sh", "http=ntfy.sh", "time=20s"].map(|text| text.parse().unwrap());
        let put = put_plugin(TEXT, "one", "c.wasm", &grants).unwrap();
        assert!(put.contains("source = \"c.wasm\" # old\n"), "{put}");
        assert!(
            put.contains("http = [\"ntfy.sh\"]\ntime = \"20s\"\n")
                && put.contains("[plugin.grant]"),
            "{put}"
        );
        assert!(put.contains("x = 1 # kept"), "{put}");
        let config = crate::config::Config::parse(&put, "cowhand.toml").unwrap();
        assert_eq!(config.plugin[0].grant.http, ["ntfy.sh"]);
        assert_eq!(config.plugin[0].config["x"], 1);
    }

    #[test]
    fn a_plugin_goes_and_the_rest_stays() {
        let put = put_plugin(TEXT, "two", "b.wasm", &[]).unwrap();
        assert_eq!(remove_plugin(&put, "two").unwrap().unwrap(), TEXT);
        let none = remove_plugin(TEXT, "one").unwrap().unwrap();
        assert!(
            !none.contains("plugin")
                && none.contains("favor = \"ours\" # always")
                && none.contains("[prune]"),
            "{none}"
        );
        assert_eq!(remove_plugin(TEXT, "three").unwrap(), None);
    }

    #[test]
    fn only_the_comment_right_above_goes_with_a_plugin() {
        let text = "# The site's.\n\n# favor = \"ours\"\n\n# One.\n[[plugin]]\nname = \"one\"\n[plugin.config]\nx = 1\n\n# Two.\n[[plugin]]\nname = \"two\"\n\n# The end.\n";
        let without_one = remove_plugin(text, "one").unwrap().unwrap();
        assert_eq!(
            without_one,
            "# The site's.\n\n# favor = \"ours\"\n\n# Two.\n[[plugin]]\nname = \"two\"\n\n# The end.\n"
        );
        assert_eq!(
            remove_plugin(&without_one, "two").unwrap().unwrap(),
            "# The site's.\n\n# favor = \"ours\"\n\n# The end.\n"
        );
    }
}
