//! The options of a `mailcow.conf`, read as upstream writes them.

use std::collections::BTreeMap;

/// The options of a `mailcow.conf`.
#[derive(Clone, Debug, Default)]
pub struct Conf(BTreeMap<String, String>);

impl Conf {
    /// Reads `NAME=VALUE` lines. Bash may do more with the file; what upstream writes there is of
    /// this form.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(option).collect())
    }

    /// An option's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The values that nobody should read in a report: passwords, keys, and addresses that let in
    /// whoever knows them.
    pub fn secrets(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| value.clone())
    }
}

/// Returns true if an option's name suggests a secret.
pub fn is_secret(name: &str) -> bool {
    ["PASS", "ROOT", "KEY", "SECRET", "TOKEN", "WEBHOOK"].iter().any(|part| name.contains(part))
}

impl From<Conf> for BTreeMap<String, String> {
    fn from(conf: Conf) -> Self {
        conf.0
    }
}

fn option(line: &str) -> Option<(String, String)> {
    let line = line.trim().strip_prefix("export ").unwrap_or(line.trim());
    let (name, value) = line.split_once('=')?;
    let named =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    named.then(|| (name.to_owned(), unquoted(value.trim()).to_owned()))
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inside) = value.strip_prefix(quote).and_then(|rest| rest.split(quote).next()) {
            return inside;
        }
    }
    value.split(" #").next().unwrap_or(value).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_bash_would() {
        let conf = Conf::parse(
            "# x\nA=1\nexport B=two words\nC=\"quoted # text\"\nD=5 # five\nE=\nF='x'\n1 bad=2\nDBPASS=abc\nWATCHDOG_NOTIFY_WEBHOOK=https://hooks.example.org/x\n",
        );
        let values = ["A", "B", "C", "D", "E", "F"].map(|name| conf.get(name).unwrap());
        assert_eq!(values, ["1", "two words", "quoted # text", "5", "", "x"]);
        assert_eq!(conf.secrets().collect::<Vec<_>>(), ["abc", "https://hooks.example.org/x"]);
    }
}
